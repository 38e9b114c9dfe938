"""Registration of what makes tables of different regions of the 16S gene alike."""

from q2_types.feature_data import FeatureData, Sequence
from q2_types.feature_table import FeatureTable, Frequency, PresenceAbsence, RelativeFrequency

from q2_aam.actions.harmonize_regions import harmonize_regions
from q2_aam.framework import Choices, Float, Range, Str, TypeMatch
from q2_aam.interface import spoken
from q2_aam.registration import example_data, parameters
from q2_aam.registration.parameters import COUNT, READING, RUNTIME
from q2_aam.settings import MISSING_SAMPLES

T_table = TypeMatch([Frequency, RelativeFrequency, PresenceAbsence])


def harmonize_regions_example(use):
    """Put genes in the place of ASVs."""
    use.action(
        use.UsageAction(plugin_id="aam", action_id="harmonize_regions"),
        use.UsageInputs(
            table=use.init_artifact("table", example_data.training_table),
            sequences=use.init_artifact("sequences", example_data.sequences),
            reference=use.init_artifact("genes", example_data.genes),
        ),
        use.UsageOutputNames(harmonized_table="harmonized_table", harmonized_sequences="harmonized_sequences"),
    )


def register_harmonizing(plugin, citations) -> None:
    """Register `harmonize_regions`.

    Parameters
    ----------
    plugin : Plugin
    citations : Citations
    """
    plugin.methods.register_function(
        function=spoken(harmonize_regions),
        inputs={
            "table": FeatureTable[T_table],
            "reference": FeatureData[Sequence],
            "sequences": FeatureData[Sequence],
        },
        parameters={
            "missing_features": READING["missing_features"][0],
            "min_identity": Float % Range(0, 1, inclusive_start=False, inclusive_end=True),
            "min_matched": Float % Range(0, 1, inclusive_end=True),
            "unmatched_samples": Str % Choices(MISSING_SAMPLES),
            "primer": Str,
            "length": COUNT,
            "threads": RUNTIME["threads"][0],
        },
        outputs=[("harmonized_table", FeatureTable[T_table]), ("harmonized_sequences", FeatureData[Sequence])],
        input_descriptions={
            "table": parameters.TABLE,
            "reference": "Genes of 16S rRNA, full length or nearly so, such as those of SILVA or Greengenes. Take the same "
            "for all tables.",
            "sequences": parameters.SEQUENCES,
        },
        parameter_descriptions={
            "missing_features": "Features without a sequence: refuse them by name, or leave them out.",
            "min_identity": "Share of nucleotides that an ASV and its reference have in common, at least. ASVs without a "
            "reference are left out.",
            "min_matched": "Share of a sample's reads that have a reference, at least.",
            "unmatched_samples": "Samples of which less has one: refuse them by name, or leave them out.",
            "primer": "What stands before the region that is read of a reference. By default 515F, before V4, which the "
            "encoder that comes with q2-aam knows best.",
            "length": "Nucleotides that are read of it.",
            "threads": RUNTIME["threads"][1],
        },
        output_descriptions={
            "harmonized_table": "The references' IDs in the place of the ASVs', reads summed up.",
            "harmonized_sequences": "What is read of each of these references.",
        },
        name="Make tables of different regions, primers or read lengths alike",
        description=(
            "Put the closest of some reference genes in the place of each ASV (vsearch finds it), and one region of that gene "
            "in the place of its sequence. Tables of V1-V2, V3-V4 and V4, or of reads of different lengths, then have the "
            "same features, so that a model which was fitted to one predicts another. ASVs that have the same reference "
            "are one feature then: within one study, its own ASVs tell more."
        ),
        citations=[citations["rognes2016vsearch"]],
        examples={"References of simulated genes": harmonize_regions_example},
    )
