"""Long names made short enough for an axis."""


def short_names(names, length: int = 28) -> list:
    """Names with their middle left out where they are long, all different if the full names are.

    Names of classes often agree at one end or at both, so as much stays as makes them different.

    Parameters
    ----------
    names : sequence of str
        Full names.
    length : int
        Letters to keep, when that is enough.

    Returns
    -------
    list of str
        In the same order.
    """
    names = [str(name) for name in names]
    n_different = len(set(names))
    short = [_shorten(name, length) for name in names]
    while len(set(short)) < n_different:
        length += 8
        short = [_shorten(name, length) for name in names]
    return short


def short_name(name, length: int = 40) -> str:
    """One name with its middle left out where it is longer than this: an axis is no place for 300 letters."""
    return _shorten(str(name), length)


def _shorten(name, length):
    if len(name) <= length:
        return name
    head = (length - 1) // 2
    return f"{name[:head]}…{name[len(name) - (length - 1 - head) :]}"
