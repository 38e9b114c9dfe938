"""Parts of a stored head, checked one by one: a model file may come from anyone."""

import numpy as np


def checked_parts(tensors: dict, **kinds: str) -> dict[str, np.ndarray | dict]:
    """Parts of a stored head, if they are all there and nothing else is.

    Parameters
    ----------
    tensors : dict
        Arrays, or dicts of them, by name.
    **kinds : str
        Of each name: ``i`` (signed whole numbers) or ``f`` (finite numbers) and the number of dimensions, or ``dict``;
        and ``?`` where the part may be missing. ``'f2?'`` say.

    Raises
    ------
    KeyError
        If a part is missing.
    TypeError
        If a part is neither an array nor, where it must be one, a dict.
    ValueError
        If a part is unknown, has another type or number of dimensions, or holds a number that is not finite.
    """
    if not isinstance(tensors, dict):
        raise TypeError(f"The parts of a stored head must be a dict, but are a {type(tensors).__name__}.")
    unknown = sorted(map(str, set(tensors) - set(kinds)))
    if unknown:
        raise ValueError(f"A stored head has parts that nothing reads: {', '.join(unknown)}.")
    parts = {name: tensors[name] for name, kind in kinds.items() if name in tensors or not kind.endswith("?")}
    for name, part in parts.items():
        kind = kinds[name].rstrip("?")
        if not isinstance(part, dict if kind == "dict" else np.ndarray):
            raise TypeError(f"{name} of a stored head has the wrong type: {type(part).__name__}.")
        if kind == "dict":
            continue
        if part.dtype.kind != kind[0] or part.ndim != int(kind[1]):
            raise ValueError(f"{name} of a stored head has the wrong type or shape: {part.dtype} {part.shape}.")
        if kind[0] == "f" and not np.isfinite(part).all():
            raise ValueError(f"{name} of a stored head holds numbers that are not finite.")
    return parts
