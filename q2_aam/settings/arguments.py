"""From arguments of an action to settings."""

from dataclasses import MISSING, fields


def of_arguments(kind: type, arguments: dict):
    """Fill a settings dataclass from arguments of the same names, and its parts from those of theirs."""
    values = {entry.name: arguments[entry.name] for entry in fields(kind) if entry.name in arguments}
    for entry in fields(kind):
        if entry.default_factory is not MISSING:
            values[entry.name] = of_arguments(entry.default_factory, arguments)
    return kind(**values)
