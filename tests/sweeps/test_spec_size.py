"""Sweeps that plan too much are refused at once; what is planned is counted without listing it."""

from __future__ import annotations

import pytest
from small import SMALL, small_spec

from backdoor.errors import UserError
from sweeps.packs.counting import count_packs
from sweeps.packs.pack import PackSettings, count_by_engine, make_packs
from sweeps.search import make_search
from sweeps.search.planned import planned_points, planned_trials
from sweeps.spec import parse_spec
from sweeps.spec.size import MOST_ATTACKS, MOST_POINTS

LOG = {"log": [0.01, 1], "steps": 5}
THOUSAND = {"uniform": [0.1, 1], "steps": 1000}
DEFENCES = [
    {"architecture": ["linear", "ridge"], "weight_decay": [0.1, LOG], "learning_rate": LOG,
     "regularizer": ["none", {"kind": "dropout", "rate": [0.1, 0.2]}]},
    {"architecture": [{"kind": "mlp", "width": [32, 64], "weight_decay": [0.1, 0.2]},
                      {"kind": "mlp", "width": 64}], "epochs": {"int": [1, 5], "steps": 9}},
    {"architecture": ["linear", "logistic", "ridge"], "weight_decay": LOG, "epochs": [1, 3]},
]  # fmt: skip
SEARCHES = [{"kind": "grid"}, {"kind": "random", "points": 20}, {"kind": "sobol", "points": 32}]


@pytest.mark.parametrize(
    ("defence", "search", "stopping"),
    [
        (DEFENCES[0], SEARCHES[0], None),
        (DEFENCES[0], SEARCHES[1], {"kind": "median"}),
        (DEFENCES[1], SEARCHES[0], {"kind": "median"}),
        (DEFENCES[2], SEARCHES[0], None),
        (DEFENCES[2], SEARCHES[2], {"kind": "median"}),
    ],
)
def test_counts_are_those_of_all_trials(defence, search, stopping) -> None:
    sections = {} if stopping is None else {"stopping": stopping}
    spec = small_spec(defence=defence, search=search, seeds=2, **sections)
    asking, trials = make_search(spec), []
    while not asking.finished:
        trials += asking.ask(100)
    packs = make_packs(trials, PackSettings.of(spec))
    ids, points = {t.trial_id for t in trials}, {t.defence_id for t in trials}
    assert len(ids) == len(trials)
    assert planned_trials(spec) == (len(ids), len(points))
    counted = count_packs(spec, planned_points(spec))
    engines = {name: (own, packs) for name, (packs, own) in count_by_engine(packs).items()}
    assert (counted.points, counted.trials) == (len(points), len(ids))
    assert (counted.packs, counted.engines) == (len(packs), engines)


def test_a_grid_is_made_point_by_point() -> None:
    spec = small_spec(defence={"architecture": "linear", "weight_decay": THOUSAND,
                               "learning_rate": {"uniform": [0.1, 1], "steps": 30}})  # fmt: skip
    search = make_search(spec)
    search.ask(1)
    following = next(search.points)
    assert following.learning_rate == pytest.approx(0.1 + 0.9 / 29)  # the second of 30,000


def test_repeats_of_inactive_factors_end_no_grid() -> None:
    decays = {"log": [0.01, 1], "steps": 20}
    defence = {"architecture": "ridge", "weight_decay": decays, "learning_rate": THOUSAND, "momentum": [0, 0.5]}  # fmt: skip
    spec = small_spec(defence=defence)
    assert planned_trials(spec)[1] == 20


def of(**factors):
    return {"defence": {"architecture": "linear"} | factors}


