"""Region search: the space as columns, and the search in a sweep."""

import json
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from small import begin, results, small_spec, sweep
from trials import fake_rows

from backdoor.config import build_defence
from backdoor.errors import StoredDataError
from sweeps.answer.write import write_region
from sweeps.ledger import Ledger, failed_rows
from sweeps.levelset.encoding import SpaceDomain, encode_panel
from sweeps.levelset.membership import probability, summary
from sweeps.packs.pack import Pack, PackSettings
from sweeps.records.incident import ATTEMPT
from sweeps.runners.replay import ReplayRunner
from sweeps.runners.serial import SerialRunner
from sweeps.scheduling.loop import run_search
from sweeps.search import make_search
from sweeps.search.level_set import inactive_leaves
from sweeps.space.axis import axis_of
from sweeps.space.space import Range
from sweeps.storage.incident_log import IncidentLog

WIDE = {
    "architecture": ["linear", {"kind": "mlp", "width": [8, 16, 64]}, "ridge"],
    "weight_decay": [0, {"log": [1e-4, 1]}],
    "learning_rate": {"log": [0.001, 1]},
    "epochs": {"int": [1, 9]},
}
FEW = {"architecture": "ridge", "weight_decay": [0.1, 1]}


def spec_of(defence=WIDE, budget=30, **changes):
    search = {"kind": "region", "budget": budget, "pending": 6, **changes.pop("search", {})}
    return small_spec(defence=defence, search=search, **changes)


def domain_of(spec):
    return SpaceDomain(spec.defence, inactive_leaves(spec.defence))


# --- encoding ------------------------------------------------------------------------------------


def test_numbers_lie_on_their_scale_and_words_have_codes() -> None:
    assert axis_of([Range(0.001, 1, "log")]).encode(0.001**0.5) == [pytest.approx(0.5)]
    assert axis_of([Range(0, 10, "uniform")]).encode(2.5) == [0.25]
    assert axis_of([8, 16, 512]).encode(64) == [pytest.approx(0.5)]  # wide: by logarithms
    assert axis_of([1, 2, 5]).encode(2) == [0.25]
    assert axis_of(["a", "b"]).encode("b") == [1.0] and axis_of(["a"]).categories == ()
    assert axis_of([7]).categories == () and axis_of([True, False]).categories == (2,)


def test_a_zero_beside_a_log_range_is_a_category_at_its_low_end() -> None:
    axis = axis_of([0, Range(0.001, 1, "log")])
    assert axis.categories == (0, 2)
    assert axis.encode(0) == [0.0, 0.0]
    assert axis.encode(0.001) == [0.0, 1.0] and axis.encode(1) == [1.0, 1.0]
    assert axis.encode(0.0) == axis.encode(0), "another branch may write it so"


def test_every_drawn_point_is_a_point_of_the_space_and_comes_back() -> None:
    spec = spec_of()
    domain = domain_of(spec)
    points = domain.sample(200, 3)
    assert points.shape == (200, len(domain.columns))
    numbers = points[:, domain.columns.numbers]
    assert (numbers >= 0).all() and (numbers <= 1).all()
    for point in points:
        assignment = domain.decode(point)
        active = build_defence(assignment).active()
        located = spec.defence.locate(active, lambda a: build_defence(a).active())
        assert located is not None and np.array_equal(domain.encode(*located), point)
    assert Counter(domain.group(points).tolist()).keys() == {0, 1, 2}


