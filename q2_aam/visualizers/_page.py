"""A page of a visualization: charts, tables, downloads. It fetches nothing from the network."""

import json
import math
import shutil
from numbers import Integral, Number
from pathlib import Path

from q2_aam.untrusted import is_number

from ._vega import is_large, pictures, rounded, vega_bundle

ASSETS = Path(__file__).parent / "assets"
MAX_ROWS = 40  # of a table on the page; its file has all
MAX_BROWSED = 5000  # of one that is searched


class Page:
    """Collects what a page shows, writes its files, and renders it.

    Parameters
    ----------
    output_dir : str
        Where QIIME 2 wants the visualization.
    title : str
        Heading of the page.
    lead : str
        The sentence below it.
    """

    def __init__(self, output_dir: str, title: str, lead: str):
        self.directory = Path(output_dir)
        self.title = title
        self.lead = lead
        self.notes = []
        self.cautions = []
        self._verdict = None
        self._sections = []
        self._charts = {}
        self._browsed = {}
        self._widgets = {}

    def verdict(self, heading: str, text: str, level: str):
        """Say what the page comes to.

        Parameters
        ----------
        heading, text : str
            A short answer, and the numbers behind it.
        level : {'success', 'warning', 'danger', 'info'}
            Its colour.
        """
        self._verdict = {"heading": heading, "text": text, "level": level}

    def section(self, heading: str, text: str = "", points=()):
        """Begin a section; charts, tables, commands, images and files that follow go into it.

        Parameters
        ----------
        heading, text : str
        points : sequence of str
            Sentences, each beside a dot.
        """
        parts = {name: [] for name in ("figures", "widgets", "tables", "commands", "images", "downloads")}
        self._sections.append({"heading": heading, "text": text, **parts, "points": list(points)})

    def chart(self, name: str, specification: dict, heading: str = "", caption: str = "", data: str = ""):
        """Add an interactive picture, and write it as PNG and SVG.

        Parameters
        ----------
        name : str
            Name of its files, without ending.
        specification : dict
            Vega-Lite specification that carries its data.
        heading, caption : str
            Above and below the picture.
        data : str
            Name of a file with its numbers, to be offered beside it.
        """
        specification = rounded(specification)
        svg, png = pictures(specification)
        (self.directory / f"{name}.svg").write_text(svg, encoding="utf-8")
        (self.directory / f"{name}.png").write_bytes(png)
        self._charts[name] = specification
        figure = {"name": name, "heading": heading, "caption": caption, "data": data}
        self._sections[-1]["figures"].append(figure)

    def table(self, name: str, frame, headers: dict, heading: str = "", numbers=()):
        """Add a table, and write it as TSV with all its rows, columns and digits.

        Parameters
        ----------
        name : str
            Name of its file, without ending.
        frame : pandas.DataFrame
            The table; its index is not used.
        headers : dict
            Column -> heading on the page, for the columns to be shown there.
        heading : str
            Above the table.
        numbers : collection of str
            Columns of numbers that are written as text.
        """
        self.write_table(name, frame)
        shown = frame[list(headers)].head(MAX_ROWS).astype(object)
        texts = [column not in numbers for column in headers]
        rows = [list(map(_cell, row, texts)) for row in shown.itertuples(index=False)]
        table = {"name": name, "heading": heading, "headers": list(headers.values()), "rows": rows}
        self._sections[-1]["tables"].append({**table, "left_out": max(0, len(frame) - MAX_ROWS)})

    def browsed_table(self, name: str, frame, headers: dict, copied=(), heading: str = ""):
        """Add a table that is searched and sorted in the browser; without scripts it is as :meth:`table`'s.

        Parameters
        ----------
        name, frame, headers, heading
            As of :meth:`table`. Its first 5,000 rows are searched.
        copied : collection of str
            Columns whose text is shown short, beside a button that copies it.
        """
        self.table(name, frame, headers, heading)
        values = frame[list(headers)].head(MAX_BROWSED).astype(object)
        rows = [list(map(_browsed_cell, row)) for row in values.itertuples(index=False)]
        self._browsed[name] = {"rows": rows, "copied": [n for n, column in enumerate(headers) if column in copied]}
        left_out = max(0, len(frame) - MAX_BROWSED)
        self._sections[-1]["tables"][-1] |= {"browsed": True, "not_searched": left_out}

    def facts(self, values: dict):
        """Add a table of what is known, without a file.

        Parameters
        ----------
        values : dict
            By name; numbers are written for reading, and None as not being there.
        """
        rows = [[{"text": name}, {"text": fact(value)}] for name, value in values.items()]
        table = {"name": "", "heading": "", "headers": ["What", "Value"], "rows": rows, "left_out": 0}
        self._sections[-1]["tables"].append(table)

    def command(self, text: str):
        """Add a command to be copied, of as many lines as it has."""
        self._sections[-1]["commands"].append(text)

    def widget(self, name: str, data):
        """Hand something to a script of the page, ``assets/NAME.js``, which shows it in this section.

        Parameters
        ----------
        name : str
        data : dict
            What JSON can hold; the script finds it as ``WIDGETS.NAME``.
        """
        self._widgets[name] = data
        self._sections[-1]["widgets"].append(name)

    def write_table(self, name: str, frame) -> str:
        """Write a table as TSV without showing it.

        Parameters
        ----------
        name : str
            Name of the file, without ending.
        frame : pandas.DataFrame
            The table; its index is not used. Undefined values become empty cells.

        Returns
        -------
        str
            Name of the file.
        """
        frame.to_csv(self.directory / f"{name}.tsv", sep="\t", index=False)
        return f"{name}.tsv"

    def image(self, source, path: str, caption: str):
        """Copy a picture into the page's folder and show it.

        Parameters
        ----------
        source : path
            The picture.
        path : str
            Its name in the page's folder.
        caption : str
            Below the picture.
        """
        (self.directory / path).parent.mkdir(exist_ok=True)
        shutil.copyfile(source, self.directory / path)
        self._sections[-1]["images"].append({"path": path, "caption": caption})

    def download(self, path: str, text: str):
        """Offer a file that is in the page's folder.

        Parameters
        ----------
        path : str
            Its name there.
        text : str
            What it holds.
        """
        self._sections[-1]["downloads"].append({"path": path, "text": text})

    def render(self):
        """Write index.html, and what it needs, into the page's folder."""
        import q2templates

        scripts = ["draw.js", "values.js"] * bool(self._charts) + ["browse.js"] * bool(self._browsed)
        scripts += [f"{name}.js" for name in self._widgets]
        for name in ("page.css", "page.js", *scripts):
            shutil.copyfile(ASSETS / name, self.directory / name)
        if self._charts:
            (self.directory / "vega.js").write_text(vega_bundle(), encoding="utf-8")
            (self.directory / "charts.js").write_text(self._chart_script(), encoding="utf-8")
        if self._browsed:
            script = f"const TABLES = {json.dumps(self._browsed)};\n"
            (self.directory / "tables.js").write_text(script, encoding="utf-8")
        if self._widgets:
            script = f"const WIDGETS = {json.dumps(self._widgets)};\n"
            (self.directory / "widgets.js").write_text(script, encoding="utf-8")
        context = {
            "title": self.title,
            "lead": self.lead,
            "verdict": self._verdict,
            "notes": self.notes,
            "cautions": self.cautions,
            "sections": self._sections,
            "charts": bool(self._charts),
            "browsed": bool(self._browsed),
            "widgets": list(self._widgets),
        }
        q2templates.render(str(ASSETS / "index.html"), str(self.directory), context=context)
        # QIIME 2's template does not say it; what reads a page aloud must know it.
        index = self.directory / "index.html"
        index.write_text(index.read_text(encoding="utf-8").replace("<html>", '<html lang="en">', 1), encoding="utf-8")

    def _chart_script(self):
        """The charts, for the script that draws each in its place."""
        charts = []
        for name, specification in self._charts.items():
            options = {"actions": False, "renderer": "canvas" if is_large(specification) else "svg"}
            charts.append({"name": name, "specification": specification, "options": options})
        return f"const CHARTS = {json.dumps(charts)};\n"


def number(value) -> str:
    """A number for reading: about three digits; an undefined one is a dash.

    Parameters
    ----------
    value : float, int or None

    Returns
    -------
    str
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if isinstance(value, Integral):
        return f"{value:,}"
    size = abs(value)
    if size < 1e-12:
        return "0.000"
    if size >= 1e6 or size < 1e-4:
        return f"{value:.2e}"
    if size >= 1000:
        return f"{value:,.0f}"
    if size < 1e-3:
        return f"{value:.3g}"
    return f"{value:.3f}" if size < 10 else f"{value:.4g}"


def fact(value) -> str:
    """A value of ``model.json`` for reading."""
    if value is None:
        return "not in the file"
    if isinstance(value, str):
        return value
    return number(value) if is_number(value) else json.dumps(value, ensure_ascii=False)


def _cell(value, text: bool):
    if value is None or isinstance(value, Number):
        return {"text": number(value), "number": True}
    return {"text": str(value), "number": not text}


def _browsed_cell(value):
    """Text, or the text of a number and the number, which JSON may not have."""
    if value is None or isinstance(value, Number):
        return [number(value), None if value is None or math.isnan(value) else float(value)]
    return str(value)
