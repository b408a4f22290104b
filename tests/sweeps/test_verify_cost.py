"""What a verification is announced to take, from rows and measurements that are made up."""

import datetime
import platform
from dataclasses import replace
from types import SimpleNamespace

import pytest
from small import begin, small_spec, sweep
from trials import fake_result, trial

from sweeps.cost.pack_cost import Asked, Budget, measure_shapes
from sweeps.cost.pack_parts import train_images, units_of
from sweeps.cost.recorded_cost import RecordedCost
from sweeps.ledger import Ledger, finished_rows
from sweeps.packs.pack import Pack, PackSettings
from sweeps.runners.serial import SerialRunner
from sweeps.verify.expected_cost import (
    TrainingCost,
    budget_for,
    closing_seconds,
    combined,
    nothing_measured,
    smaller,
    start_seconds,
    training_cost,
)
from sweeps.verify.plan import VerificationSettings
from sweeps.verify.run import verification

HERE = platform.node()
LINEAR = {"architecture": {"kind": "linear", "weight_decay": [0, 0.01, 0.02]}, "epochs": 3}


def pack(trials: int, sets: int, architecture="mlp", **defence) -> Pack:
    """So many trials of as many training sets, in turn."""
    found = [
        trial(architecture, seed=n % sets, weight_decay=0.001 * (n // sets), **defence)
        for n in range(trials)
    ]
    return Pack(tuple(found), PackSettings(()))


def rows_of(known: Pack, training: float, other: float, name: str, **changes):
    """The rows of a pack that took so many seconds of training, and others."""
    count = len(known.trials)
    for one in known.trials:
        given = {
            "pack_id": name, "seed": one.seed, "attack_id": one.attack_id, "finished": True,
            "seconds": (training + other) / count, "train_seconds": training / count,
            "config": one.canonical, "reused_from": None, "host": HERE, "finished_at": 0.0,
        }  # fmt: skip
        yield SimpleNamespace(**{**given, **changes})


def recorded(*packs) -> RecordedCost:
    """Packs with their seconds of training and others."""
    return RecordedCost(
        row for n, (known, *taken) in enumerate(packs) for row in rows_of(known, *taken, str(n))
    )


def test_training_is_in_proportion_to_trials_and_epochs_where_one_pack_is_known() -> None:
    known = recorded((pack(8, 8, epochs=10), 4.0, 0.8))
    assert known.seconds(pack(8, 8, epochs=10)) == pytest.approx(4.8)
    # 4 s of training become 8 s for twice the trials, and 4 s for half the epochs.
    assert known.seconds(pack(16, 16, epochs=5)) == pytest.approx(4.0 + 1.6)


def test_what_is_not_training_lies_between_a_share_of_trials_and_one_of_training_sets() -> None:
    known = recorded((pack(24, 6, epochs=10), 0.0001, 1.0))
    # By trials 1.0 * 24 / 24, by training sets 1.0 * 24 / 6: the geometric mean is 2.
    assert known.seconds(pack(24, 24, epochs=10)) == pytest.approx(2.0, abs=1e-3)
    closed = recorded((pack(24, 6, "ridge"), 0.9, 0.1))
    assert closed.seconds(pack(24, 24, "ridge")) == pytest.approx(2.0)
    assert closed.seconds(pack(24, 6, "ridge")) == pytest.approx(1.0)


def test_packs_of_other_sizes_are_on_the_line_through_those_known() -> None:
    sizes = [8, 8, 12, 16, 4]
    known = recorded(*((pack(n, n, epochs=10), 2.0 + 0.1 * n, 0.0) for n in sizes))
    # The smallest is the slowest for its size; without it the line is the same.
    assert known.seconds(pack(64, 64, epochs=10)) == pytest.approx(2.0 + 6.4)


def test_the_pack_that_loads_libraries_is_left_out() -> None:
    packs = [(pack(1, 1, epochs=10), taken, 0.0) for taken in (9.0, 0.5, 0.5, 0.5)]
    assert recorded(*packs).seconds(pack(1, 1, epochs=10)) == pytest.approx(0.5)


def test_a_pack_is_compared_with_those_of_its_width_before_others_of_its_kind() -> None:
    narrow, wide = ({"kind": "mlp", "width": width} for width in (8, 64))
    known = recorded(
        (pack(4, 4, narrow, epochs=10), 1.0, 0.0), (pack(4, 4, wide, epochs=10), 5.0, 0.0),
        (pack(4, 4, "linear", epochs=10), 0.1, 0.0),
    )  # fmt: skip
    assert known.seconds(pack(4, 4, narrow, epochs=10)) == pytest.approx(1.0)
    assert known.seconds(pack(4, 4, wide, epochs=20)) == pytest.approx(10.0)
    assert known.seconds(pack(4, 4, {"kind": "mlp", "width": 16}, epochs=10)) == pytest.approx(3.0)


def test_packs_with_stopped_failed_or_adopted_trials_say_nothing() -> None:
    one = pack(4, 4, epochs=10)
    for change in ({"finished": False}, {"seconds": None}, {"reused_from": "other"}):
        assert not RecordedCost(rows_of(one, 1.0, 0.0, "a", **change))


def test_recorded_packs_cover_those_of_about_their_size() -> None:
    known = recorded((pack(24, 6, epochs=10), 4.0, 0.8))
    assert known.covers([pack(32, 32, epochs=10), pack(17, 17, epochs=10)])
    assert not known.covers([pack(48, 48, epochs=10)])
    assert not known.covers([pack(24, 24, "linear", epochs=10)])
    closed = recorded((pack(24, 6, "ridge"), 0.9, 0.1))
    assert closed.covers([pack(24, 6, "ridge")]) and not closed.covers([pack(24, 24, "ridge")])


def test_what_was_not_measured_is_scaled_as_what_was() -> None:
    assert combined([1.0, 2.0, 4.0], [3.0, 3.0, None]) == [3.0, 3.0, 8.0]
    assert combined([1.0, 2.0], [None, None]) == [1.0, 2.0]


@pytest.mark.parametrize(
    ("total", "workers", "trusted", "least"),
    [
        (1.0, 1, False, None),  # not worth it
        (10.0, 1, True, 2.0),  # a fifth of it
        (1000.0, 1, True, 5.0),
        (1000.0, 2, True, None),  # the sweep's packs were slowed down by each other as well
        (1000.0, 2, False, 5.0),
        (30.0, 2, False, None),  # shorter than loading libraries in two processes
    ],
)
def test_measuring_may_take_5_seconds_or_5_percent(total, workers, trusted, least) -> None:
    budget = budget_for(total, workers, trusted)
    assert budget == (None if least is None else Budget(pytest.approx(least), 0.05))


def test_interruptions_lengthen_all_parts_alike() -> None:
    """A processor that this process has for half of the time, in slices: parts that are interrupted
    and parts that are not tell the same of a step."""
    now = {"clock": 0.0, "timer": 0.0, "parts": 0}

    def train(one: Pack) -> None:
        steps = -(-train_images(one.trials[0]) // one.trials[0].training.batch_size)
        took = 0.2 + 0.001 * steps * one.trials[0].defence.epochs
        now["timer"] += took
        now["parts"] += 1
        now["clock"] += took * (1.0 if now["parts"] % 2 else 3.0)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sweeps.cost.pack_cost.train_pack", train)
        one = pack(4, 4, epochs=50)
        asked, clocks = Asked(one, units_of(one), 1), (lambda: now["clock"], lambda: now["timer"])
        (line,) = measure_shapes([asked], clock=clocks[0], timer=clocks[1])
    assert line is not None
    factor = now["clock"] / now["timer"]
    assert line.fixed == pytest.approx(0.2 * factor)
    assert line.each == pytest.approx(0.001 * factor)


def test_workers_share_packs_and_halve_long_ones() -> None:
    cost = TrainingCost(((4, 30.0), (4, 10.0)), {})
    assert cost.total == 40.0 and cost.on(1) == 40.0 and cost.on(4) == 10.0
    assert cost.on(40) == 10.0, "packs of several trials are halved where workers are idle"
    assert TrainingCost(((1, 30.0), (1, 10.0)), {}).on(4) == 30.0, "a single training is not"


@pytest.mark.parametrize(
    ("first", "start"), [(2.0, 32.5**0.5), (6.5, 6.5), (26.0, 13.0), (800.0, 390**0.5)]
)
def test_ray_takes_as_long_to_start_as_for_the_sweep_within_limits(first, start) -> None:
    began = datetime.datetime.fromisoformat("2026-01-01T00:00:00+00:00")
    one = pack(4, 4, epochs=10)
    rows = [*rows_of(one, 3.0, 1.0, "a", finished_at=began.timestamp() + first + 4.0)]
    assert start_seconds(rows, began.isoformat()) == pytest.approx(start)
    assert start_seconds(rows, began.isoformat(), 4.0) == pytest.approx(2 * start)
    assert start_seconds([], began.isoformat()) == 6.5
    assert start_seconds(rows, "last year") == 6.5


def test_the_end_takes_longer_the_longer_the_region_took_to_read() -> None:
    assert closing_seconds(0.0, report=False, slow=2.0) == 1.0
    assert closing_seconds(0.5, report=True, slow=2.0) == 1.0 + 1.0 + 2.0


@pytest.fixture
def case(tmp_path):
    """A sweep whose trainings took 0.01 s each, verified by four draws, and its rows."""

    def work(pack, **_):
        made = [fake_result(one, pack.settings.measures) for one in pack.trials]
        good = [replace(r, class_correct=(480,), class_total=(500,), host=HERE) for r in made]
        good = [
            replace(r, measurements=tuple(replace(m, success=0) for m in r.measurements))
            for r in good
        ]
        return finished_rows(good, pack.pack_id)

    thresholds = {"clean_accuracy": 0.9, "attack_success": 0.2, "confidence": 0.95}
    spec = small_spec(defence=LINEAR, region=thresholds, seeds=3)
    paths = begin(tmp_path / "r", spec)
    sweep(paths, spec, SerialRunner(work))
    found = verification(paths, spec, VerificationSettings(59, 5), ())
    return found, Ledger(paths.ledger).trials()


def test_the_cost_of_a_plan_is_that_of_its_packs(case) -> None:
    found, rows = case
    plan = found.plan
    trials = {one.trial_id for one in plan.trials(found.spec)}
    seen = []

    def measured(packs, workers, budget):
        seen.append((len(packs), workers, budget))
        return [2.0 * len(one.trials) for one in packs]

    cost = training_cost(plan, found.spec, rows, (), 1, True, measured)
    assert cost is not None and cost.measured is not None
    assert sum(count for count, _ in cost.packs) == len(trials) == len(cost.shares)
    assert cost.total == pytest.approx(2.0 * len(trials)) == cost.seconds(plan, found.spec)
    assert seen[0][1] == 1 and 0 < seen[0][2].least <= 5.0
    plain = training_cost(plan, found.spec, rows, (), 1, True, nothing_measured)
    assert plain is not None and plain.measured is None
    assert plain.total == pytest.approx(0.01 * len(trials), rel=1e-6)
    some = set(sorted(trials)[:10])
    less = training_cost(plan, found.spec, rows, some, 1, True, nothing_measured)
    assert less is not None and less.total == pytest.approx(0.01 * (len(trials) - 10), rel=1e-6)
    assert training_cost(plan, found.spec, rows, trials, 1, True, measured) is None


def test_training_that_fails_while_measured_leaves_the_sweep_as_the_basis(case) -> None:
    found, rows = case

    def broken(packs, workers, budget):
        raise RuntimeError("out of order")

    cost = training_cost(found.plan, found.spec, rows, (), 1, True, broken)
    assert cost is not None and cost.measured is None


def test_a_smaller_claim_costs_its_share_of_the_draws(case) -> None:
    found, rows = case
    cost = training_cost(found.plan, found.spec, rows, (), 1, True, nothing_measured)
    assert cost is not None
    less = smaller(found.plan, found.spec, cost, None)
    assert less is not None
    settings, seconds = less
    inside = sum(draw.stratum == "inside" for draw in found.plan.draws)
    assert (settings.claim, settings.draws, inside) == (0.9, 29, 59)
    assert seconds == pytest.approx(cost.total * 29 / 59, rel=1e-6)
