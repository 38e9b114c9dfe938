"""What is registered is what the code reads, with the defaults of the settings dataclasses."""

import ast
import inspect
import subprocess
import sys
import textwrap
from dataclasses import fields
from importlib.util import find_spec
from pathlib import Path

import pytest

import q2_aam
from q2_aam.plugin_setup import plugin
from q2_aam.registration import parameters
from q2_aam.settings import (
    ASV_CACHES,
    DEVICES,
    LARGEST_SEED,
    METRICS,
    MISSING_FEATURES,
    NON_FINITE,
    PRECISIONS,
    PRETRAINING,
    SCHEDULERS,
    TOKEN_CHOICES,
    TRANSFORMS,
    Architecture,
    CrossValidation,
    Distances,
    FineTuning,
    Head,
    MetadataReading,
    Objective,
    Optimization,
    Prediction,
    PretrainingSampling,
    Reading,
    Runtime,
    Sampling,
    TargetObjective,
    TargetReading,
)

PACKAGE = Path(q2_aam.__file__).parent
SETTINGS = {
    "pretrain": (Reading, Distances, Optimization, Objective, PretrainingSampling, Runtime, Architecture),
    "fit": (Reading, TargetReading, Distances, Head, FineTuning, TargetObjective, Sampling, Runtime, Architecture),
    "predict": (Reading, Prediction),
    "predict_baselines": (Reading, MetadataReading, Runtime),
    "evaluate": (MetadataReading,),
    "cross_validate": (CrossValidation, Head, Reading, TargetReading, Runtime, Architecture),
}
# Training that an action does not offer, because they would have no meaning there.
LEFT_OUT = {
    "pretrain": {"target_weight"},
    "fit": set(),
    "predict": {"max_tokens", "run_dir", "devices", "num_nodes", "compile"},
    "predict_baselines": {"max_tokens", "run_dir", "devices", "num_nodes", "compile", "precision", "device"},
    "evaluate": set(),
    "cross_validate": {"max_tokens", "run_dir", "devices", "num_nodes", "compile"},
}
# Off unless it is asked for: no setting of the training.
NO_SETTINGS = {"freeze_encoder"}
METHODS = ("pretrain", "fit", "predict", "predict_baselines", "merge_folds")
VISUALIZERS = ("evaluate", "summarize_training")
PIPELINES = ("cross_validate",)
ACTIONS = (*METHODS, *VISUALIZERS, *PIPELINES)


def parts_of(action):
    """All inputs, parameters and outputs of an action by name."""
    signature = plugin.actions[action].signature
    outputs = {} if action in plugin.visualizers else signature.outputs
    return {**signature.inputs, **signature.parameters, **outputs}


def test_the_actions_are_those_of_the_design():
    assert tuple(plugin.methods) == METHODS
    assert tuple(plugin.visualizers) == VISUALIZERS
    assert tuple(plugin.pipelines) == PIPELINES
    assert plugin.name == "aam" and plugin.package == "q2_aam"


@pytest.mark.parametrize("action", SETTINGS)
def test_defaults_are_those_of_the_dataclasses(action):
    signature = plugin.actions[action].signature
    for kind in SETTINGS[action]:
        defaults = kind()
        for field in fields(kind):
            if field.name not in LEFT_OUT[action]:
                assert signature.parameters[field.name].default == getattr(defaults, field.name), field.name


@pytest.mark.parametrize("action", SETTINGS)
def test_every_default_is_that_of_a_dataclass(action):
    known = {field.name for kind in SETTINGS[action] for field in fields(kind)}
    offered = plugin.actions[action].signature.parameters
    chosen = {name for name, spec in offered.items() if spec.has_default() and spec.default is not None}
    assert chosen - known <= NO_SETTINGS


@pytest.mark.parametrize("action", SETTINGS)
def test_no_default_is_written_into_a_signature(action):
    """A literal there would be a second place of a default."""
    folder = "visualizers" if action in plugin.visualizers else "actions"
    function = getattr(sys.modules[f"q2_aam.{folder}.{action}"], action)
    arguments = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0].args
    named = zip(arguments.args[-len(arguments.defaults) :], arguments.defaults, strict=True)
    literal = {argument.arg for argument, value in named if isinstance(value, ast.Constant) and value.value is not None}
    assert literal <= NO_SETTINGS


def test_seeds_are_those_that_the_dataclass_takes():
    seeds = parameters.RUNTIME["random_seed"][0]
    assert LARGEST_SEED in seeds and LARGEST_SEED + 1 not in seeds
    assert Runtime(random_seed=LARGEST_SEED).random_seed == 2**32 - 1


