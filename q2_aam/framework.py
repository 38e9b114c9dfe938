"""The framework's names, taken from `rachis` or from `qiime2`: the one place that knows which of them is
there.

QIIME 2's framework is called `qiime2` up to 2025.10 and `rachis` from 2026.1 on (where `qiime2` lives on as
another name of the same modules). Everything else in q2-aam that belongs to the framework imports it from
here, as in `from q2_aam.framework import Float, Plugin, Range, model, qiime2`.

`qiime2` is the framework's main module: views such as `qiime2.Metadata` and `qiime2.MetadataColumn` are taken
from it. The bare names `Metadata` and `MetadataColumn` are the types of parameters.
"""

from importlib import import_module
from importlib.util import find_spec


def _framework_name() -> str:
    # Anything else that is called rachis is no framework: it has no such module.
    try:
        return "rachis" if find_spec("rachis.plugin") else "qiime2"
    except ModuleNotFoundError:
        return "qiime2"


NAME = _framework_name()
qiime2 = import_module(NAME)
sdk = import_module(f"{NAME}.sdk")
usage = import_module(f"{NAME}.sdk.usage")
plugin_api = import_module(f"{NAME}.plugin")
model = import_module(f"{NAME}.plugin.model")

Artifact = qiime2.Artifact

Plugin = plugin_api.Plugin
Citations = plugin_api.Citations
ValidationError = plugin_api.ValidationError

SemanticType = plugin_api.SemanticType
TypeMap = plugin_api.TypeMap
TypeMatch = plugin_api.TypeMatch
Visualization = plugin_api.Visualization
Bool = plugin_api.Bool
Int = plugin_api.Int
Float = plugin_api.Float
Str = plugin_api.Str
List = plugin_api.List
Set = plugin_api.Set
Range = plugin_api.Range
Choices = plugin_api.Choices
Properties = plugin_api.Properties
Metadata = plugin_api.Metadata
MetadataColumn = plugin_api.MetadataColumn
Categorical = plugin_api.Categorical
Numeric = plugin_api.Numeric
