"""What the model of all points together says, in the table of the terminal and in MLflow."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from answered import answered
from mirrored import runs
from small import begin, small_spec
from trials import fake_result

from sweeps.ledger import Ledger, finished_rows
from sweeps.mirror import mirror
from sweeps.mirror.follower import Follower
from sweeps.records.model_used import chance_words
from sweeps.region.panel import criteria_of
from sweeps.region.point_columns import legend
from sweeps.region.point_table import region_of
from sweeps.region.region_text import region_text
from sweeps.search import make_search

pytest_plugins = ["mirror_fixtures"]

DECAYS = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0]


def smooth(config: Any, measures: Any) -> Any:
    """Success falls with weight decay, and seeds shift all points alike, a little."""
    made, at = (
        fake_result(config, measures),
        DECAYS.index(config.canonical["defence"]["weight_decay"]),
    )
    hits = 0 if config.attack is None else 400 - 50 * at + 4 * (config.seed - 1)
    counts = tuple(replace(m, success=max(0, hits), total=450) for m in made.measurements)
    return replace(made, class_correct=(47 - (config.seed == 1),) * 10, measurements=counts)


def asked(uri: str, **changes: Any) -> Any:
    """Eight points along weight decay, three seeds, one attack."""
    return small_spec(
        defence={"architecture": "ridge", "weight_decay": DECAYS},
        attack={"trigger": "patch", "poison_rate": [0, 0.03]},
        region={"clean_accuracy": 0.8, "attack_success": 0.5},
        tracking={"uri": uri, "runs": "point"}, seeds=3, **changes,
    )  # fmt: skip


def recorded(paths: Any, spec: Any, trials: Any) -> None:
    results = [smooth(trial, spec.measures) for trial in trials]
    Ledger(paths.ledger).append(finished_rows(results, "pack"))


@pytest.fixture
def judged(tmp_path: Path) -> Any:
    spec = asked("sqlite:///never.db")
    paths = begin(tmp_path / "r", spec)
    recorded(paths, spec, make_search(spec).ask(1000))
    ledger, criteria = Ledger(paths.ledger), criteria_of(spec)
    return answered(region_of(criteria, ledger), criteria, ledger.trials())


# --- the table ---------------------------------------------------------------------------------


def row_of(text: str, decay: str) -> list[str]:
    line = next(line for line in text.split("\n") if f"weight_decay {decay} " in line)
    return line.split()


def test_the_table_has_the_verdict_and_the_probability(judged: Any) -> None:
    judged["points"][5] |= {"inside": 0.984, "by_model": "IN"}
    judged["points"][6] |= {"inside": None, "by_model": "UNDECIDED"}
    text = region_text(judged)
    head = next(line for line in text.split("\n") if line.startswith("id "))
    assert head.split()[-5:] == ["bounds", "model", "P(in)", "worst", "attack"]
    cells = row_of(text, "0.3")
    assert cells[cells.index("0.98") - 1] == "IN"
    cells = row_of(text, "1")
    assert cells[cells.index("UNDECIDED") + 1] == "1", "no probability, then the worst attack"


def test_certainty_is_never_claimed() -> None:
    shown = [chance_words(p) for p in (None, 0.0, 0.0049, 0.005, 0.98, 0.995, 0.9951, 1.0)]
    assert shown == ["", "<0.01", "<0.01", "0.01", "0.98", "0.99", ">0.99", ">0.99"]


@pytest.mark.parametrize("width", [120, 100, 90, 80, 70, 60, 40])
def test_the_table_fits_the_terminal_and_says_what_it_leaves_out(judged: Any, width: int) -> None:
    lines = region_text(judged, width).split("\n")
    start = next(i for i, line in enumerate(lines) if line.startswith("id "))
    rows = lines[start : start + 9]
    assert max(map(len, rows)) <= width
    told = "\n".join(lines[start + 9 : start + 11])
    names = {"seeds", "bounds", "model", "P(in)", "attack", "means", "success", "clean"}
    gone = {name for name in names if name not in rows[0].replace("worst attack", "attack")}
    assert all(name in told for name in gone), told
    assert (width >= 80) == ("attack" in rows[0])


def test_the_number_of_seeds_goes_before_the_probability(judged: Any) -> None:
    shown = {}
    for width in range(60, 130):
        lines = region_text(judged, width).split("\n")
        shown[width] = next(line for line in lines if line.startswith("id ")).split()
    assert all("P(in)" in head for head in shown.values() if "seeds" in head)
    assert any("P(in)" in head and "seeds" not in head for head in shown.values())
    assert any("model" in head and "P(in)" not in head for head in shown.values())


def test_what_columns_mean_stands_below_the_table(judged: Any) -> None:
    judged["recommended"] = None
    assert legend(judged) == [
        "clean, success: means over seeds, each under its least favourable attack",
        "seeds: how many meet both thresholds",
        "means: the verdict by these means; bounds: by 95 % bounds of each mean over seeds",
        "model: by a model of all points together; P(in): its probability that the means over all "
        "seeds",
        "  keep both limits; a single model may still miss them (see seeds)",
    ]
    assert "\n" + "\n".join(legend(judged)) + "\n" in region_text(judged)
    # `above` where success is compared with that of clean models.
    judged["recommended"] = {"defence_id": "x", "basis": "means", "margin": 0.1}
    judged["thresholds"]["attack_rule"] = "baseline + 0.1"
    assert legend(judged)[1:3] == [
        "above: how far success lies above that of clean models, paired by seed",
        "seeds: how many meet both thresholds",
    ]


@pytest.mark.parametrize("before", ["unused", "missing"])
def test_without_the_model_its_columns_are_missing(judged: Any, before: str) -> None:
    judged["seed_model"] |= {"used": False, "why": "seeds have two modes"}
    if before == "missing":  # a file of an earlier release
        del judged["seed_model"], judged["counts"]["by_model"]
        for point in judged["points"]:
            del point["by_model"], point["inside"]
    text = region_text(judged)
    head = next(line for line in text.split("\n") if line.startswith("id "))
    assert head.split()[-3:] == ["bounds", "worst", "attack"]
    assert legend(judged)[-1].endswith("bounds: by 95 % bounds of each mean over seeds")


def test_a_table_without_figures_has_no_legend(judged: Any) -> None:
    for point in judged["points"]:
        point["clean_accuracy"] = None
    assert legend(judged) == []


# --- MLflow ------------------------------------------------------------------------------------


def tags(uri: str) -> dict[str, dict[str, str]]:
    return {run.data.tags["defence_id"]: run.data.tags for run in runs(uri)}


def test_runs_of_points_have_what_the_model_says_at_the_end(tmp_path: Path, new_store: Any) -> None:
    uri = new_store("mlflow.db")
    spec = asked(uri)
    paths = begin(tmp_path / "r", spec)
    trials = make_search(spec).ask(1000)
    follower = Follower(paths, [].append)
    recorded(paths, spec, trials)
    follower.step()
    while_running = tags(uri)
    assert {found["by_model"] for found in while_running.values()} == {"UNDECIDED"}
    assert not any("inside" in found for found in while_running.values())
    assert follower.last()
    region = region_of(criteria_of(spec), Ledger(paths.ledger))
    assert region["seed_model"]["used"] and region["counts"]["by_model"]["IN"]
    for point in region["points"]:
        found = tags(uri)[point["defence_id"]]
        assert found["by_model"] == point["by_model"]
        assert found["inside"] == f"{point['inside']:.3f}"
        chosen = region["recommended"]["defence_id"] == point["defence_id"]
        assert found["recommended"] == ("true" if chosen else "false")
    again = mirror(paths)
    assert (again.created, again.present, again.repaired) == (0, 8, 0)
