"""The templates: whatever a name holds, the page keeps its shape, and no template opts out."""

from __future__ import annotations

import dataclasses
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from jinja2 import UndefinedError
from made_answers import searched, verification

import dashboards
from dashboards.page import render
from dashboards.report import _report_of, report_page
from dashboards.results import Picture, read_results
from sweeps.ledger import ProbeTable

TEMPLATES = Path(dashboards.__file__).parent / "templates"
#: What stands in every place that a user, a file or an error can put text into.
HARMLESS = "Harmless0"
HOSTILE = (
    """</script></style></title><script>alert(1)</script> ' onload='x' " onerror="x" """
    """{{ 7 * 7 }} {% raw %} {# --> ]]> &lt;b&gt; `$x$`"""
)


class Shape(HTMLParser):
    """Elements with the names of their attributes in order, texts and attributes apart.

    Inside drawings only elements count: matplotlib places glyphs by the text.
    """

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, ...]] = []
        self.texts: list[str] = []
        self.values: list[str] = []
        self.drawing = False
        self.feed(page.replace("\N{NO-BREAK SPACE}", " "))  # labels get one before their %
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.drawing |= tag == "svg"
        self.elements.append((tag, *(() if self.drawing else (name for name, _ in attrs))))
        self.values += [value or "" for _, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        self.drawing &= tag != "svg"
        self.elements.append((f"/{tag}",))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def put(value: Any, name: str) -> Any:
    """The same with `name` in place of HARMLESS, in every text at any depth."""
    if isinstance(value, str):
        return value.replace(HARMLESS, name)
    if isinstance(value, dict):
        return {put(key, name): put(own, name) for key, own in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(put(own, name) for own in value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: put(getattr(value, f.name), name) for f in dataclasses.fields(value)}
        return dataclasses.replace(value, **fields)
    return value


def named(results: Any) -> Any:
    """Results in which every text that a page shows is HARMLESS, with all optional parts."""
    region = results.region
    for texts, keys in ((region, ["name"]), (results.sweep, ["command", "created", "data_fingerprint"])):  # fmt: skip
        texts |= dict.fromkeys(keys, HARMLESS)
    results.sweep.update(class_names=[HARMLESS], versions={HARMLESS: HARMLESS})
    results.sweep["data"] = {"text": [HARMLESS, HARMLESS], "warnings": [HARMLESS]}
    region["thresholds"]["clean_accuracy"]["rule"] = f"best - {HARMLESS}"
    for number, attack in enumerate(region["panel"]):
        attack |= {"label": f"{HARMLESS} {number}", "trigger": HARMLESS}
    for point in region["points"]:
        factors = {f"defence.{HARMLESS}": HARMLESS, **point["factors"]}
        point |= {"label": HARMLESS, "factors": factors, "by_means": point["by_means"]}
    region |= {"doubts": [HARMLESS], "trials": {**region["trials"], "failed": 1, "stopped": 1}}
    point, attack = region["points"][1]["defence_id"], region["panel"][0]["attack_id"]
    row = {"trial_id": "t", "defence_id": point, "attack_id": attack, HARMLESS: 0.5}
    axis = {**row, "step": 1}
    probe = {"kind": HARMLESS, HARMLESS: HARMLESS}
    probed = [
        ProbeTable(probe=probe, rows=[row], x=None, figures=(HARMLESS,), failed={HARMLESS: 1}),
        ProbeTable(probe=probe, rows=[axis], x="step", figures=(HARMLESS,), failed={}),
    ]
    trials = [dataclasses.replace(t, error=HARMLESS if t.error else None) for t in results.trials]
    pictures = [Picture(None, HARMLESS, "data:,"), Picture(HARMLESS, HARMLESS, f"data:,{HARMLESS}")]
    return dataclasses.replace(
        results, spec=HARMLESS, trials=trials, pictures=pictures, probed=probed
    )


def test_hostile_names_leave_the_shape_of_the_page_alone(small_region, make_folder):
    """Names, labels, classes, errors, settings, versions, the command and the spec, all at once."""
    results = named(read_results(make_folder(small_region, failed=1, collapsed=True)))
    page = report_page(results)
    css = (TEMPLATES / "style.css").read_text(encoding="utf-8")
    assert f"<style>\n{css}\n</style>" in page
    harmless = Shape(page)
    hostile = Shape(report_page(put(results, HOSTILE)))
    assert hostile.elements == harmless.elements
    assert ("script",) not in hostile.elements
    for parts, least in ((lambda shape: shape.texts, 40), (lambda shape: shape.values, 5)):
        before = sum(text.count(HARMLESS) for text in parts(harmless))
        after = sum(text.count(HOSTILE) for text in parts(hostile))
        assert after >= least
        assert before == after, "every one of them is shown as it is"


@pytest.mark.parametrize("when", ["finished", "nothing inside"])
def test_the_answer_of_a_search_is_escaped_too(small_region, make_folder, when):
    """Every text of its answer: labels, reasons, conditions, sentences."""
    found = searched(small_region, when) | {"verification": verification("failed")}
    results = read_results(make_folder(found))
    known = {"state", "claim", "basis", "by", "of", "takes", "target", "defence_id", "attack_id"}

    def spoilt(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {name: spoilt(own, name) for name, own in value.items()}
        if isinstance(value, list):
            return [spoilt(own, key) for own in value]
        return HOSTILE if isinstance(value, str) and key not in known else value

    keys = ("question", "headline", "setting", "where", "limiting", "verification", "state")
    changed = {key: spoilt(results.region[key]) for key in keys}
    region = results.region | changed | {"lacks": [HOSTILE]}
    parts = _report_of(dataclasses.replace(results, region=region))
    for template in ("answer", "setting", "verification", "where"):
        shape = Shape(render(f"{template}.html", **vars(parts)))
        assert sum(HOSTILE in text for text in shape.texts) >= (when == "finished")
        assert ("script",) not in shape.elements


def test_a_misspelt_name_is_an_error_and_no_gap():
    with pytest.raises(UndefinedError, match="'caveats' is undefined"):
        render("caveats.html")
    with pytest.raises(UndefinedError, match="has no attribute 'of_region'"):
        render("caveats.html", caveats={"region": [], "recommends": False, "searched": False})


def test_no_template_opts_out_of_escaping():
    files = sorted(TEMPLATES.glob("*.html"))
    assert len(files) >= 10
    for file in files:
        text = file.read_text(encoding="utf-8")
        assert not re.search(r"\|\s*safe\b|autoescape|\bMarkup\b|xmlattr", text), file.name
        assert not re.search(r"=\s*\{\{", text), f"{file.name}: an attribute without quotes"
        assert not re.search(r"\bon\w+=|javascript:|<script", text), file.name
    css = (TEMPLATES / "style.css").read_text(encoding="utf-8")
    assert not re.search(r"</|url\(|@import", css)
