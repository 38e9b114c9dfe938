"""What is registered is what the code reads, with the defaults of the settings dataclasses."""

import ast
import inspect
import subprocess
import sys
import textwrap
from dataclasses import fields
from importlib.util import find_spec

import pytest

from q2_aam.plugin_setup import plugin
from q2_aam.registration import parameters
from q2_aam.settings import (
    ASV_CACHES,
    DEVICES,
    HEADS,
    LARGEST_SEED,
    METRIC_CHOICES,
    MISSING_COVARIATES,
    MISSING_FEATURES,
    MISSING_SAMPLES,
    PRECISIONS,
    PRETRAINING,
    SCHEDULERS,
    TRANSFORMS,
    Architecture,
    Baselines,
    CrossValidation,
    Embedding,
    Explaining,
    FineTuning,
    FineTuningOptimization,
    Fitting,
    Harmonizing,
    Optimization,
    PretrainingSampling,
    Reading,
    ReadLength,
    Runtime,
    Sampling,
    Splitting,
    TargetObjective,
    Training,
)
from tests.scikit_bio import torch_by_scikit_bio

# The dataclasses whose defaults an action's signature shows; an earlier one comes first where they share a name.
SETTINGS = {
    "pretrain": (Optimization, PretrainingSampling, Training, Runtime, ReadLength, Architecture, Reading),
    "fit": (Fitting, Reading),
    "fine_tune": (FineTuningOptimization, Sampling, FineTuning, TargetObjective, Runtime, Reading),
    "predict": (Embedding, Reading),
    "predict_baselines": (Baselines, Reading),
    "merge_folds": (),
    "split_samples": (Splitting, Reading),
    "cross_validate": (CrossValidation, Fitting, Reading),
    "evaluate": (Reading,),
    "summarize_training": (),
    "summarize_model": (),
    "show_importance": (),
    "maturity": (Reading,),
    "show_maturity": (),
    "show_novelty": (),
    "ready_encoder": (),
    "explain": (Explaining, Reading),
    "embed": (Embedding, Training, Reading),
    "embed_vectors": (Embedding, Reading),
    "harmonize_regions": (Harmonizing, Reading),
}
METHODS = (
    "split_samples", "predict_baselines", "merge_folds", "pretrain", "ready_encoder", "fit", "fine_tune", "predict",
    "embed", "embed_vectors", "explain", "harmonize_regions", "maturity",
)  # fmt: skip
VISUALIZERS = (
    "evaluate", "summarize_training", "summarize_model", "show_importance", "show_maturity", "show_novelty",
)  # fmt: skip
PIPELINES = ("cross_validate",)
ACTIONS = (*METHODS, *VISUALIZERS, *PIPELINES)


def function_of(action):
    """The Python function behind an action."""
    folder = "visualizers" if action in plugin.visualizers else "actions"
    module = {"embed_vectors": "embed"}.get(action, action.removeprefix("summarize_").removeprefix("show_"))
    return getattr(sys.modules[f"q2_aam.{folder}.{module}"], action)


def parts_of(action):
    """All inputs, parameters and outputs of an action by name."""
    signature = plugin.actions[action].signature
    outputs = {} if action in plugin.visualizers else signature.outputs
    return {**signature.inputs, **signature.parameters, **outputs}


def test_the_actions_are_those_of_the_design():
    assert set(plugin.methods) == set(METHODS)
    assert set(plugin.visualizers) == set(VISUALIZERS)
    assert set(plugin.pipelines) == set(PIPELINES)
    assert plugin.name == "aam" and plugin.package == "q2_aam"


@pytest.mark.parametrize("action", ACTIONS)
def test_defaults_are_those_of_the_dataclasses(action):
    defaults = {}
    for kind in reversed(SETTINGS[action]):
        settings = kind()
        defaults |= {field.name: getattr(settings, field.name) for field in fields(kind)}
    for name, spec in plugin.actions[action].signature.parameters.items():
        if spec.has_default() and spec.default is not None:
            assert spec.default == defaults[name], name
            assert spec.default in spec.qiime_type, name


@pytest.mark.parametrize("action", ACTIONS)
def test_no_default_is_written_into_a_signature(action):
    """A literal there would be a second place of a default."""
    arguments = ast.parse(textwrap.dedent(inspect.getsource(function_of(action)))).body[0].args
    if not arguments.defaults:
        return
    named = zip(arguments.args[-len(arguments.defaults) :], arguments.defaults, strict=True)
    literal = {argument.arg for argument, value in named if isinstance(value, ast.Constant) and value.value is not None}
    assert literal == set()


@pytest.mark.parametrize("action", METHODS)
def test_messages_speak_the_language_of_the_interface(action):
    called = plugin.actions[action]._callable
    assert called is not function_of(action) and called.__wrapped__ is function_of(action)


def test_seeds_are_those_that_the_dataclass_takes():
    seeds = parameters.SEED["random_seed"][0]
    assert LARGEST_SEED in seeds and LARGEST_SEED + 1 not in seeds
    assert Runtime(random_seed=LARGEST_SEED).random_seed == 2**32 - 1