@pytest.mark.parametrize("defence", [
    WIDE, FEW, {**WIDE, "epochs": [1, 2, {"int": [4, 9]}], "learning_rate": {"uniform": [0.5, 2]}},
    {"architecture": "linear", "weight_decay": [1e-4, 0.1, {"log": [0.001, 0.01]}], "epochs": 3},
    {"architecture": [{"kind": "mlp", "width": {"int": [4, 9]}}, {"kind": "mlp", "width": {"int": [7, 20]}}]},
    {"architecture": "linear", "epochs": 3},
])  # fmt: skip
def test_near_points_are_the_exact_ones_but_for_rounding(defence) -> None:
    """Also where a branch has points of another one, and where nothing varies."""
    spec = spec_of(defence)
    domain = SpaceDomain(
        spec.defence, inactive_leaves(spec.defence), lambda a: build_defence(a).active()
    )
    positions = domain.positions(500, 4)
    exact, near = domain.at(positions), domain.near(positions)
    assert np.array_equal(exact, domain.sample(500, 4))
    assert near == pytest.approx(exact, abs=1e-9)
    codes = domain.columns.codes
    assert np.array_equal(near[:, codes], exact[:, codes])
    assert np.array_equal(domain.at(positions[7:9]), exact[7:9])


def test_factors_without_effect_have_one_place() -> None:
    """All ridge points of one weight decay are one point, whatever their epochs."""
    spec = spec_of()
    domain = domain_of(spec)
    leaves = [name for name, _ in spec.defence.branches[2].leaves]
    values = dict.fromkeys(leaves, None) | {"weight_decay": 0.5}
    one, other = ({**values, "epochs": e, "learning_rate": r} for e, r in ((1, 0.5), (9, 0.01)))
    assert np.array_equal(
        domain.encode(2, [one[n] for n in leaves]), domain.encode(2, [other[n] for n in leaves])
    )
    assert not np.array_equal(
        domain.encode(0, [one[n] for n in leaves]), domain.encode(0, [other[n] for n in leaves])
    )


def test_the_panel_is_encoded_by_trigger_rate_and_target() -> None:
    attack = {
        "trigger": [{"kind": "patch", "size": [1, 2]}, "sine"],
        "poison_rate": [0.01, 0.1],
        "target": [0, 5, 7],
    }
    spec = spec_of(attack=attack)
    panel = encode_panel([a.identity() for a in spec.panel])
    assert len(panel) == 18 and sorted(panel.columns.categories) == [0, 0, 2, 3]
    assert len(np.unique(panel.points, axis=0)) == 18
    single = encode_panel([spec.panel[0].identity()])
    assert single.points.shape == (1, 0)


# --- in a sweep ----------------------------------------------------------------------------------


class Watched:
    """A search that notes how many of its trials wait, and what it proposed."""

    def __init__(self, spec) -> None:
        self.inner, self.open, self.asked, self.most = make_search(spec), set(), [], 0

    def ask(self, limit):
        found = self.inner.ask(limit)
        self.asked += found
        self.open |= {t.trial_id for t in found}
        self.most = max(self.most, len(self.open))
        return found

    def tell(self, rows):
        self.open -= set(rows["trial_id"].to_pylist())
        self.inner.tell(rows)

    def __getattr__(self, name):
        return getattr(self.inner, name)


def run(folder, spec, work=fake_rows):
    paths, search = begin(folder, spec), Watched(spec)
    run_search(spec, Ledger(paths.ledger), search, SerialRunner(work))
    return paths, search


def test_a_budget_is_spent_on_distinct_trials_of_the_panel(tmp_path) -> None:
    spec = spec_of(budget=40, seeds=3)
    paths, search = run(tmp_path / "r", spec)
    assert len(results(paths)) == 40 == len({t.trial_id for t in search.asked}) == search.size
    assert search.finished and search.most == 6
    assert json.loads(paths.sweep.read_text())["planned"] == 40
    assert {t.attack for t in search.asked} == set(spec.panel)
    assert {t.seed for t in search.asked} == {0, 1, 2}


def test_asked_without_an_answer_it_waits() -> None:
    search = make_search(spec_of())
    assert len(search.ask(4096)) == 6 and search.ask(4096) == [] and not search.finished


def test_a_finite_space_is_exhausted_without_repeats(tmp_path) -> None:
    spec = spec_of(FEW, budget=500, seeds=2)
    paths, search = run(tmp_path / "r", spec)
    assert len(results(paths)) <= 2 * 2 * 2 and search.finished


