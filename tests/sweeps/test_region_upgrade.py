"""region.json of earlier releases opens, is of version 2 then, and says what it lacks."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from answer_sweeps import asked, made

from backdoor.errors import UserError
from dashboards import plot_region_map, write_report
from dashboards.results import region_from
from sweeps.cli.main import main
from sweeps.records import region_schema
from sweeps.records.region_file import REQUIRED_SINCE_2
from sweeps.records.region_lacks import EARLIER, FORMER_BOUNDS
from sweeps.records.setting_upgrade import nested
from sweeps.storage.files import write_json
from sweeps.storage.paths import SweepPaths, read_region

Region = dict[str, Any]
STRICT = jsonschema.Draft202012Validator(region_schema.made(strict=True))


@pytest.fixture(scope="module", params=["grid", "region"])
def swept(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> SweepPaths:
    return made(tmp_path_factory.mktemp("old") / "r", asked(request.param))


def of_before(new: Region) -> Region:
    """As version 1 had it."""
    old = copy.deepcopy(new) | {"schema_version": 1}
    for key in REQUIRED_SINCE_2["RegionFile"]:
        old.pop(key)
    for point in old["points"]:
        point.pop("verdict")
        if point.pop("expected", None) is not None:
            point.pop("inside"), point.pop("by_model")
    if "model" in old:
        old |= {"recommended": None}
        old["counts"].pop("by_model", None)
    return old


@pytest.fixture
def old(swept: SweepPaths) -> Region:
    return of_before(json.loads(swept.region.read_text()))


@pytest.fixture
def folder(swept: SweepPaths, old: Region, tmp_path: Path) -> SweepPaths:
    """A folder of before: the same trials, with the file of that release."""
    paths = SweepPaths(tmp_path / "r")
    paths.root.mkdir()
    paths.ledger.symlink_to(swept.ledger)
    for name in ("sweep.json", "spec.yaml"):
        (paths.root / name).write_bytes((swept.root / name).read_bytes())
    write_json(paths.region, old)
    return paths


def test_a_file_of_before_is_brought_up(folder: SweepPaths, swept: SweepPaths, old: Region) -> None:
    """What it says is what the file of today says; the file itself stays."""
    found, today = read_region(folder.root), read_region(swept.root)
    STRICT.validate(found)
    assert json.loads(folder.region.read_text()) == old
    assert found["schema_version"] == 2 and found["lacks"][0] == EARLIER and not today["lacks"]
    assert found["headline"] == today["headline"]
    assert found["verdicts"]["space"] == today["verdicts"]["space"]
    assert {**found["question"], "seeds": 4} == {**today["question"], "seeds": 4}
    assert found["state"]["state"] == today["state"]["state"] == "finished"
    own, other = found["setting"], today["setting"]
    assert own is not None and other is not None
    for key in ("label", "factors", "defence", "basis", "margin", "worst_attack", "cost"):
        assert own[key] == other[key], key
    if "model" in old:
        assert (found["where"]["box"], found["where"]["rule"]) == (
            old["model"]["box"],
            old["model"]["rule"],
        )
        assert found["limiting"] == old["model"]["limits"] and found["next"] == old["model"]["next"]
        rates = [entry["poison_rate"] for entry in found["front"]]
        assert rates == [entry["poison_rate"] for entry in old["model"]["front"]]
        assert (
            own["clean_accuracy"]["lower"] == old["model"]["recommended"]["clean_accuracy"]["lower"]
        )
        assert "Missing: how many seeds the search may draw." in found["text"]
    else:
        assert own["defence_id"] == other["defence_id"]
        assert found["verdicts"]["points"] == today["verdicts"]["points"]
        assert (own["clean_accuracy"]["lower"], own["clean_accuracy"]["seeds"]) == (None, 4)
        assert "Missing: limits for one new seed at the recommended setting." in found["lacks"]
        assert "(mean of 4 seeds; for one new seed not said)" in "\n".join(found["text"])
        assert FORMER_BOUNDS not in found["lacks"]
    assert found["verification"]["state"] == "not yet"
    assert found["verification"]["text"].startswith("not known: this file is of an earlier release")
    assert found["text"][-len(found["lacks"]) :] == found["lacks"]


def test_the_first_files_open_too(folder: SweepPaths, old: Region) -> None:
    """Without all that came later; what they lack is named."""
    for key in ("controls", "seed_model", "stability", "data", "class_names", "doubts"):
        old.pop(key, None)
    old["counts"].pop("by_model", None)
    clean = old["thresholds"]["clean_accuracy"]
    clean.pop("left_out"), clean.pop("best_source"), old["trials"].pop("stopped")
    for point in old["points"]:
        for key in ("stopped", "broken", "inside", "by_model"):
            point.pop(key, None)
        for attack in point["attacks"]:
            attack.pop("images")
    write_json(folder.region, old)
    found = read_region(folder.root)
    STRICT.validate(found)
    assert {
        "Missing: whether each attack takes anywhere (positive controls).",
        "Missing: which broken models the best accuracy leaves out.",
        "Missing: how many models collapsed or diverged.",
        "Missing: what was read of the data.",
        "Missing: names of the classes.",
    } <= set(found["lacks"])
    assert (FORMER_BOUNDS in found["lacks"]) == ("model" not in old)
    images = "Missing: how many triggered images success is measured on."
    assert (images in found["lacks"]) == any(point["attacks"] for point in old["points"])


def test_one_that_was_not_finished_says_so(folder: SweepPaths, old: Region) -> None:
    old["trials"]["planned"] += 5
    old.pop("model", None)
    write_json(folder.region, old)
    found = read_region(folder.root)
    assert found["state"]["state"] == "stopped"
    running = "whether the sweep was running or had stopped when the file was written"
    assert f"Missing: {running}." in found["lacks"]


def test_one_of_nothing_opens(folder: SweepPaths, old: Region) -> None:
    """No trial had ended."""
    nothing = {
        "by_means": {"IN": 0, "OUT": 0, "INCOMPLETE": 0},
        "by_bounds": {"IN": 0, "OUT": 0, "UNDECIDED": 0},
    }
    old |= {"points": [], "counts": nothing, "recommended": None, "controls": []}
    old |= {"model": None} if "model" in old else {}
    old.pop("stability", None)
    write_json(folder.region, old)
    found = read_region(folder.root)
    STRICT.validate(found)
    assert found["headline"]["claim"] == "unknown" and found["setting"] is None


def test_pages_and_pictures_take_it(folder: SweepPaths, old: Region, capsys) -> None:
    """A folder as its dict; neither is changed."""
    before = copy.deepcopy(old)
    if "model" not in old:
        plot_region_map(old)  # type: ignore[arg-type]
    assert old == before and region_from(old) == read_region(folder.root)  # type: ignore[arg-type]
    write_report(folder.root)
    assert main(["status", str(folder.root)]) == 0
    assert "finished" in capsys.readouterr().out
    assert json.loads(folder.region.read_text()) == before


def test_a_damaged_dict_names_the_place(old: Region) -> None:
    old["points"][0]["label"] = 7
    with pytest.raises(UserError, match=r"region.points\[0\].label: must be text, but got 7"):
        region_from(old)  # type: ignore[arg-type]


def test_a_later_version_is_refused_as_before(folder: SweepPaths, old: Region) -> None:
    write_json(folder.region, old | {"schema_version": 3})
    with pytest.raises(UserError, match="must have schema version 2, but got 3"):
        read_region(folder.root)


def test_a_defence_from_its_settings() -> None:
    factors = {
        "defence.architecture.width": 64, "defence.architecture": "mlp",
        "defence.regularizer": "dropout", "defence.regularizer.rate": 0.1,
        "defence.weight_decay": 0.01, "defence.steps": "[1,2]", "defence.note": "[no list",
        "defence.none": None,
    }  # fmt: skip
    assert nested(factors) == {
        "architecture": {"kind": "mlp", "width": 64}, "regularizer": {"kind": "dropout", "rate": 0.1},
        "weight_decay": 0.01, "steps": [1, 2], "note": "[no list", "none": None,
    }  # fmt: skip