REFUSED = [
    (of(weight_decay=THOUSAND, learning_rate=THOUSAND),
     "search: must plan at most 100,000 defence points and 1,000,000 trials, but got '1,000,000 points x 3 attacks x 2 seeds = 6,000,000 trials'. Use fewer `steps` or values, or draw some of the points: --set 'search={kind: sobol, points: 1024}'."),
    (of(weight_decay={"uniform": [0, 1], "steps": 10**8}), "defence.weight_decay.steps: must be at most 1,000,000, but got 100000000."),
    (of(weight_decay={"uniform": [0, 1], "steps": 1e8}), "defence.weight_decay.steps: must be at most 1,000,000, but got 100000000."),
    (of(epochs={"int": [1, 10**9], "steps": 10**9}), "defence.epochs.steps: must be at most 1,000,000"),
    ({"search": {"kind": "random", "points": 10**6}}, "search.points: must plan at most 100,000 defence points"),
    ({"search": {"kind": "sobol", "points": 10**6}}, "search.points: must plan at most 100,000 defence points"),
    ({"search": {"kind": "optuna", "points": 100}, "seeds": 10_000}, "search.points: must plan at most 100,000 defence points and 1,000,000 trials, but got '100 points x 3 attacks x 10,000 seeds = 3,000,000 trials'. Ask for at most 33: --set search.points=33."),
    ({"attack": {"trigger": "patch", "poison_rate": {"uniform": [0, 1], "steps": 100_000}}}, f"attack: must list at most {MOST_ATTACKS:,} attacks, but got '100,000'."),
    ({"attack": {"trigger": {"kind": "patch", "value": THOUSAND}, "poison_rate": THOUSAND, "target": [0, 1]}}, "attack: must list at most 10,000 attacks, but got '2,000,000'."),
    ({"seeds": list(range(20_000))}, "seeds: must be at most 10,000 seeds, but got '20,000'."),
    ({"defence": {"architecture": [{"kind": "mlp", "width": i} for i in range(1, 200)], "regularizer": [{"kind": "dropout", "rate": i / 200} for i in range(200)]}}, "defence: must list at most 20,000 values over all combinations of kinds"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "message"), REFUSED)
def test_what_plans_too_much(change, message) -> None:
    with pytest.raises(UserError) as caught:
        parse_spec(SMALL | {"search": {"kind": "grid"}} | change)
    assert str(caught.value.mistakes[0]).startswith(message)


def test_what_is_repeated_or_inactive_does_not_count() -> None:
    ridge = {"architecture": "ridge", "weight_decay": THOUSAND, "learning_rate": THOUSAND}
    assert parse_spec(SMALL | {"defence": ridge})
    int_steps = of(epochs={"int": [1, 10], "steps": 1_000})
    assert planned_trials(parse_spec(SMALL | int_steps))[1] == 10
    largest = of(weight_decay={"uniform": [0, 1], "steps": MOST_POINTS})
    assert parse_spec(SMALL | largest | {"seeds": 1})


@pytest.mark.parametrize(
    ("change", "note"),
    [
        (of(weight_decay=[0.5, {"uniform": [0, 1], "steps": 3}]), "defence.weight_decay: 0.5 and {uniform: [0, 1], steps: 3} have values in common, which are trained once"),
        (of(weight_decay=[LOG, {"log": [0.01, 0.1], "steps": 2}]), "defence.weight_decay: {log: [0.01, 1], steps: 5} and {log: [0.01, 0.1], steps: 2} have values in common, which are trained once"),
        ({"defence": {"architecture": ["mlp", {"kind": "mlp", "width": [32, 64]}]}}, "defence: entries for mlp have points in common, which are trained once"),
        ({"defence": {"architecture": ["linear", {"kind": "linear", "weight_decay": 0.1}], "weight_decay": 0.1}}, "defence: entries for linear have points in common, which are trained once"),
        ({"attack": {"trigger": "patch", "source": [[1, 2], [2, 1]]}}, "attack: 1 of 2 attacks repeat another, and count once"),
    ],
)  # fmt: skip
def test_choices_that_overlap_are_said(change, note) -> None:
    assert parse_spec(SMALL | change).notes == (note,)


@pytest.mark.parametrize(
    "change",
    [
        of(weight_decay=[0.4, {"uniform": [0, 1], "steps": 3}]),
        of(weight_decay=[0, LOG]),
        {"defence": {"architecture": ["mlp", {"kind": "mlp", "width": [32, 128]}]}},
        {"attack": {"trigger": ["patch", {"kind": "patch", "size": 2}], "poison_rate": [0, 0.1]}},
    ],
)
def test_choices_that_differ_need_no_note(change) -> None:
    assert parse_spec(SMALL | change).notes == ()
