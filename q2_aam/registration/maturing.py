"""Registration of what compares predictions with those of controls, and shows it."""

from q2_sample_classifier import RegressorPredictions
from q2_types.sample_data import SampleData

from q2_aam.actions.maturity import maturity
from q2_aam.framework import Categorical, MetadataColumn, Numeric, Str
from q2_aam.interface import spoken
from q2_aam.registration import example_data, parameters
from q2_aam.registration.parameters import READING
from q2_aam.types import AAMMaturity
from q2_aam.visualizers.maturity import show_maturity


def register_maturity(plugin, citations) -> None:
    """Register `maturity` and `show_maturity`.

    Parameters
    ----------
    plugin : Plugin
    citations : Citations
    """
    plugin.methods.register_function(
        function=spoken(maturity),
        inputs={
            "predictions": SampleData[RegressorPredictions],
            "further_predictions": SampleData[RegressorPredictions],
        },
        parameters={
            "metadata": MetadataColumn[Numeric],
            "cohorts": MetadataColumn[Categorical],
            "control": Str,
            "groups": parameters.GROUPS[0],
            "missing_samples": READING["missing_samples"][0],
        },
        outputs=[("maturity", SampleData[AAMMaturity])],
        input_descriptions={
            "predictions": "Out-of-fold predictions of fit or cross-validate; or those of predict, of samples that the model has not "
            "learnt from. Predictions of the table that the model was fitted to are refused.",
            "further_predictions": "Of other samples: where the model was fitted to controls alone, whose out-of-fold predictions are "
            "then the first, those of predict of the other cohorts.",
        },
        parameter_descriptions={
            "metadata": "Column with the true values, such as age.",
            "cohorts": "Column that tells controls from the others, such as diagnosis, diet or how an infant was born.",
            "control": "Value of that column that controls have.",
            "groups": "Column that names the subject of each sample. Give it whenever subjects have several samples: what is expected "
            "of a control then comes from other subjects alone, and intervals are by subjects.",
            "missing_samples": "Predicted samples that are not in the metadata: refuse them by name, or leave them out with a count. "
            "Samples without a true value or a cohort are always left out, with a count.",
        },
        output_descriptions={
            "maturity": "A sample a row: its true value, predicted, expected (of controls at that true value), spread (the standard "
            "deviation of controls there), difference (predicted minus expected), z (the difference divided by the spread), how many "
            "subjects have controls near it, and the reason where nothing can be expected.",
        },
        name="Are samples ahead of or behind controls?",
        description=(
            "Predicted minus expected, and as a z-score: what is expected at a true value (an age) is a smooth curve through the "
            "predictions of controls, and so is their spread. Nothing is expected beyond the controls. It is what q2-longitudinal's "
            "maturity-index says of its own models (microbiota-for-age z-scores), for any predictions."
        ),
        citations=[citations["subramanian2014persistent"]],
        examples={"Two treatments": maturity_example},
    )
    plugin.visualizers.register_function(
        function=show_maturity,
        inputs={"maturity": SampleData[AAMMaturity]},
        parameters={},
        input_descriptions={"maturity": "What maturity made."},
        parameter_descriptions={},
        name="Show which samples are ahead of or behind controls",
        description="The curve and the band of the controls with all samples, how far each cohort is from it, in all and by ranges of "
        "the true value, the course of single subjects, and a table to be searched.",
        examples={"Two treatments": show_maturity_example},
    )


def maturity_example(use):
    """Compare out-of-fold predictions of limed sites with those of the others."""
    samples = use.init_metadata("metadata", example_data.metadata)
    use.action(
        use.UsageAction(plugin_id="aam", action_id="maturity"),
        use.UsageInputs(
            predictions=use.init_artifact("ph_out_of_fold", example_data.out_of_fold),
            metadata=use.get_metadata_column("ph", "ph", samples),
            cohorts=use.get_metadata_column("treatment", "treatment", samples),
            control="none",
            groups=use.get_metadata_column("site", "site", samples),
        ),
        use.UsageOutputNames(maturity="ph_maturity"),
    )


def show_maturity_example(use):
    """Look at these."""
    use.action(
        use.UsageAction(plugin_id="aam", action_id="show_maturity"),
        use.UsageInputs(maturity=use.init_artifact("ph_maturity", example_data.maturity)),
        use.UsageOutputNames(visualization="ph_maturity_page"),
    )
