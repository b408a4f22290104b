"""Optuna's samplers: what they are told, how many points wait, and what a resumed search knows."""

import json
import warnings
from statistics import median

import optuna
import pytest
from small import begin, results, small_spec, sweep
from trials import fake_rows

from backdoor.config import build_defence
from backdoor.engines.convex import Convex
from backdoor.engines.packed import Packed
from backdoor.errors import StoredDataError
from sweeps.ledger import Ledger
from sweeps.region.panel import criteria_of
from sweeps.region.point_table import region_of
from sweeps.runners.replay import ReplayRunner
from sweeps.runners.serial import SerialRunner
from sweeps.scheduling.loop import run_search
from sweeps.search import make_search
from sweeps.search.parameters import Parameters
from sweeps.spec.samplers import SAMPLERS

WIDE = {
    "architecture": ["linear", {"kind": "mlp", "width": [8, 16]}, "ridge"],
    "weight_decay": [0.5, {"log": [1e-4, 1]}],
    "epochs": {"int": [1, 9]},
}
#: Seven points: ridge has no epochs.
FEW = {"architecture": ["linear", "ridge"], "weight_decay": [0.1], "epochs": [1, 2, 3, 4, 5, 6]}
QUICK = {
    "tpe": {"n_startup_trials": 4},
    "gp": {"n_startup_trials": 10},
    "nsga2": {"population_size": 4},
}


def spec_of(sampler="tpe", defence=WIDE, points=10, region=None, **search):
    search = {"kind": "optuna", "sampler": sampler, "points": points,
              "options": QUICK.get(sampler, {}), **search}  # fmt: skip
    return small_spec(defence=defence, search=search, region=region)


def run(folder, spec, runner=None, search=None):
    """The paths and the search of a sweep that ran to its end."""
    paths, search = begin(folder, spec), search or make_search(spec)
    outcome = run_search(spec, Ledger(paths.ledger), search, runner or SerialRunner(fake_rows))
    assert outcome.finished + outcome.failed == len(results(paths))
    return paths, search


def name_of(spec, trial):
    """The defence id that an Optuna trial stands for, found by its parameters alone."""
    point = Parameters(spec.defence, False).suggest(optuna.trial.FixedTrial(trial.params))
    return spec.trial(build_defence(point), None, 0).defence_id


def known(spec, search):
    """Defence id → what Optuna holds of it."""
    return {
        name_of(spec, t): (t.state.name, t.values, t.constraints)
        for t in search.study.trials
        if t.state.is_finished()
    }


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_runs_to_its_end_in_silence(sampler, tmp_path, capfd) -> None:
    spec = spec_of(sampler, points=11)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        paths, search = run(tmp_path / "r", spec)
    assert [str(w.message) for w in caught if "optuna" in str(w.filename)] == []
    assert not [w for w in caught if "xperimental" in str(w.message)]
    assert capfd.readouterr().err == ""
    rows = Ledger(paths.ledger).rows()
    assert len({row["defence_id"] for row in rows}) == 11 and len(rows) == 11 * 3 * 2
    assert json.loads(paths.sweep.read_text())["planned"] == 66 and search.finished
    assert set(known(spec, search)) == {row["defence_id"] for row in rows}


def test_the_model_is_used_once_enough_is_known(tmp_path) -> None:
    """Clean accuracy and attack success both want a high weight decay: so does TPE, soon."""
    defence = {"architecture": "linear", "weight_decay": {"log": [1e-4, 1]}}

    def rows_of(pack):
        rows = fake_rows(pack).to_pylist()
        for row, trial in zip(rows, pack.trials, strict=True):
            row["class_correct"] = [int(50 * trial.defence.weight_decay**0.25)] * 10
            for m in row["measurements"]:
                m["success"] = int(450 * (1 - trial.defence.weight_decay**0.25))
        return type(fake_rows(pack)).from_pylist(rows, schema=fake_rows(pack).schema)

    for sampler, points in (("tpe", 16), ("gp", 7)):
        spec = spec_of(sampler, defence, points, options={"n_startup_trials": 6}, pending=1)
        _, search = run(tmp_path / sampler, spec, SerialRunner(rows_of))
        decays = [t.params["linear#0.weight_decay[0]"] for t in search.study.trials]
        assert median(decays[6:]) > 0.2 > median(decays[:6])


def test_objectives_are_the_figures_of_the_region(tmp_path) -> None:
    spec = spec_of(points=6, region={"clean_accuracy": 0.85, "attack_success": 0.3})
    paths, search = run(tmp_path / "r", spec)
    table = {
        p["defence_id"]: p for p in region_of(criteria_of(spec), Ledger(paths.ledger))["points"]
    }
    reported = known(spec, search)
    assert set(reported) == set(table) and len(reported) == 6
    feasible = set()
    for name, (state, values, constraints) in reported.items():
        clean, success = table[name]["clean_accuracy"], table[name]["attack_success"]
        assert state == "COMPLETE" and values == pytest.approx([clean, success])
        assert constraints == pytest.approx(
            {"attack_success": success - 0.3, "clean_accuracy": 0.85 - clean}
        )
        if table[name]["by_means"] == "IN":
            feasible.add(name)
    assert search.study.directions == [
        optuna.study.StudyDirection.MAXIMIZE,
        optuna.study.StudyDirection.MINIMIZE,
    ]
    assert feasible and feasible != set(reported), "the thresholds have lost their point"
    assert {name_of(spec, t) for t in search.study.best_trials} <= feasible


