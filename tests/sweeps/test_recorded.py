"""Replay from a CSV file: look-ups against what was written, seed noise, and its mistakes."""

import csv
import math

import numpy as np
import pytest
from small import begin, small_spec, sweep
from trials import fake_rows, trial

from backdoor.errors import UserError
from sweeps.answer.write import write_region
from sweeps.ledger import Ledger
from sweeps.packs.pack import PackSettings, make_packs
from sweeps.runners.recorded_grid import CsvColumns, RecordedGrid
from sweeps.runners.replay import ReplayRunner
from sweeps.runners.serial import SerialRunner

FACTORS = {
    "kind": "defence.architecture.kind",
    "wd": "defence.weight_decay",
    "rate": "attack.poison_rate",
}
COLUMNS = CsvColumns("acc", "asr", 450, FACTORS, seed="seed", seconds="took")


def write(file, rows):
    with open(file, "w", newline="") as opened:
        writer = csv.DictWriter(opened, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return file


def line(kind="ridge", wd=0.01, rate=0.03, seed=0, acc=0.9, asr=0.5, took=2.0):
    return {
        "kind": kind,
        "wd": wd,
        "rate": rate,
        "seed": seed,
        "acc": acc,
        "asr": asr,
        "took": took,
    }


def counts(grid, config):
    (pack,) = make_packs([config], PackSettings(()))
    (row,) = grid.rows(pack).to_pylist()
    return sum(row["class_correct"]), row["measurements"][0]["success"], row["seconds"]


def test_a_sweep_is_replayed_from_what_a_csv_file_says_of_it(tmp_path) -> None:
    spec = small_spec()
    real = begin(tmp_path / "real", spec)
    sweep(real, spec, SerialRunner(fake_rows))
    rows = list(Ledger(real.ledger).trials())
    file = write(tmp_path / "grid.csv", [
        line(
            row.config["defence"]["architecture"]["kind"], row.config["defence"]["weight_decay"],
            (row.config["attack"] or {"poison_rate": 0})["poison_rate"], row.seed,
            repr(row.clean_accuracy),
            repr(row.measurements[0].success / 450) if row.config["attack"] else "", 0.5,
        )
        for row in rows
    ])  # fmt: skip
    replayed = begin(tmp_path / "replayed", spec)
    runner = ReplayRunner(RecordedGrid(file, CsvColumns(**{**vars(COLUMNS), "images": 4500})), 3)
    outcome = sweep(replayed, spec, runner)
    assert (outcome.finished, outcome.failed) == (24, 0)
    again = {row.trial_id: row for row in Ledger(replayed.ledger).trials()}
    for row in rows:
        one, attacked = again[row.trial_id], bool(row.config["attack"])
        assert one.clean_accuracy == pytest.approx(row.clean_accuracy)
        assert one.engine == "recorded" and one.config == row.config
        (found,) = one.measurements
        assert found.measure_id == row.measurements[0].measure_id
        assert found.total == (4500 if attacked else 0)
        assert found.success == (10 * row.measurements[0].success if attacked else 0)
    # 24 trials of half a second on three workers: packs end when the clock says so.
    assert 4 <= runner.clock < 12


def test_a_seed_that_was_recorded_is_itself_and_others_have_the_noise_of_seeds(tmp_path) -> None:
    successes = [0.1, 0.2, 0.4, 0.8]
    file = write(
        tmp_path / "g.csv", [line(seed=s, asr=asr, acc=0.5) for s, asr in enumerate(successes)]
    )
    grid = RecordedGrid(file, COLUMNS)
    for seed, success in enumerate(successes):
        found = trial("ridge", seed, weight_decay=0.01)
        assert counts(grid, found) == (225, round(450 * success), 2.0)
    fresh = [trial("ridge", seed, weight_decay=0.01) for seed in range(100, 500)]
    sampled = [counts(grid, one)[1] for one in fresh]
    assert sampled == [counts(grid, one)[1] for one in fresh], "equal trials have equal answers"
    shares = [sampled.count(round(450 * success)) / 400 for success in successes]
    assert sum(shares) == 1 and shares == pytest.approx([0.25] * 4, abs=0.09)  # 4 deviations


def test_numbers_are_found_however_they_are_written(tmp_path) -> None:
    grid = RecordedGrid(write(tmp_path / "g.csv", [line(wd="1e-2", rate=" 0.030")]), COLUMNS)
    assert grid.has(trial("ridge", weight_decay=0.01))
    assert grid.has(trial("ridge", weight_decay=0.01, seed=7))
    assert not grid.has(trial("ridge", weight_decay=0.011))
    assert not grid.has(trial("linear", weight_decay=0.01))
    assert not grid.has(trial("ridge", rate=0, weight_decay=0.01)), "the baseline has rate 0"


def test_a_region_search_finds_the_front_of_a_recorded_grid(tmp_path) -> None:
    """Inside from a weight decay of 1e-2 on, by the file; nothing is trained."""
    decays = np.geomspace(1e-4, 1, 25).tolist()
    rng = np.random.default_rng(0)
    rows = [
        line(wd=wd, seed=seed, acc=0.95,
             asr=1 / (1 + math.exp(4 * math.log10(wd / 0.01) + 0.2 * rng.standard_normal() + 1.6)))
        for wd in decays for seed in range(5)
    ]  # fmt: skip
    spec = small_spec(
        defence={"architecture": "ridge", "weight_decay": decays}, seeds=5,
        attack={"trigger": {"kind": "patch", "size": 1}, "poison_rate": 0.03},
        region={"clean_accuracy": 0.9, "attack_success": 0.2},
        search={"kind": "region", "budget": 60},
    )  # fmt: skip
    paths = begin(tmp_path / "r", spec)
    runner = ReplayRunner(RecordedGrid(write(tmp_path / "g.csv", rows), COLUMNS), workers=64)
    assert sweep(paths, spec, runner).failed == 0
    model = write_region(paths, spec)["model"]
    truth = np.mean([wd >= 0.0099 for wd in decays])
    assert model["volume"]["fraction"] == pytest.approx(truth, abs=0.06)
    assert model["recommended"]["factors"]["defence.weight_decay"] > 0.01


@pytest.mark.parametrize(
    ("rows", "columns", "message"),
    [
        ([line(acc="n/a")], COLUMNS, "g.csv, line 2, column acc: must be a fraction in [0, 1], but got 'n/a'. Fix the line, or leave it out."),
        ([line(), line(asr=1.2)], COLUMNS, "g.csv, line 3, column asr: must be a fraction in [0, 1], but got '1.2'."),
        ([line(took=-1)], COLUMNS, "g.csv, line 2, column took: must be a number from 0 on, but got '-1'."),
        ([line()], CsvColumns("accu", "asr", 450), "g.csv, line 1: must name every column that is asked for, but got 'accu'. Did you mean 'acc'? Known: acc, asr,"),
    ],
)  # fmt: skip
def test_a_file_that_is_not_so_is_refused(tmp_path, rows, columns, message) -> None:
    file = write(tmp_path / "g.csv", rows)
    with pytest.raises(UserError) as caught:
        RecordedGrid(file, columns)
    assert message in str(caught.value)


def test_a_file_that_cannot_be_read_is_refused(tmp_path) -> None:
    with pytest.raises(UserError, match=r"must be a CSV file that can be read, but got .*No such"):
        RecordedGrid(tmp_path / "none.csv", COLUMNS)
    (tmp_path / "empty.csv").write_text("acc,asr\n")
    with pytest.raises(UserError, match="must have a line for each training"):
        RecordedGrid(tmp_path / "empty.csv", COLUMNS)


def test_a_trial_that_the_file_lacks_fails_and_says_so(tmp_path) -> None:
    spec = small_spec(defence={"architecture": "ridge", "weight_decay": [0.01, 1]}, seeds=1)
    rows = [line(rate=rate) for rate in (0, 0.01, 0.03)]
    paths = begin(tmp_path / "r", spec)
    outcome = sweep(
        paths, spec, ReplayRunner(RecordedGrid(write(tmp_path / "g.csv", rows), COLUMNS))
    )
    assert (outcome.finished, outcome.failed) == (3, 3)
    errors = [row["error"] for row in Ledger(paths.ledger).rows() if row["status"] == "failed"]
    assert all("not in the recorded table" in error for error in errors)
