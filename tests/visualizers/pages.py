"""What the tests of both pages need: input made by hand, and a reader of written pages."""

import json
import re
from html.parser import HTMLParser

import pandas as pd
from q2_sample_classifier._format import PredictionsDirectoryFormat

from q2_aam.framework import qiime2


def predictions_of(values: dict):
    """Predictions as `predict` leaves them."""
    directory = PredictionsDirectoryFormat()
    series = pd.Series(values, name="prediction", dtype=object)
    series.to_csv(directory.path / "predictions.tsv", sep="\t", index_label="SampleID")
    return directory


def numeric(values: dict, name="ph"):
    index = pd.Index(list(values), name="id", dtype=object)
    return qiime2.NumericMetadataColumn(pd.Series(list(values.values()), index=index, name=name, dtype=float))


def categorical(values: dict, name="habitat"):
    index = pd.Index(list(values), name="id", dtype=object)
    return qiime2.CategoricalMetadataColumn(
        pd.Series(list(values.values()), index=index, name=name, dtype=object)
    )


class _Reader(HTMLParser):
    """Collects text, cells of tables, and what a browser would fetch or offer."""

    def __init__(self):
        super().__init__()
        self.text, self.fetched, self.links, self.tables = [], [], [], []
        self._cell = None

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag in ("script", "img", "iframe", "link", "source", "object", "embed"):
            self.fetched += [attributes[name] for name in ("src", "href", "data") if name in attributes]
        if tag == "a":
            self.links.append(attributes.get("href"))
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append([])
        if tag in ("td", "th"):
            self._cell = ""

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self.tables[-1][-1].append(self._cell)
            self._cell = None

    def handle_data(self, data):
        self.text.append(data)
        if self._cell is not None:
            self._cell += data


def read_page(directory):
    """The page, as a browser without scripts would see it.

    Returns
    -------
    _Reader
        With `text` (str), `tables` (rows of cells), `fetched` and `links`.
    """
    reader = _Reader()
    reader.feed((directory / "index.html").read_text(encoding="utf-8"))
    reader.text = " ".join("".join(reader.text).split())
    return reader


def read_table(directory, name):
    """A table that can be downloaded, with sample IDs and true values as they are written."""
    return pd.read_csv(directory / f"{name}.tsv", sep="\t", dtype={"sample-id": str, "true": object})


def charts_of(directory):
    """Specification of each chart by its name, as the page draws it."""
    script = (directory / "charts.js").read_text(encoding="utf-8")
    charts = json.loads(script.removeprefix("const CHARTS = ").removesuffix(";\n"))
    assert not any(chart["options"]["actions"] for chart in charts)
    return {chart["name"]: chart["specification"] for chart in charts}


def rows_of(chart, column):
    """The rows of a chart's data that have a column."""
    return [row for rows in chart["datasets"].values() for row in rows if column in row]


def assert_works_offline(directory):
    """Whatever the page fetches is a file beside it; what its own files fetch, too."""
    page = read_page(directory)
    own_links = [
        link for link in page.links if link != "http://qiime2.org/"
    ]  # the template's logo: not fetched
    for path in page.fetched + own_links:
        assert not re.match(r"([a-z]+:)?//", path), path
        assert (directory / path).is_file(), path
    for path in directory.rglob("*"):
        if path.suffix in (".css", ".svg", ".html"):
            text = path.read_text(encoding="utf-8")
            assert not re.search(r"(url\(|@import)\s*[\"']?(https?:)?//", text), path
            assert not re.search(
                r"<(script|link|img|image|iframe|use)[^>]*(src|href)=[\"'](https?:)?//", text
            ), path
    for path in directory.glob("*.js"):
        addresses = set(re.findall(r"https?://[\w.-]+", path.read_text(encoding="utf-8")))
        # Names of namespaces and schemas, and a link in a menu that is switched off.
        allowed = {"http://www.w3.org", "https://vega.github.io", "https://github.com"}
        assert addresses <= allowed, (path, addresses - allowed)
    if (directory / "charts.js").exists():
        charts_of(directory)