def test_a_threshold_below_the_best_is_no_constraint(tmp_path) -> None:
    spec = spec_of(points=3, region={"clean_accuracy": "best - 0.05", "attack_success": 0.3})
    _, search = run(tmp_path / "r", spec)
    assert all(set(t.constraints) == {"attack_success"} for t in search.study.trials)


class Watched:
    """A search that notes its points, pending and proposed; each proposed only once a session."""

    def __init__(self, spec) -> None:
        self.inner, self.open, self.proposed, self.most = make_search(spec), {}, [], 0

    def ask(self, limit):
        asked = self.inner.ask(limit)
        for trial in asked:
            if trial.defence_id not in self.proposed:
                self.proposed.append(trial.defence_id)
            self.open.setdefault(trial.defence_id, set()).add(trial.trial_id)
        self.most = max(self.most, sum(map(bool, self.open.values())))
        return asked

    def tell(self, rows):
        for row in rows.to_pylist():
            self.open.get(row["defence_id"], set()).discard(row["trial_id"])
        self.inner.tell(rows)

    def __getattr__(self, name):
        return getattr(self.inner, name)


@pytest.mark.parametrize("pending", [1, 3, 50])
def test_no_more_points_wait_than_allowed(pending, tmp_path) -> None:
    """With eight workers on a simulated clock, packs of different points run side by side."""
    grid = small_spec(defence=FEW)
    real = begin(tmp_path / "real", grid)
    sweep(real, grid, SerialRunner(fake_rows))
    spec = spec_of(defence=FEW, points=7, pending=pending)
    watched = Watched(spec)
    paths, _ = run(tmp_path / "r", spec, ReplayRunner(Ledger(real.ledger), workers=8), watched)
    assert watched.most == min(pending, 7)
    assert len(watched.proposed) == len(set(watched.proposed)) == 7
    assert results(paths) == results(real)


def test_pending_points_are_running_optuna_trials_and_waiting_is_no_end() -> None:
    spec = spec_of(pending=2)
    search = make_search(spec)
    asked = search.ask(5) + search.ask(4096)
    assert len({t.defence_id for t in asked}) == 2 and len(asked) == 2 * 3 * 2
    assert search.ask(4096) == [] and not search.finished
    assert [t.state.name for t in search.study.trials] == ["RUNNING"] * 2
    assert {name_of(spec, t) for t in search.study.trials} == {t.defence_id for t in asked}


@pytest.mark.parametrize("sampler", ["tpe", "nsga2", "qmc", "random"])
def test_an_exhausted_space_ends_the_search_and_repeats_cost_nothing(sampler, tmp_path) -> None:
    spec = spec_of(sampler, FEW, points=60)
    trained = []

    def work(pack):
        trained.extend(t.trial_id for t in pack.trials)
        return fake_rows(pack)

    paths, search = run(tmp_path / "r", spec, SerialRunner(work))
    assert len(trained) == len(set(trained)) == 7 * 3 * 2 == search.size
    assert json.loads(paths.sweep.read_text())["planned"] == 42
    assert len(search.study.trials) > 7, "no point was repeated: the test has lost its point"
    reported = known(spec, search)
    for trial in search.study.trials:  # a repeat is told what the first one was
        assert (trial.state.name, trial.values, trial.constraints) == reported[name_of(spec, trial)]


def test_a_failed_point_is_told_as_failed_and_tried_again_on_resume(tmp_path) -> None:
    spec = spec_of(defence=FEW, points=7)
    bad = spec.trial(build_defence({"architecture": "linear", "weight_decay": 0.1, "epochs": 4}), spec.panel[0], 1)  # fmt: skip

    def work(pack):
        if any(t.trial_id == bad.trial_id for t in pack.trials):
            raise RuntimeError("this one breaks it")
        return fake_rows(pack)

    paths, search = run(tmp_path / "r", spec, SerialRunner(work))
    reported = known(spec, search)
    assert reported[bad.defence_id] == ("FAIL", None, {})
    assert [state for state, _, _ in reported.values()].count("COMPLETE") == 6

    again, trained = make_search(spec), []

    def record(pack):
        trained.extend(t.trial_id for t in pack.trials)
        return fake_rows(pack)

    run_search(spec, Ledger(paths.ledger), again, SerialRunner(record))
    assert trained == [bad.trial_id]
    assert known(spec, again)[bad.defence_id][0] == "COMPLETE"


