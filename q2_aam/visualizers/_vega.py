"""Vega, Vega-Lite and Vega-Embed, as vl-convert has them."""

from functools import lru_cache


def vegalite_version() -> str:
    """Vega-Lite version for vl-convert: the one altair writes, or the newest that vl-convert has."""
    import altair
    import vl_convert

    version = ".".join(altair.SCHEMA_VERSION.lstrip("v").split(".")[:2])
    available = vl_convert.get_vegalite_versions()
    return version if version in available else available[-1]


@lru_cache(maxsize=1)
def vega_bundle() -> str:
    """JavaScript of all three, for the page's own folder."""
    import vl_convert

    return vl_convert.javascript_bundle(vl_version=vegalite_version())
