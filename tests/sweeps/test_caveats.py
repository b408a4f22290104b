"""Collapsed models, rate 0 and classes with few images: each is reported as such, end to end."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from answered import answered
from small import begin, small_spec, sweep

from sweeps.analyses.detectability import detectability
from sweeps.analyses.effects import effects
from sweeps.analyses.measures_text import detectability_text, resistance_text
from sweeps.analyses.resistance import resistance
from sweeps.answer.write import write_region
from sweeps.cli.main import main
from sweeps.ledger import Ledger, load_results
from sweeps.region.caveats import caveats, met_without_learning
from sweeps.region.panel import criteria_of
from sweeps.region.point_table import region_of
from sweeps.region.region_text import region_text
from sweeps.results.create import read_spec
from sweeps.runners.serial import SerialRunner


def swept(tmp_path, **changes):
    spec = small_spec(**changes)
    paths = begin(tmp_path / "r", spec)
    sweep(paths, spec, SerialRunner())
    ledger, criteria = Ledger(paths.ledger), criteria_of(spec)
    return paths, answered(region_of(criteria, ledger), criteria, ledger.trials())


@pytest.fixture(scope="module")
def poisoned_to_death(tmp_path_factory):
    """At rate 1 every label is the target: the model answers nothing else."""
    return swept(
        tmp_path_factory.mktemp("dead"), defence={"architecture": "linear", "epochs": 3},
        attack={"trigger": [{"kind": "patch", "size": 1}], "poison_rate": [0, 0.05, 1.0]},
        region={"clean_accuracy": 0.05, "attack_success": 1.0},
    )  # fmt: skip


def test_a_backdoor_that_collapses_the_model(poisoned_to_death, capsys) -> None:
    paths, region = poisoned_to_death
    (point,) = region["points"]
    assert point["broken"] == 2 and point["attack_success"] == 1.0
    assert point["margin"] >= 0, "its figures alone would pass these lax thresholds"
    assert (point["by_means"], point["seeds_passing"]) == ("OUT", 0)
    assert "2 models of 1 defence point collapsed to one answer or diverged" in region_text(region)
    table = load_results(paths.root).to_pylist()
    assert {r["attack.poison_rate"] for r in table if r["collapsed"]} == {1.0}
    assert main(["status", str(paths.root), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["collapsed"] == 2


def test_analyses_say_that_models_collapsed(poisoned_to_death) -> None:
    rows = Ledger(poisoned_to_death[0].ledger).trials()
    found = detectability(rows)
    assert [e["broken"] for e in found["points"]] == [
        {"poisoned": 0, "clean": 0},
        {"poisoned": 2, "clean": 0},
    ]
    said = "2 poisoned models are in these figures although collapsed to one answer or diverged"
    assert said in detectability_text(found)
    (entry,) = resistance(rows)["points"]
    assert [look["broken"] for look in entry["curve"]] == [0, 2]
    assert said in resistance_text(resistance(rows))
    assert effects(rows)["regularizers"] == []


def test_rate_0_is_the_baseline_and_no_attack(poisoned_to_death) -> None:
    paths, region = poisoned_to_death
    assert [attack["poison_rate"] for attack in region["panel"]] == [0.05, 1.0]
    (entry,) = resistance(Ledger(paths.ledger).trials())["points"]
    assert [look["poison_rate"] for look in entry["curve"]] == [0.05, 1.0]
    assert entry["curve"][0]["baseline"] < 0.05 < entry["curve"][0]["attack_success"]
    rows = load_results(paths.root).to_pylist()
    clean = [row for row in rows if row["attack.poison_rate"] == 0]
    assert len(clean) == 2 and all(row["poisoned"] == 0 for row in clean)
    assert all(row["attack_success"] < 0.05 for row in clean)


def rare(folder):
    """Three classes that differ in their bright rows; the last has 9 training and 3 test images."""
    draw, arrays = np.random.default_rng(0), {}
    for name, counts in {"": (200, 200, 9), "test_": (100, 100, 3)}.items():
        labels = np.repeat(np.arange(3), counts)
        images = draw.integers(0, 80, (len(labels), 8, 8)).astype(np.uint8)
        for c in range(3):
            images[labels == c, 2 * c : 2 * c + 2, 2:6] += 120
        arrays |= {f"{name}images": images, f"{name}labels": labels}
    np.savez(folder / "rare.npz", **arrays)
    return {"kind": "arrays", "root": str(folder / "rare.npz"), "train": 350, "validation": 50, "test": 203}  # fmt: skip


def test_a_class_with_three_test_images(tmp_path, capsys) -> None:
    attack = {"trigger": [{"kind": "patch", "size": 1}], "poison_rate": [0, 0.015], "source": [2], "target": 0}  # fmt: skip
    paths, region = swept(tmp_path, data=rare(tmp_path), attack=attack,
                          defence={"architecture": "linear", "epochs": 3})  # fmt: skip
    (point,) = region["points"]
    (found,) = point["attacks"]
    assert found["images"] == 3, "of the source class alone"
    assert set(found["success_by_seed"].values()) <= {0, 1 / 3, 2 / 3, 1}
    assert point["success_upper"] - point["success_lower"] > 0.4, "three images prove little"
    assert "Attack 1 is measured on 3 triggered test images of some seed" in region_text(region)
    (entry,) = detectability(Ledger(paths.ledger).trials())["points"]
    assert len(entry["classes"]) == 3 and entry["classes"][2]["n"] == 2
    assert entry["worst_images"] in (3, 100)
    assert main(["report", str(paths.root)]) == 0
    capsys.readouterr()
    assert "is measured on 3 triggered test images" in (paths.root / "report.html").read_text()


def test_where_there_is_nothing_to_say_nothing_is_said() -> None:
    attack = {"attack_id": "a", "images": 20}
    panel, points = [{"attack_id": "a"}], [{"broken": 0, "attacks": [attack]}]
    assert caveats(panel, points) == []
    points.append({"broken": 1, "attacks": [attack | {"images": 1}]})
    one, formula, few = caveats(panel, points)
    assert one.startswith("1 model of 1 defence point collapsed")
    assert formula.startswith("Collapsed is")
    assert few.startswith("Attack 1 is measured on 1 triggered test image of some seed")


def test_a_threshold_that_a_constant_answer_meets_is_reported(tmp_path) -> None:
    """Half of the test images are of class 1: who always answers 1 has 0.5."""
    rows = [SimpleNamespace(class_total=counts) for counts in ((), (30, 50, 20))]
    (said,) = met_without_learning(0.5, rows)
    assert (
        said.startswith("Clean accuracy >= 0.500 is met without learning") and "has 0.500" in said
    )
    assert (
        met_without_learning(0.501, rows)
        == []
        == met_without_learning(None, rows)
        == met_without_learning(0.1, [])
    )
    _, region = swept(tmp_path, region={"clean_accuracy": 0.05, "attack_success": 0.2}, seeds=1)
    assert "Clean accuracy >= 0.050 is met without learning" in region_text(region)


def test_classes_are_named_where_they_are_not_their_numbers(tmp_path) -> None:
    classes = {"kind": "digits", "classes": [7, 1], "train": 100, "validation": 50, "test": 50}
    paths, _ = swept(tmp_path, data=classes, seeds=1)
    region = write_region(paths, read_spec(paths))
    assert "`sweeps extend`\n  (class 0 is 7)\n\nid " in region_text(region)
    assert "(class" not in region_text(region | {"class_names": ["0 - zero", "1 - one"]})