@pytest.mark.parametrize("decays", [[1, 0.1], [1, 10]])
def test_a_point_of_two_branches_is_one_point(tmp_path, decays) -> None:
    """Each branch asked for all of its seeds, and there were none left for the second one."""
    second = {"kind": "ridge", "weight_decay": decays}
    spec = spec_of(
        {"architecture": ["ridge", second], "weight_decay": [0.1, 1]}, budget=99, seeds=2
    )
    paths, search = run(tmp_path / "r", spec)
    rows = results(paths)
    distinct = len({0.1, 1, *decays})
    assert search.finished and len(rows) == distinct * 2 * len(spec.panel)
    again = make_search(spec)
    again.tell(Ledger(paths.ledger).table())
    assert (
        again.optimizer.used_up
        and len(set(p.tobytes() for p in again.optimizer.points)) == distinct
    )


ONE = {"architecture": "ridge", "weight_decay": 0.1}


def test_a_space_of_one_point_has_an_answer(tmp_path) -> None:
    """It has no columns at all, and fewer trials than a search elsewhere begins with."""
    spec = spec_of(ONE, budget=500, seeds=2)
    paths, search = run(tmp_path / "r", spec)
    assert search.finished and len(results(paths)) == 2 * len(spec.panel)
    model = write_region(paths, spec)["model"]
    assert model["trials"] == 4 and model["space"].keys() == {"IN", "OUT", "UNDECIDED"}
    assert model["stopped_by"] == "every point has had all of its seeds" and model["next"] == []


def test_a_small_space_where_every_trial_fails_ends_too(tmp_path) -> None:
    def work(pack):
        raise RuntimeError("this one breaks it")

    spec = spec_of(FEW, budget=500, seeds=1, attack={"trigger": "patch", "poison_rate": 0.03})
    paths, search = run(tmp_path / "r", spec, work)
    assert results(paths) == {} and not search.finished, "on one machine, where nothing succeeds"
    tried = [each for each in IncidentLog(paths.incidents).read() if each.what == ATTEMPT]
    assert len({each.trial_ids for each in tried if len(each.trial_ids) == 1}) == 2
    assert write_region(paths, spec)["model"] is None


def test_where_all_has_failed_the_search_goes_on_with_other_points() -> None:
    """Of the reference points, none twice."""
    spec, asked = spec_of(budget=40, seeds=1, search={"pending": None}), []
    search = make_search(spec)
    while not search.finished:
        asked += (more := search.ask(4096))
        assert more, "nothing is under way"
        search.tell(failed_rows(more, "pack", "this one breaks it"))
    assert len({trial.trial_id for trial in asked}) == len(asked) == 40


def test_failed_trials_are_not_asked_for_again(tmp_path) -> None:
    def work(pack):
        if any(t.seed == 1 for t in pack.trials):
            raise RuntimeError("this one breaks it")
        return fake_rows(pack)

    paths, search = run(tmp_path / "r", spec_of(budget=30), work)
    asked = [t.trial_id for t in search.asked]
    assert len(asked) == len(set(asked)) == 30
    statuses = Counter(row["status"] for row in results(paths).values())
    assert statuses["failed"] > 3 and statuses["finished"] > 3


def test_a_resumed_search_goes_on_within_the_budget(tmp_path) -> None:
    spec, left = spec_of(budget=36), [4]

    def work(pack):
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return fake_rows(pack)

    paths = begin(tmp_path / "r", spec)
    with pytest.raises(KeyboardInterrupt):
        sweep(paths, spec, SerialRunner(work))
    before = set(results(paths))
    assert 4 <= len(before) < 36
    again = Watched(spec)
    run_search(spec, Ledger(paths.ledger), again, SerialRunner(fake_rows))
    assert not before & {t.trial_id for t in again.asked} and len(results(paths)) == 36
    done = make_search(spec)
    done.tell(Ledger(paths.ledger).table())
    assert done.finished and done.ask(4096) == []
    assert done.optimizer.trials_known == 36


