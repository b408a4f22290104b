"""Whose fault a failure is: each rule, and random clusters with bad nodes and bad trials."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest
from made_clusters import (
    DIES,
    DIES_UNKNOWN,
    HANGS,
    MEMORY,
    RAISES,
    TIME,
    FixedList,
    Node,
    Simulation,
    World,
    feed_of,
    trials_of,
)
from trials import trial

from backdoor.config import measure_id
from sweeps.packs.pack import Pack, PackSettings
from sweeps.records.failure import HANG, OPEN, PREEMPTED, TRIAL, Failure
from sweeps.records.failure import MEMORY as LARGE
from sweeps.records.failure import TIME as LATE
from sweeps.scheduling.failure_judge import FailureJudge, Verdict
from sweeps.scheduling.retries import Retries

SETTINGS = PackSettings((trial().attack.measure(),))


def pack(*seeds: int, settings: PackSettings = SETTINGS, **changes: Any) -> Pack:
    return Pack(tuple(trial(seed=seed, **changes) for seed in seeds), settings)


def ids(*packs: Pack) -> tuple[str, ...]:
    return tuple(each.trial_id for one in packs for each in one.trials)


def on(node: str | None, cause: str = OPEN, **more: Any) -> Failure:
    return Failure("ValueError: x", cause, node_id=node, **more)


def test_a_trial_that_fails_twice_on_a_fit_node_is_at_fault() -> None:
    judge, bad = FailureJudge(), pack(1)
    judge.succeeded([pack(2)], "a")
    assert judge.failed(bad, on("a")) == Verdict(late=(bad,))
    judge.succeeded([pack(3)], "a")
    assert judge.failed(bad, on("a")) == Verdict(on("a", TRIAL), bad)


def test_a_node_may_break_at_any_moment() -> None:
    """Two failures on a node that was fit before, and is not known to be fit now."""
    judge, fit = FailureJudge(), pack(1)
    judge.succeeded([pack(2)], "a")
    assert judge.believed(*ids(fit)) is None, "it has not failed yet"
    judge.failed(fit, on("a"))
    assert judge.believed(*ids(fit)) == [], "the next failure is compared with a reference"
    assert judge.failed(fit, on("a")) == Verdict(), "it waits"
    judge.succeeded([pack(3)], "b")
    assert judge.decide(*ids(fit)) is None
    judge.reference_passed("a")
    assert judge.decide(*ids(fit)) == on("a", TRIAL)
    assert judge.believed(*ids(fit)) == ["a", "b"]


def test_a_trial_that_waits_is_judged_at_the_next_success_where_it_failed() -> None:
    retries, one = Retries(), pack(1)
    assert retries.succeeded([pack(2)], "a") == []
    retries.failed(one, on("a"))
    assert retries.failed(one, on("a")) == Verdict() and retries.parked == [one]
    assert retries.succeeded([pack(5)], "b") == [Verdict(late=(one,))], "the first success there"
    retries.parked = [one]
    assert retries.succeeded([pack(6)], "b") == [] and retries.parked == [one]
    assert retries.succeeded([pack(3)], "a") == [Verdict(on("a", TRIAL), one)]
    assert retries.parked == [] and retries.open_trials == {}


def test_a_node_that_fails_its_check_takes_what_failed_there_with_it() -> None:
    judge, first, fit = FailureJudge(), pack(1), pack(4)
    judge.succeeded([pack(2)], "a")
    judge.failed(first, on("a"))
    judge.succeeded([pack(3)], "a")  # the first failure is the trial's
    judge.failed(fit, on("a"))
    judge.check_failed("a")
    assert judge.believed(*ids(fit)) is None, "it is as if it had not failed"
    assert judge.believed(*ids(first)) == [], "this stays, and no node is believed"
    judge.reference_passed("a")  # it is back
    assert judge.failed(first, on("a")).recorded == on("a", TRIAL)


def test_what_fails_on_one_node_where_nothing_succeeded_waits() -> None:
    judge, one = FailureJudge(), pack(1)
    assert judge.failed(one, on("a")) == Verdict(late=(one,))
    assert judge.failed(one, on("a")) == Verdict()
    judge.succeeded([pack(2)], "b")
    assert judge.failed(one, on("b")) == Verdict(late=(one,)), "only one of three counts"
    assert judge.hopeless() == []


def test_five_different_configurations_and_none_anywhere() -> None:
    judge = FailureJudge()
    for seed in range(4):
        judge.failed(pack(seed), on("a"))
        judge.failed(pack(seed), on("a"))
    assert judge.hopeless() == []
    judge.failed(pack(4), on("b"))
    assert [each.node_id for each in judge.hopeless()] == [*"aaaa", "b"]
    judge.succeeded([pack(9)], "c")
    assert judge.hopeless() == []


def test_a_trial_that_is_alone_on_three_lost_workers() -> None:
    judge, one, lost = FailureJudge(), pack(1), on("a", PREEMPTED)
    for _ in range(5):
        assert judge.lost(one, lost, alone=False) == Verdict(again=(one,))
    for _ in range(2):
        assert judge.lost(one, lost, alone=True) == Verdict(again=(one,))
    assert judge.lost(one, lost, alone=True) == Verdict(lost, one)
    two = pack(2, 3)
    verdicts = [judge.lost(two, lost, alone=True) for _ in range(3)]
    assert verdicts[-1] == Verdict(again=two.halves())


def test_too_little_memory_halves_and_then_counts_twice() -> None:
    judge, four = FailureJudge(), pack(1, 2, 3, 4)
    assert judge.failed(four, on("a", LARGE)) == Verdict(again=four.halves())
    one = pack(1)
    assert judge.failed(one, on("a", LARGE)) == Verdict(late=(one,))
    assert judge.failed(one, on("b", LARGE)) == Verdict(on("b", LARGE), one)


@pytest.mark.parametrize(("cause", "declared", "times"), [(HANG, True, 2), (HANG, False, 2), (LATE, False, 2), (LATE, True, 1)])  # fmt: skip
def test_hangs_and_deadlines_count_for_themselves(cause, declared, times) -> None:
    judge, one = FailureJudge(declared), pack(1)
    failures = [on(node, cause) for node in "ab"]
    verdicts = [judge.failed(one, each) for each in failures[:times]]
    assert verdicts == [*[Verdict(late=(one,))] * (times - 1), Verdict(failures[times - 1], one)]


def test_a_pack_is_divided_into_suspects_and_others() -> None:
    judge, four = FailureJudge(), pack(1, 2, 3, 4)
    suspected = on("a", suspects=ids(pack(2)))
    others, culprit = pack(1, 3, 4), pack(2)
    assert judge.failed(four, suspected) == Verdict(again=(others,), late=(culprit,))
    first, second = four.halves()
    assert judge.failed(four, on("a")) == Verdict(again=(first,), late=(second,))
    assert judge.failed(four, on("a", suspects=("strange",))) == Verdict(again=(first,), late=(second,))  # fmt: skip


def test_a_trigger_that_always_ends_the_process() -> None:
    """Three deaths in its images, on a node where something else has succeeded."""
    judge = FailureJudge()
    judge.succeeded([pack(9, rate=0)], "a")
    packs = [pack(2 * i, 2 * i + 1) for i in range(3)]
    died = [on("a", died=True, suspects=ids(each)) for each in packs]
    assert all(judge.failed(*each).recorded is None for each in zip(packs[:2], died[:2], strict=True))  # fmt: skip
    assert judge.failed(packs[2], died[2]) == Verdict(died[2].because(TRIAL), packs[2])
    judge = FailureJudge()
    judge.succeeded([pack(9)], "a")  # the trigger works
    assert all(judge.failed(*each).recorded is None for each in zip(packs, died, strict=True))


def test_a_clean_baseline_goes_without_a_measure_that_fails() -> None:
    measures = (
        trial().attack.measure(),
        trial(trigger={"kind": "patch", "size": 2}).attack.measure(),
    )
    settings = PackSettings(measures)
    judge, clean = FailureJudge(), pack(1, 2, rate=0, settings=settings)
    broken = on("a", measures=(measure_id(measures[1]),))
    assert judge.failed(clean, broken).again == clean.halves()[:1], "the node may be at fault"
    judge.succeeded([pack(9)], "a")
    (less,) = judge.failed(clean, broken).again
    assert less.without == ((measure_id(measures[1]), "ValueError: x"),)
    assert judge.broken_measures == dict(less.without)


KINDS = [RAISES, DIES, DIES_UNKNOWN, HANGS, MEMORY, TIME]


def random_world(chance: random.Random, trials: list[Any]) -> World:
    """The first node is fit. Others may fail everything, from a moment on, told by their check or
    not, for ever or for a while; trials may be bad; workers may be lost."""
    nodes = [Node(f"n{i}") for i in range(chance.randint(1, 4))]
    for node in nodes[1:]:
        if chance.random() < 0.5:
            node.bad_from, node.told = chance.choice([0, chance.randint(1, 15)]), chance.random() < 0.5  # fmt: skip
            node.heals_at = chance.choice([float("inf"), chance.randint(5, 40)])
    share = chance.choice([0, 0.1, 0.3])
    bad = {t.trial_id: chance.choice(KINDS) for t in trials if chance.random() < share}
    return World(nodes, bad, chance.choice([0, 0, 0.1]))


SLOW = [pytest.param(seed, marks=pytest.mark.slow) for seed in range(8, 100)]


@pytest.mark.parametrize("seed", [*range(8), *SLOW])
def test_only_bad_trials_fail_whatever_nodes_do(tmp_path, monkeypatch, seed) -> None:
    chance = random.Random(seed)
    trials = trials_of(chance.randint(5, 20), chance.randint(1, 5))
    world, waits = random_world(chance, trials), chance.random() < 0.4
    batches = [trials[i::3] for i in range(3)] if waits else [trials]
    feed = feed_of(tmp_path, FixedList(*batches, waits=waits))
    simulation = Simulation(feed, world, seed, chance.randint(1, 2))
    simulation.run(monkeypatch)
    assert feed.done and not feed._running and not simulation.configs
    if feed.error is not None:  # no fit trial has come to the fit node before five had failed
        assert "none succeeded anywhere" in str(feed.error)
        assert not feed.ledger.failed and not feed.ledger.finished
        return
    failed = {row["trial_id"]: row["error"] for row in feed.ledger.rows() if row["error"]}
    # That is the rule for one that was alone on three lost workers.
    culprits = {*world.bad, *(each for each, why in failed.items() if why == "the node was lost")}
    fit = {each.trial_id for each in trials} - culprits
    assert not feed.ledger.failed & fit, "a fit trial was recorded as failed"
    assert fit <= feed.ledger.finished
    if len(fit) > 1:
        assert feed.ledger.failed == culprits
    assert len(world.attempts) <= 5 * len(trials) + 20


@pytest.mark.parametrize("seed", range(3))
def test_where_all_nodes_are_bad_the_sweep_ends_with_open_trials(
    tmp_path, monkeypatch, seed
) -> None:
    told = seed % 2 == 0
    world = World([Node(f"n{i}", bad_from=0, told=told) for i in range(1 + seed)])
    feed = feed_of(tmp_path, FixedList(trials_of(20, 4)))
    simulation = Simulation(feed, world, seed)
    simulation.run(monkeypatch)
    why = "no node can train" if told else r"5 configurations failed, .* none succeeded anywhere"
    with pytest.raises(Exception, match=why):
        raise feed.error
    assert feed.done and not feed.ledger.failed and not simulation.configs
    assert told or len(feed.retries.open_trials) >= 5


@pytest.mark.parametrize("seed", range(4))
def test_an_interrupt_ends_it_with_packs_that_wait(tmp_path, monkeypatch, seed) -> None:
    trials = trials_of(20, 4)
    world = World([Node("a"), Node("b", bad_from=1)], {trials[0].trial_id: RAISES})
    feed = feed_of(tmp_path, FixedList(trials))
    simulation = Simulation(feed, world, seed)

    def stop() -> None:
        if feed.retries.late or feed.retries.parked:
            feed.stopping.set()

    simulation.run(monkeypatch, stop)
    assert feed.done and feed.error is None and not feed._running and not simulation.configs
    assert not feed.ledger.failed


@pytest.mark.parametrize("seed", [*range(8), *SLOW])
def test_triggers_that_fail_cost_no_clean_baseline(tmp_path, monkeypatch, seed) -> None:
    """Whenever the driver looks: while a worker trains a reference trial, nothing else may be left
    to do."""
    chance = random.Random(seed)
    count = chance.randint(2, 8)
    triggers = [{"kind": "patch", "size": 1 + i} for i in range(count)]
    ways = [RAISES, DIES, MEMORY] if chance.random() < 0.5 else [RAISES]
    failing = chance.randint(1, count - 1)
    ways = [chance.choice(ways) if i < failing else "" for i in range(count)]
    learners = ["linear", "mlp", "ridge"][: chance.randint(1, 3)]
    cells = list(itertools.product(learners, range(chance.randint(1, 2))))
    clean = [trial(learner, seed=own, rate=0) for learner, own in cells]
    bad, attacks = {}, []
    for learner, own in cells:
        of_cell = [trial(learner, seed=own, trigger=trigger) for trigger in triggers]
        bad |= {t.trial_id: way for t, way in zip(of_cell, ways, strict=True) if way}
        attacks += of_cell
    measures = tuple(each.attack.measure() for each in of_cell)
    nodes = [Node(f"n{i}") for i in range(chance.choice([1, 1, 2, 3]))]
    broken = {measure_id(m): way for m, way in zip(measures, ways, strict=True) if way}
    trials = [*clean, *attacks]
    feed = feed_of(tmp_path, FixedList(trials), measures=measures)
    Simulation(feed, World(nodes, bad, broken=broken), seed, chance.randint(1, 2)).run(monkeypatch)
    if feed.error is not None:  # by chance these came before all fit ones
        assert "none succeeded anywhere" in str(feed.error) and not feed.ledger.ended
        return
    assert feed.ledger.failed == set(bad)
    assert feed.ledger.finished == {each.trial_id for each in trials} - set(bad)