@pytest.mark.parametrize("action", ACTIONS)
def test_everything_is_described(action):
    record = plugin.actions[action]
    assert len(record.description) > 20 and record.name
    for name, spec in parts_of(action).items():
        assert spec.has_description() and len(spec.description) > 10, name
        assert spec.description[0].isupper() and spec.description.endswith("."), name


# Words of no other plugin's help, that readers would have to learn here.
DIALECT = ("conditioning", "familiar", "held out", "held-out", "sharpness", "portion", "support vector", "asked for")


def words_of(action):
    """Every text that a user reads of an action."""
    record = plugin.actions[action]
    return " ".join([record.name, record.description, *(spec.description for spec in parts_of(action).values())])


@pytest.mark.parametrize("action", ACTIONS)
def test_help_is_in_the_fields_words(action):
    text = words_of(action).lower()
    assert [word for word in DIALECT if word in text] == []


def names_read(function):
    """Names that a function's body reads, those of nested functions included."""
    body = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0].body
    return {n.id for part in body for n in ast.walk(part) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}


@pytest.mark.parametrize("action", ACTIONS)
def test_every_parameter_is_read(action):
    signature = plugin.actions[action].signature
    # `of_arguments` fills dataclasses by name, from all arguments
    names = names_read(function_of(action))
    by_settings = {field.name for kind in SETTINGS[action] for field in fields(kind)} if "of_arguments" in names else ()
    unread = {*signature.inputs, *signature.parameters} - names - {*by_settings}
    if action == "cross_validate":
        # all arguments go to the pipeline as one, and from there by name into the actions
        text = inspect.getsource(sys.modules["q2_aam.actions.cross_validate"].Pipeline)
        unread -= {name for name in unread if f'"{name}"' in text}
    assert unread == set()


def test_choices_are_those_that_the_code_knows():
    tables = ("READING", "COVARIATE_READING", "FITTING", "RUNTIME", "ASV_CACHE", "OPTIMIZATION", "TRAINING", "FOLDS")
    registered = {}
    for table in tables:
        registered |= getattr(parameters, table)
    for name, choices in {
        "missing_features": MISSING_FEATURES,
        "missing_samples": MISSING_SAMPLES,
        "missing_covariates": MISSING_COVARIATES,
        "head": HEADS,
        "target_transform": TRANSFORMS,
        "device": DEVICES,
        "asv_cache": ASV_CACHES,
        "scheduler": SCHEDULERS,
        "metric": METRIC_CHOICES,
        "precision": PRECISIONS,
        "pretraining": PRETRAINING,
    }.items():
        assert set(registered[name][0].predicate.template.choices) == set(choices), name


def test_names_are_the_ecosystems():
    for action in ACTIONS:
        for name in parts_of(action):
            assert name == name.lower() and "-" not in name
    signature = plugin.methods["fine_tune"].signature
    assert {"table", "sequences", "phylogeny"} <= set(signature.inputs)
    assert {"metadata", "groups", "missing_samples", "random_seed", "threads"} <= set(signature.parameters)


def test_what_is_cross_validated_is_what_is_fitted():
    """Each parameter of `fit` that changes predictions is one of `cross-validate`, with the same type and default."""
    fit, pipeline = plugin.methods["fit"].signature, plugin.pipelines["cross_validate"].signature
    for name, spec in fit.parameters.items():
        if name == "batch_size":
            continue
        other = pipeline.parameters[name]
        assert other.default == spec.default, name
        assert name == "metadata" or other.qiime_type == spec.qiime_type, name


# Portability


def primitives(expression):
    """Names of the primitive types of a parameter's type."""
    return {part.name for part in getattr(expression, "members", None) or [expression]}


@pytest.mark.parametrize("action", ACTIONS)
def test_parameters_are_of_types_that_every_interface_shows(action):
    """Galaxy and the command line know these; a union only of primitives, and no nested collections."""
    for name, spec in plugin.actions[action].signature.parameters.items():
        expression = spec.qiime_type
        known = {"Int", "Float", "Str", "Bool", "Metadata", "MetadataColumn", "List"}
        assert primitives(expression) <= known, f"{name}: {expression!r}"
        if expression.name == "List":
            assert primitives(expression.fields[0]) == {"Str"}, f"{name}: {expression!r}"


@pytest.mark.skipif(find_spec("q2galaxy") is None, reason="q2galaxy is not installed")
def test_galaxy_makes_a_tool_of_every_action():
    from q2galaxy.core.templaters.helpers import NotImplementedCase, signature_to_galaxy

    for action in plugin.actions.values():
        for case in signature_to_galaxy(action.signature):
            assert not isinstance(case, NotImplementedCase), case.name
            assert case.inputs_xml() is not None


def test_registration_loads_nothing_heavy():
    code = "import sys, q2_aam.plugin_setup\nprint(*sorted({name.split('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    heavy = {"torch", "lightning", "sklearn", "altair", "unifrac", "bp", "matplotlib", "tensorboard", "vl_convert"}
    assert heavy & set(done.stdout.split()) <= torch_by_scikit_bio()
    assert done.stderr == ""