def test_a_ledger_of_another_space_is_refused(tmp_path) -> None:
    paths, _ = run(tmp_path / "r", spec_of(FEW, budget=4))
    other = make_search(spec_of({"architecture": "ridge", "weight_decay": [5]}, budget=4))
    with pytest.raises(StoredDataError, match="must hold points of the spec's defence space only"):
        other.tell(Ledger(paths.ledger).table())


def test_gpu_hours_end_the_search_before_they_are_overspent(tmp_path) -> None:
    def work(pack):
        rows = fake_rows(pack).to_pylist()
        return type(fake_rows(pack)).from_pylist(
            [r | {"seconds": 60.0} for r in rows], schema=fake_rows(pack).schema
        )

    budget = {"trials": 300, "gpu_hours": 0.1}  # twelve minutes of half a GPU: twelve trials
    spec = spec_of(budget=budget, resources={"gpu": 0.5})
    paths, search = run(tmp_path / "r", spec, work)
    assert len(results(paths)) in range(10, 13) and search.finished


@pytest.mark.parametrize("pending", [None, 50])
def test_gpu_hours_are_spent_to_the_last_trial_whatever_the_batch(tmp_path, pending) -> None:
    """Where a whole batch does not fit, a part of it is asked for: a search that neither asks nor
    ends has a runner wait for ever."""

    def work(pack):
        rows = fake_rows(pack)
        column = pa.array([60.0] * rows.num_rows)
        return rows.set_column(rows.schema.get_field_index("seconds"), "seconds", column)

    budget = {"trials": 300, "gpu_hours": 19.5 / 120}  # of half a GPU: 19 minutes and a half
    spec = spec_of(PLANE, budget=budget, resources={"gpu": 0.5}, search={"pending": pending})
    paths, search = run(tmp_path / "r", spec, work)
    assert search.finished and search.ask(1) == []
    assert len(results(paths)) == 19
    why = write_region(paths, spec)["model"]["stopped_by"]
    assert why == "its budget of 0.1625 GPU-hours is spent"


def test_the_region_of_real_digits_is_found_before_the_budget_is_spent(tmp_path) -> None:
    """Ridge on digits: a strong weight decay loses accuracy, a weak one keeps the backdoor."""
    spec = spec_of(
        {"architecture": "ridge", "weight_decay": {"log": [0.001, 1000]}}, budget=200, seeds=20,
        region={"clean_accuracy": 0.8, "attack_success": 0.3}, search={"pending": 10},
        attack={"trigger": [{"kind": "patch", "size": 1}], "poison_rate": [0.01, 0.03]},
    )  # fmt: skip
    paths = begin(tmp_path / "r", spec)
    search = make_search(spec)
    run_search(spec, Ledger(paths.ledger), search, SerialRunner())
    assert search.finished and 60 <= len(results(paths)) < 200
    optimizer = search.optimizer
    found = summary(
        probability(optimizer.current(), optimizer.reference), optimizer.settings.confidence
    )
    assert found.expected_f1 >= 0.96 or found.undecided <= 0.005


# --- how many at once ----------------------------------------------------------------------------


#: A region of fake results, which depend on nothing: the whole of a small budget is spent.
NEVER_CERTAIN = {"clean_accuracy": 0.9, "attack_success": 0.3}
PLANE = {"architecture": "linear", "weight_decay": {"log": [1e-4, 1]}, "learning_rate": {"log": [0.01, 1]}}  # fmt: skip


def answered(search, spec, trials, seconds):
    rows = fake_rows(Pack(tuple(trials), PackSettings(spec.measures)))
    place, column = rows.schema.get_field_index("seconds"), pa.array([seconds] * len(trials))
    search.tell(rows.set_column(place, "seconds", column))