@pytest.fixture
def small_packs(monkeypatch):
    """The trials of a point are spread over packs, so that a stop leaves points incomplete."""
    for engine in (Convex, Packed):
        monkeypatch.setattr(engine, "max_pack", 4)


def stop_after(packs):
    left = [packs]

    def work(pack):
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return fake_rows(pack)

    return SerialRunner(work)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_resumed_search_knows_all_and_proposes_nothing_twice(
    sampler, tmp_path, small_packs
) -> None:
    spec = spec_of(sampler, points=11 if sampler == "gp" else 12, pending=2)
    first, paths = Watched(spec), begin(tmp_path / "r", spec)
    with pytest.raises(KeyboardInterrupt):
        run_search(spec, Ledger(paths.ledger), first, stop_after(11))
    before = known(spec, first)
    complete = [n for n in first.proposed if not first.open[n]]
    incomplete = [n for n in first.proposed if first.open[n]]
    assert len(complete) >= 5 and incomplete and set(before) <= set(complete)

    second, trained = Watched(spec), []
    second.tell(Ledger(paths.ledger).table())
    asked = second.ask(4096)
    after = known(spec, second)
    assert set(after) == set(complete)
    for name, (state, values, constraints) in before.items():
        assert after[name][0] == state and after[name][1] == pytest.approx(values)
        assert after[name][2] == pytest.approx(constraints)
    recorded = set(results(paths))
    begun = [n for n in incomplete if n in {r["defence_id"] for r in Ledger(paths.ledger).rows()}]
    assert [t.defence_id for t in asked if t.defence_id in begun] == [
        t.defence_id for t in asked[: sum(t.defence_id in begun for t in asked)]
    ]  # what was begun comes first,
    assert not recorded & {t.trial_id for t in asked}  # and only what it lacks
    assert set(begun) <= {t.defence_id for t in asked}

    def work(pack):
        trained.extend(t.trial_id for t in pack.trials)
        return fake_rows(pack)

    third = Watched(spec)
    run_search(spec, Ledger(paths.ledger), third, SerialRunner(work))
    assert not recorded & set(trained) and len(trained) == len(set(trained))
    assert not set(complete) & set(third.proposed)
    rows = Ledger(paths.ledger).rows()
    assert (
        len({r["defence_id"] for r in rows}) == spec.search.points
        and len(rows) == spec.search.points * 6
    )


def test_a_complete_sweep_resumes_to_nothing(tmp_path) -> None:
    spec = spec_of(points=4)
    paths, _ = run(tmp_path / "r", spec)
    search = make_search(spec)
    search.tell(Ledger(paths.ledger).table())
    assert search.finished and search.ask(4096) == []


def test_nsga2_breeds_from_what_it_knew_before(tmp_path, small_packs) -> None:
    spec = spec_of("nsga2", points=9, pending=1)
    paths = begin(tmp_path / "r", spec)
    with pytest.raises(KeyboardInterrupt):
        run_search(spec, Ledger(paths.ledger), make_search(spec), stop_after(11))
    search = make_search(spec)
    search.tell(Ledger(paths.ledger).table())
    search.ask(4096)
    sampler, study = search.study.sampler, search.study
    done = [t for t in study.trials if t.state.is_finished()]
    assert len(done) >= 4
    assert sampler.get_trial_generation(study, study.trials[-1]) == len(done) // 4
    parents = sampler.get_parent_population(study, 1)
    assert {t.number for t in parents} == {t.number for t in done[:4]}


def test_a_qmc_sequence_goes_on_where_it_stopped(tmp_path, small_packs) -> None:
    spec = spec_of("qmc", points=16, pending=1)
    whole, _ = run(tmp_path / "whole", spec)
    paths = begin(tmp_path / "r", spec)
    with pytest.raises(KeyboardInterrupt):
        run_search(spec, Ledger(paths.ledger), make_search(spec), stop_after(21))
    sweep(paths, spec, SerialRunner(fake_rows))
    expected = {row["defence_id"] for row in Ledger(whole.ledger).rows()}
    found = {row["defence_id"] for row in Ledger(paths.ledger).rows()}
    assert len(expected & found) >= 15  # the first point of all is a random one


def test_a_ledger_of_another_space_is_refused(tmp_path) -> None:
    paths, _ = run(tmp_path / "r", spec_of(defence=FEW, points=3))
    other = make_search(spec_of(defence={**FEW, "weight_decay": [0.2]}))
    with pytest.raises(StoredDataError, match="must hold points of the spec's defence space only"):
        other.tell(Ledger(paths.ledger).table())


def test_equal_seeds_give_equal_sweeps(tmp_path) -> None:
    def points(name, seed):
        _, search = run(tmp_path / name, spec_of(points=8, seed=seed))
        return [name_of(search._spec, t) for t in search.study.trials]

    assert points("a", 0) == points("b", 0) != points("c", 1)