@pytest.mark.parametrize("action", SETTINGS)
def test_every_setting_can_be_given(action):
    offered = set(plugin.actions[action].signature.parameters)
    for kind in SETTINGS[action]:
        assert {field.name for field in fields(kind)} - LEFT_OUT[action] <= offered


@pytest.mark.parametrize("action", SETTINGS)
def test_every_default_is_of_the_registered_type(action):
    for name, spec in plugin.actions[action].signature.parameters.items():
        if spec.has_default() and spec.default is not None:
            assert spec.default in spec.qiime_type, name


@pytest.mark.parametrize("action", ACTIONS)
def test_everything_is_described(action):
    record = plugin.actions[action]
    assert len(record.description) > 20 and record.name
    for name, spec in parts_of(action).items():
        assert spec.has_description() and len(spec.description) > 10, name
        assert spec.description[0].isupper() and spec.description.endswith("."), name


def names_read(function):
    """Names that a function's body reads, those of nested functions included."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    body = tree.body[0].body
    return {n.id for part in body for n in ast.walk(part) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}


@pytest.mark.parametrize("action", ACTIONS)
def test_every_parameter_is_read(action):
    record = plugin.actions[action]
    folder = "visualizers" if action in plugin.visualizers else "actions"
    module = "training" if action == "summarize_training" else action
    function = getattr(sys.modules[f"q2_aam.{folder}.{module}"], action)
    # `settings(kind, arguments)` fills each dataclass by name
    filled = {"pretrain": SETTINGS["pretrain"], "fit": SETTINGS["fit"], "cross_validate": (Architecture,)}
    by_settings = {field.name for kind in filled.get(action, ()) for field in fields(kind)}
    unread = (set(record.signature.inputs) | set(record.signature.parameters)) - names_read(function) - by_settings
    assert unread == set()


def test_every_setting_is_read_somewhere():
    """No option that nothing reads: beyond the dataclasses, each name is used in the code."""
    used = set()
    for file in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                # a default in a signature, `Sampling.token_limit`, is no use of it
                if not (isinstance(node.value, ast.Name) and node.value.id[0].isupper()):
                    used.add(node.attr)
    for kinds in SETTINGS.values():
        for kind in kinds:
            # the actions read these of their own arguments
            own = {"validation_share", "token_limit", "token_choice", "batch_size", "asv_cache", "max_tokens"}
            own |= {"run_dir", "metric", "sampling_depth", "missing_features", "missing_samples", "target_transform"}
            own |= {field.name for field in fields(CrossValidation)}
            weights = {"unifrac_weight", "nucleotide_weight", "count_weight", "target_weight"}
            assert {field.name for field in fields(kind)} - used <= own | weights, kind


def test_choices_are_those_that_the_code_knows():
    def choices(expression):
        return set(expression.predicate.template.choices)

    assert choices(parameters.METRIC) == {"auto", *METRICS}
    assert choices(parameters.TRANSFORM) == set(TRANSFORMS)
    assert choices(parameters.ASV_CACHE) == set(ASV_CACHES)
    registered = {**parameters.OPTIMIZATION, **parameters.RUNTIME, **parameters.READING, **parameters.LEARNING}
    registered.update(parameters.FOLDS)
    for name, known in (
        ("scheduler", SCHEDULERS),
        ("non_finite", NON_FINITE),
        ("precision", PRECISIONS),
        ("device", DEVICES),
        ("missing_features", MISSING_FEATURES),
        ("token_choice", TOKEN_CHOICES),
        ("pretraining", PRETRAINING),
    ):
        assert choices(registered[name][0]) == set(known), name


def test_names_are_the_ecosystems():
    for action in ACTIONS:
        for name in parts_of(action):
            assert name == name.lower() and "-" not in name
    offered = plugin.methods["fit"].signature
    assert {"table", "sequences", "phylogeny"} <= set(offered.inputs)
    assert {"metadata", "groups", "missing_samples", "sampling_depth", "random_seed", "threads"} <= set(
        offered.parameters
    )


# Portability


def primitives(expression):
    """Names of the primitive types of a parameter's type."""
    parts = getattr(expression, "members", None) or [expression]
    return {part.name for part in parts}


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
    from q2galaxy.core.templating import make_tool

    for action in plugin.actions.values():
        assert make_tool(plugin, action) is not None


def test_registration_loads_nothing_heavy():
    code = "import sys, q2_aam.plugin_setup\nprint(*sorted({name.split('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    heavy = {"torch", "lightning", "sklearn", "altair", "unifrac", "bp", "matplotlib", "tensorboard", "vl_convert"}
    assert heavy & set(done.stdout.split()) == set()
    assert done.stderr == ""