@pytest.mark.parametrize(("seconds", "then"), [(0.1, 8), (60.0, 4)])
def test_trials_that_last_seconds_come_in_batches_two_at_most(seconds, then) -> None:
    """Unless `pending` says how many; longer trials are worth waiting for, four at a time."""
    spec = spec_of(PLANE, budget=300, search={"pending": None})
    search = make_search(spec)
    design = search.ask(4096)
    assert len(design) == search.optimizer.initial > 8, (
        "the initial design depends on no result: all at once"
    )
    answered(search, spec, design, seconds)
    first = search.ask(4096)
    assert len(first) == then
    assert len(search.ask(4096)) == (8 if then == 8 else 0)
    assert not search.ask(4096)
    answered(search, spec, first, seconds)
    assert len(search.ask(4096)) == then
    assert len(make_search(spec_of(search={"pending": 3})).ask(4096)) == 3


@pytest.mark.parametrize("seconds", [0.1, 60.0])
def test_as_many_trials_as_workers_are_under_way(seconds) -> None:
    spec = spec_of(PLANE, budget=300, search={"pending": None})
    search = make_search(spec)
    few = search.ask(4096)
    search.workers = 32  # known once a cluster has said so
    rest = search.ask(4096)
    assert len(few) < len(few + rest) == 32, "the initial design has as many"
    answered(search, spec, few, seconds)
    out = list(rest)
    while more := search.ask(4096):
        out += more
    assert len(out) == 36, "32, and a few that are ready"
    answered(search, spec, out[:3], seconds)
    assert not search.ask(4096), "several together: an ask takes a part of a second"
    answered(search, spec, out[3:4], seconds)
    assert len(search.ask(4096)) == {60.0: 4, 0.1: 8}[seconds]
    small = spec_of(PLANE, budget=40, search={"pending": None})
    search = make_search(small)
    search.workers = 32
    asked = [trial for _ in range(200) for trial in search.ask(4096)]
    assert len(asked) == 20, "half of the budget is left for what is learned"


def test_workers_that_nothing_is_asked_for_change_nothing() -> None:
    """With `pending`, and before it is known how long trials last of which hours are counted."""
    gpu = {"resources": {"gpu": 1}}
    budget = {"trials": 300, "gpu_hours": 2}
    for changes in ({"pending": 4}, {"pending": None, "budget": budget}):
        spec = spec_of(PLANE, budget=300, search=changes, **gpu)
        alone, wide = make_search(spec), make_search(spec)
        wide.workers = 64
        asked = wide.ask(4096)
        assert asked == alone.ask(4096) and not wide.ask(4096)
        assert wide.optimizer.initial == alone.optimizer.initial < 20
    assert len(asked) == alone.optimizer.initial
    answered(wide, spec, asked, 600.0)
    assert wide.finished, "twelve trials of ten minutes are two hours"


def test_a_search_with_many_workers_may_end_before_its_budget() -> None:
    search = make_search(spec_of(PLANE, budget=300, search={"pending": None}))
    search.workers, before = 256, search.optimizer.enough
    assert len(search.ask(4096)) == 150 and search.optimizer.enough == before < 150


class Fabricated:
    """Answers for every trial, each of which took so many seconds."""

    def __init__(self, seconds) -> None:
        self.each = seconds

    def has(self, trial):
        return True

    def seconds(self, trial):
        return self.each

    def rows(self, pack):
        rows = fake_rows(pack)
        place = rows.schema.get_field_index("seconds")
        return rows.set_column(place, "seconds", pa.array([self.each] * len(pack.trials)))


@pytest.mark.parametrize("seconds", [2.0, 30.0])
def test_no_worker_of_a_cluster_idles(tmp_path, seconds) -> None:
    """Eight of them, on a simulated clock; at its end some have nothing left to do."""
    spec = spec_of(PLANE, budget=64, search={"pending": None}, region=NEVER_CERTAIN)
    runner = ReplayRunner(Fabricated(seconds), workers=8)
    assert sweep(begin(tmp_path / "r", spec), spec, runner).finished == 64
    assert 64 * seconds / (8 * runner.clock) > 0.8
