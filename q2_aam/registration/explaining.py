"""Registration of what says, and shows, which microbes predictions rest on."""

from q2_sample_classifier import Classifier, Importance, Regressor
from q2_types.feature_data import FeatureData, Sequence
from q2_types.sample_data import SampleData
from q2_types.tree import Phylogeny, Rooted

from q2_aam.actions.explain import explain
from q2_aam.framework import Bool, Categorical, Metadata, MetadataColumn, Numeric
from q2_aam.interface import spoken
from q2_aam.registration import examples, parameters
from q2_aam.registration.learning import ANY_TABLE
from q2_aam.registration.parameters import (
    FOREIGN_PREDICTED_READING,
    READING,
    RUNTIME,
    SEED,
    descriptions,
    types,
)
from q2_aam.types import AAMEffects, AAMModel
from q2_aam.visualizers.importance import show_importance


def register_explaining(plugin) -> None:
    """Register `explain`.

    Parameters
    ----------
    plugin : Plugin
    """
    common = {"missing_features": READING["missing_features"], **FOREIGN_PREDICTED_READING, **RUNTIME, **SEED}
    plugin.methods.register_function(
        function=spoken(explain),
        inputs={
            "table": ANY_TABLE,
            "model": AAMModel[Regressor | Classifier],
            "sequences": FeatureData[Sequence],
            "phylogeny": Phylogeny[Rooted],
        },
        parameters={
            "metadata": MetadataColumn[Numeric | Categorical],
            "groups": parameters.GROUPS[0],
            "covariates": parameters.COVARIATES[0],
            "feature_groups": MetadataColumn[Categorical],
            "level": parameters.COUNT,
            "clusters": Bool,
            "most_read": parameters.COUNT,
            **types(common),
        },
        outputs=[("importance", FeatureData[Importance]), ("effects", SampleData[AAMEffects])],
        input_descriptions={
            "table": parameters.TABLE + " Their true values are not needed.",
            "model": "What fit or fine-tune made.",
            "sequences": parameters.SEQUENCES,
            "phylogeny": "Whole clades leave, too, up to a tenth of the ASVs. Those that say most are kept: a clade stands for its ASVs "
            "where they stand in for each other, or push the same way. It takes about twice the time.",
        },
        parameter_descriptions={
            **descriptions(common),
            "metadata": "True values, to see how far the explanation can be trusted: the model is fitted anew without each of five "
            "folds and explains that fold. It takes the time of ten fits more. Without them nothing is known of that.",
            "groups": parameters.GROUPS[1],
            "covariates": parameters.COVARIATES[1] + "A model that was fitted with them needs them.",
            "feature_groups": "Column that names a group of each feature, such as Taxon of a taxonomy: whole groups leave instead of "
            "single ASVs. Near-identical ASVs stand in for each other, so that a group can matter where none of its members does.",
            "level": "Ranks of a taxonomy that are kept of a group's name: 6 is the genus, 7 the species.",
            "clusters": "Without a phylogeny: take the model's encoder for one, by whose reading of their sequences ASVs are joined.",
            "missing_features": "Features without a sequence: refuse them by name, or leave them out with a count. Features that are no "
            "tip of the phylogeny: refuse them by name, or let them leave alone.",
            "most_read": "ASVs read in all samples that something has left, together; of more, a random part of the samples is "
            "explained. The default takes about three minutes on two cores.",
            "random_seed": "Seed of that random part.",
        },
        output_descriptions={
            "importance": "A feature (or group) a row, the most important first: importance, the mean size of the change over all "
            "explained samples (in the units of the column, or of probability); with metadata its spread over five folds; effect (of each class effect_CLASS), the mean change "
            "over the samples that hold it: above 0 where its presence makes the prediction higher; samples, how many these are; asvs, of clades, how "
            "many ASVs are in each.",
            "effects": "A sample a row: its prediction (of a class the probability of the likeliest one), and by how much each feature "
            "makes it higher or lower. Beside it the same of all classes; of clades the tree and their members.",
        },
        name="Which microbes do predictions rest on?",
        description=(
            "Let each ASV, or each group of them, leave each sample that holds it, its reads with it, and predict again: what changes is "
            "what its presence does in this model. That need not be a cause, and ASVs that always come together share their effect."
        ),
        examples={"Numeric column": examples.explain_example},
    )


def register_show_importance(plugin) -> None:
    """Register `show_importance`.

    Parameters
    ----------
    plugin : Plugin
    """
    plugin.visualizers.register_function(
        function=show_importance,
        inputs={
            "importance": FeatureData[Importance],
            "effects": SampleData[AAMEffects],
            "sequences": FeatureData[Sequence],
        },
        parameters={"feature_metadata": Metadata},
        input_descriptions={
            "importance": "What explain made.",
            "effects": "The effects of the same run of explain.",
            "sequences": "Sequences of the features, to be searched and copied. Not needed where the feature IDs are themselves the "
            "sequences.",
        },
        parameter_descriptions={
            "feature_metadata": "A taxonomy, or other metadata of the features, to call them by: the last rank that has a name, of the "
            "column Taxon or, without one, of the first categorical column.",
        },
        name="Show which microbes predictions rest on",
        description="Ranked features with direction and spread, their effects in each sample, one sample's in detail, a table to be "
        "searched, and how far all this can be trusted, as far as explain has measured it.",
        examples={"Numeric column": examples.show_importance_example},
    )
