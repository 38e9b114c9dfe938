"""q2-aam: predictions from whole microbial communities, inside QIIME 2 and as a Python library without it.

Examples
--------
>>> import q2_aam
>>> sorted(set(dir(q2_aam)) & {"Study", "read_study", "Encoder", "Predictor", "cross_validate"})
['Encoder', 'Predictor', 'Study', 'cross_validate', 'read_study']
"""

from importlib import import_module

__version__ = "0.1.0"

# By name, and loaded when they are asked for: importing q2_aam loads no torch.
PLACES = {
    "Study": "q2_aam.study.study",
    "read_study": "q2_aam.study.study",
    "Encoder": "q2_aam.encoder.encoder",
    "Predictor": "q2_aam.predictor",
    "cross_validate": "q2_aam.cross_validation",
}


def __getattr__(name: str):
    if name not in PLACES:
        raise AttributeError(f"module 'q2_aam' has no attribute {name!r}")
    return getattr(import_module(PLACES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *PLACES])
