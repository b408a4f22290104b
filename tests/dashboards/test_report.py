"""The report: what it says, and that it stands alone. What it escapes: test_page.py."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from made_answers import state
from markupsafe import escape
from page_statements import contradictions
from small import begin, small_spec, sweep

from backdoor.errors import StoredDataError, UserError
from dashboards.appendix import without_passwords
from dashboards.filters import duration
from dashboards.report import write_map, write_report
from sweeps.answer.write import write_region
from sweeps.records.region_file import REGION_VERSION
from sweeps.runners.serial import SerialRunner
from sweeps.storage.paths import SweepPaths

VOID = {"meta", "img"}


class Reader(HTMLParser):
    """Checks that elements close in order, and keeps text and addresses."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text: list[str] = []
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [v or "" for k, v in attrs if k in ("src", "href", "xlink:href", "data")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [v or "" for k, v in attrs if k in ("src", "href", "xlink:href")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text.append(data)


def read(folder: Path) -> str:
    return write_report(folder).read_text()


def words(page: str) -> str:
    """The text of a page in one line."""
    return re.sub(r"\s+", " ", " ".join(Reader(page).text)).strip()


# --- what it says ------------------------------------------------------------------------------


def test_standing_claim_verdicts_and_question_come_first(folder):
    text = words(read(folder))
    start = text.index("Defence region of made-by-hand Verification with fresh trainings:")
    opening = text[start : start + 1900]
    order = [
        "not yet verified", "1 of 4 points are certainly IN.",
        "By means over seeds alone, 2 of 4 tried points are IN", "verdict tried points",
        "certainly IN 1 bounds", "likely IN 0 a model", "undecided 1 too", "certainly OUT 1 bounds",
        "incomplete 1 a trial is missing", "with 95 % confidence", "Question Which settings keep best - 0.05?",
        "State finished: 2 of 2 trials have ended",
    ]  # fmt: skip
    places = [opening.index(part) for part in order]
    assert places == sorted(places)
    assert "some of the certain verdicts may be wrong where many points" in opening


def test_the_recommended_setting_with_its_price(folder):
    text = words(read(folder))
    part = text[text.index("Recommended setting point p1") : text.index("All its settings")]
    assert (
        "certainly IN: bounds of its own seeds meet both thresholds, with 95 % confidence" in part
    )
    assert "Margin 0.040 to the nearer threshold" in part
    assert (
        "Clean accuracy 0.940 (one new seed: 0.900 to 0.970 , with 95 % confidence, "
        "almost all new seeds miss the threshold )" in part
    )
    assert "the lowest mean over the attacks, of 3 seeds" in part
    assert (
        "Cost in accuracy 0.010 less than the most accurate point by validation images ( 0.950 )"
        in part
    )
    assert "Worst attack patch(size=1) at 3 % : succeeds on 0.100 (one new seed:" in part
    row = (
        "patch(size=1) at 3 % 0.100 0.100 0.100 0.100 0.060 to 0.130 "
        "about 16 % of new seeds miss the threshold 0.010 yes not known"
    )
    assert row in part


def judged_together(found: dict[str, Any], inside: list[float | None]) -> dict[str, Any]:
    """The region with verdicts of a model: IN from 0.95 on, OUT up to 0.05."""
    for point, chance in zip(found["points"], inside, strict=True):
        sure = chance is not None and not 0.05 < chance < 0.95
        point["inside"] = chance
        point["by_model"] = ("IN" if chance > 0.5 else "OUT") if sure else "UNDECIDED"
    verdicts = [point["by_model"] for point in found["points"]]
    found["counts"]["by_model"] = {w: verdicts.count(w) for w in ("IN", "OUT", "UNDECIDED")}
    modes = {"distance": 0.0, "critical": 1.0, "fired": False, "differences": 8.0}
    shared = {"deviation": 0.3, "correlation": 0.7, "freedom": 2.5}
    found["seed_model"] = {
        "used": True, "why": None, "points": 3, "left_out": 0, "odd": 0, "clean": shared,
        "success": shared, "modes_clean": modes, "modes_success": modes, "taking_share": 0.63,
        "fewest_seeds": 20,
    }  # fmt: skip
    return found


def test_what_the_model_of_all_points_says(small_region, make_folder):
    """The answer, the basis, the table, the marks: p2 is IN by it, not by bounds."""
    found = judged_together(small_region, [0.001, 0.97, 0.984, None])
    found["recommended"] = {"defence_id": "p2", "basis": "model", "margin": 0.01}
    page = read(make_folder(found))
    text = words(page)
    told = "The model of all points finds 2 IN and 1 OUT, and leaves 1 undecided."
    assert told in text[text.index("All defence points") :]
    assert "likely IN 1 a model that judges points together" in text
    assert (
        "up to 63 % of all seeds may be vulnerable although all 3 seeds of a point resisted (95 %); "
        "with 20 seeds, up to 14 %."
    ) in text
    basis = "likely IN: a model that judges points together finds it inside, with 95 % confidence;"
    assert f"{basis} bounds of its own seeds do not show it P(inside) 0.98 :" in text
    assert "certain with 95 % confidence, by their bounds or by the model of all points" in text
    assert "a false IN is likelier" in text
    table = page[page.index("<h2>All defence points") : page.index("<h2>What this does not cover")]
    rows = [words(row).split() for row in re.findall(r"<tr>.*?</tr>", table, re.S)][1:]
    assert [row[2:8] for row in (rows[0], rows[1], rows[2][1:])] == [
        ["certainly", "OUT", "OUT", "OUT", "OUT", "<0.01"],
        ["certainly", "IN", "IN", "IN", "IN", "0.97"],
        ["likely", "IN", "IN", "UNDECIDED", "IN", "0.98"],
    ]  # fmt: skip
    assert rows[3][2:7] == ["incomplete", "INCOMPLETE", "UNDECIDED", "UNDECIDED", "\N{EN DASH}"]
    assert "IN, certain (95 %)" in page and "bounds UNDECIDED" not in page


def test_seeds_of_two_modes_are_told_and_no_column_is_empty(small_region, make_folder):
    found = judged_together(small_region, [None] * 4)
    found["seed_model"] |= {"used": False, "why": "seeds have two modes"}
    found["seed_model"]["modes_success"] = {**found["seed_model"]["modes_success"], "fired": True}
    text = words(read(make_folder(found)))
    assert "No model of all points together: seeds have two modes." in text
    assert "Seeds have two modes in attack success (test statistic 0.00, above 1)" in text
    assert "With fewer than 20 seeds nothing is certainly IN." in text
    table = text[text.index("All defence points") : text.index("What this does not cover")]
    assert "by model" not in table and "P(inside)" not in text


def test_a_region_by_means_alone_says_so(make_point, make_region, make_folder):
    points = [make_point(f"{v}", {"width": v}, 0.95, 0.1, seeds=1) for v in (1, 2)]
    text = words(read(make_folder(make_region(points))))
    assert "With one seed for each point there are no bounds: no verdict by bounds has" in text
    assert "IN by means only: the seeds that were run meet both thresholds on average" in text
    assert "Cost in accuracy none : nothing more accurate was found (best 0.950 )" in text
    assert "Clean accuracy 0.950 (no limits for a new seed: 1 seed cannot tell)" in text


def test_an_empty_region_names_the_nearest_point(make_point, make_region, make_folder):
    points = [make_point("far", {"width": 1}, 0.95, 0.9), make_point("near", {"width": 2}, 0.95, 0.3)]  # fmt: skip
    text = words(read(make_folder(make_region(points))))
    assert "None of 2 points is IN." in text
    assert "Nearest is point near" in text
    assert "it misses a threshold by 0.100" in text
    assert "Recommended setting None: no point is inside by any verdict." in text


def test_a_sweep_without_a_complete_point_has_no_answer_yet(make_point, make_region, make_folder):
    text = words(read(make_folder(make_region([make_point("p", {"width": 1}, None, 0)]))))
    assert "Nothing has been judged yet." in text
    assert "Recommended setting None yet: no point has been judged." in text
    assert "1 point without measured figures under every attack not shown." in text


def test_the_sections_stand_in_their_order(folder):
    headings = re.findall(r"<h2>(.*?)</h2>", read(folder))
    assert headings == [
        "Recommended setting", "Verification", "Where the region lies", "The map of the points",
        "Accuracy against attack", "Attack success against poison rate", "The attack panel",
        "What the attacker does", "All defence points", "What this does not cover",
        "How to reproduce",
    ]  # fmt: skip


def test_every_point_has_a_row_with_both_verdicts_and_every_seed(folder):
    page = read(folder)
    table = page[page.index("<h2>All defence points") : page.index("<h2>What this does not cover")]
    rows = [words(row) for row in re.findall(r"<tr>.*?</tr>", table, re.S)][1:]
    assert len(rows) == 4
    row = "point p1 recommended certainly IN IN IN 0.940 [0.920, 0.960] 0.940 0.940 0.940 0.100 [0.080, 0.120] 0.100 0.100 0.100 patch(size=1) at 3 % 3 of 3 0.040"
    assert "".join(rows[1].split()) == row.replace(" ", "")
    assert rows[0].split()[2:6] == ["certainly", "OUT", "OUT", "OUT"]
    assert rows[0].endswith("\N{MINUS SIGN}0.700")
    assert rows[3].split()[2:5] == ["incomplete", "INCOMPLETE", "UNDECIDED"]


def test_the_panel_names_target_classes(folder):
    text = words(read(folder))
    assert "0 (zero)" in text
    assert "patch(size=1) at 3 % patch(size=1) 3 % 0 (zero) 0.100 to 0.900 3 of 3 points" in text
    assert "blend at 3 % blend 3 % 0 (zero) 0.050 to 0.450 0 of 3 points" in text


def test_failed_and_missing_trials_are_reported_by_cause(small_region, make_folder):
    small_region["trials"] = {"finished": 2, "failed": 3, "planned": 9}
    stopped = {"state": state("stopped", small_region["trials"])}
    text = words(read(make_folder(small_region, failed=3, region=stopped)))
    assert "out of memory 3 " in text
    assert "at step 3" not in text
    assert "4 of 9 planned trials have no result: the sweep was interrupted." in text
    assert "Trials stopped: 2 of 9 trials have ended Training 2.5 minutes in all" in text


def test_nothing_is_said_of_failures_where_there_are_none(folder):
    text = words(read(folder))
    assert "Trials without a result" not in text
    assert "Collapsed and diverged" not in text


def test_a_sweep_that_does_not_know_its_plan_misses_nothing(small_region, make_folder):
    small_region["trials"]["planned"] = None
    text = words(read(make_folder(small_region)))
    assert "planned trials have no result" not in text


def test_useless_models_are_reported_by_point(small_region, make_folder):
    text = words(read(make_folder(small_region, collapsed=True)))
    assert "defence point collapsed diverged trained point p0 1 0 2" in text


def test_pictures_are_inlined_and_only_from_their_folder(folder):
    page = read(folder)
    assert page.count("data:image/png;base64,") == 1
    assert page.count("<span>missing</span>") == 2
    assert 'class="pixels"' in page
    assert "image-rendering: pixelated" in page


def test_a_folder_without_pictures_has_no_such_section(folder):
    SweepPaths(folder).gallery.unlink()
    assert "What the attacker does" not in read(folder)


def test_how_to_reproduce_it(folder):
    text = words(read(folder))
    for piece in ("sweeps run spec.yaml", "sweeps run digits", "2026-01-02T03:04:05+00:00",
                  "torch 2.15.0", "name: made-by-hand"):  # fmt: skip
        assert piece in text


def test_a_sweep_that_was_really_run(tmp_path):
    spec = small_spec()
    paths = begin(tmp_path / "small", spec)
    sweep(paths, spec, SerialRunner())
    found = write_region(paths, spec)
    page = read(paths.root)
    text = words(page)
    assert contradictions(page, json.loads(paths.region.read_text())) == []
    for point in found["points"]:
        assert point["label"] in text
    assert "finished, 24 of 24 trials have ended" in text
    pictures = json.loads(paths.gallery.read_text())["images"]
    assert page.count("data:image/png;base64,") == len(pictures) > 0
    assert escape(paths.spec.read_text().strip()) in page


# --- what it must never do -----------------------------------------------------------------------


def test_it_asks_for_nothing_and_runs_nothing(folder):
    page = read(folder)
    reader = Reader(page)
    assert reader.addresses
    assert all(address.startswith(("data:image/png", "#")) for address in reader.addresses)
    assert not {"script", "link", "iframe", "object", "embed", "form"} & set(reader.tags)
    assert "default-src 'none'" in page
    assert not re.search(r"url\((?!#)|@import", page)
    assert "<?xml" not in page
    assert page.count("<!DOCTYPE") == 1


def test_equal_folders_give_equal_bytes_and_no_rubbish(folder, tmp_path):
    first = write_report(folder).read_bytes()
    assert write_report(folder, tmp_path / "again.html").read_bytes() == first
    assert not [file for file in folder.iterdir() if file.name.endswith(".tmp")]


def test_it_is_written_into_the_folder_or_elsewhere(folder, tmp_path):
    assert write_report(folder) == SweepPaths(folder).report
    elsewhere = tmp_path / "new" / "page.html"
    assert write_report(folder, elsewhere) == elsewhere
    assert elsewhere.is_file()


def test_thirty_six_points_stay_small(make_point, make_region, make_folder):
    points = [
        make_point(f"{k}-{n}", {"architecture": k, "weight_decay": 10 ** (n / 3 - 4)}, 0.95, n / 12)
        for k in ("linear", "mlp", "ridge")
        for n in range(12)
    ]
    page = read(make_folder(make_region(points)))
    assert len(page.encode()) < 500_000


def test_passwords_of_addresses_are_left_out(small_region, make_folder):
    spec = "tracking: {uri: postgresql://me:secret@host/db}\n"
    sweep = {"command": "sweeps run x --set tracking.uri=postgresql://me:secret@host/db"}
    page = read(make_folder(small_region, spec=spec, sweep=sweep))
    assert page.count("postgresql://me:***@host/db") == 2
    assert "secret" not in page


@pytest.mark.parametrize(
    "text", ["sqlite:////home/me/mlflow.db", "http://host:5000/a@b", "a: b@c", "https://me@host/"]
)
def test_addresses_without_a_password_stay_as_they_are(text):
    assert without_passwords(text) == text


@pytest.mark.parametrize(("seconds", "written"), [(0.5, "0.5 seconds"), (119, "119 seconds"), (150, "2.5 minutes"), (36_000, "10 hours")])  # fmt: skip
def test_durations_in_words(seconds, written):
    assert duration(seconds) == written


# --- what it refuses -----------------------------------------------------------------------------


def test_a_missing_region_says_how_to_get_it(folder):
    SweepPaths(folder).region.unlink()
    with pytest.raises(UserError) as caught:
        write_report(folder)
    (mistake,) = caught.value.mistakes
    assert mistake.place == "region.json"
    assert mistake.rule.startswith("must exist")
    assert mistake.value == str(folder / "region.json")
    assert mistake.remedy == f"Run `sweeps region {folder}`, which writes it."
    assert not SweepPaths(folder).report.exists()


def test_a_folder_that_is_no_sweep_is_refused(tmp_path):
    with pytest.raises(UserError, match="must be the results folder of a sweep"):
        write_report(tmp_path)


def test_a_region_of_another_version_is_refused(folder, rewrite):
    rewrite(folder, schema_version=REGION_VERSION + 1)
    with pytest.raises(StoredDataError, match=f"but got {REGION_VERSION + 1}"):
        write_report(folder)


@pytest.mark.parametrize("name", ["region", "sweep", "gallery"])
def test_a_damaged_file_is_refused_by_name(folder, name):
    file = getattr(SweepPaths(folder), name)
    file.write_text('{"schema_version": 1')
    with pytest.raises(StoredDataError, match=f"{file.name}: must be valid JSON"):
        write_report(folder)


def test_the_map_alone_is_a_whole_svg_file(folder, tmp_path):
    file = write_map(folder, tmp_path / "pictures" / "map.svg")
    content = file.read_text()
    assert content.startswith("<?xml")
    assert content.rstrip().endswith("</svg>")
    assert "weight_decay" in content
    assert write_map(folder, tmp_path / "again.svg").read_text() == content


def test_the_region_is_not_changed_by_looking_at_it(small_region, make_folder):
    file = SweepPaths(make_folder(small_region)).region
    before = file.read_bytes()
    write_report(file.parent)
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    "content", [{"schema_version": REGION_VERSION}, {"points": None}, {"panel": 3}]
)
def test_a_region_that_lacks_something_is_refused(folder, content):
    file = SweepPaths(folder).region
    whole = {} if "schema_version" in content else json.loads(file.read_text())
    file.write_text(json.dumps(whole | content))
    with pytest.raises(StoredDataError, match=r"region.json: \w+: must be there.*sweeps region"):
        write_report(folder)


@pytest.mark.parametrize("name", ["a folder", "x" * 300, "nul\0"])
def test_an_output_that_cannot_be_written_is_one_error(folder, tmp_path, name):
    (tmp_path / "a folder").mkdir(exist_ok=True)
    with pytest.raises(UserError, match="out: must be a file that can be written"):
        write_report(folder, tmp_path / name)
