"""Vega, Vega-Lite and Vega-Embed, as vl-convert has them; pictures as files."""

import re
from functools import lru_cache

MAX_SVG_MARKS = 2000  # above that the browser draws on a canvas, which stays quick
MAX_SHARP = 4e6  # pixels of a picture that is drawn twice as fine


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


def is_large(specification: dict) -> bool:
    """Whether a chart has so many rows that marks which are elements of a page would make it slow."""
    return sum(len(rows) for rows in specification.get("datasets", {}).values()) > MAX_SVG_MARKS


def rounded(specification: dict) -> dict:
    """The same with numbers of nine digits in its data: more cannot be seen, and takes most of a page's size."""

    def short(value):
        return float(f"{value:.9g}") if isinstance(value, float) else value

    data = {
        name: [{key: short(value) for key, value in row.items()} for row in rows]
        for name, rows in specification.get("datasets", {}).items()
    }
    return {**specification, "datasets": data} if data else specification


def pictures(specification: dict) -> tuple[str, bytes]:
    """A chart as SVG and as PNG."""
    import vl_convert

    if is_large(specification):
        # A sentence for each of thousands of points is most of such a file, and nobody reads it.
        specification = {**specification, "config": {**specification.get("config", {}), "aria": False}}
    svg = vl_convert.vegalite_to_svg(specification, vl_version=vegalite_version())
    width, height = re.search(r'<svg[^>]* width="([\d.]+)" height="([\d.]+)"', svg).groups()
    scale = 2 if float(width) * float(height) <= MAX_SHARP else 1
    return svg, vl_convert.svg_to_png(svg, scale=scale)
