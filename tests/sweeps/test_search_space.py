"""From a recorded configuration back to branch and leaf values, and to Optuna's parameters."""

import json

import numpy as np
import optuna
import pytest
from small import small_spec

from backdoor.config import build_defence
from sweeps.search.parameters import Parameters

WIDE = {
    "architecture": [
        {"kind": "linear", "learning_rate": {"log": [0.01, 0.1]}},
        {"kind": "mlp", "width": [8, {"int": [16, 32]}], "weight_decay": 0.5},
        "mlp",
        {"kind": "mlp", "width": 48},
    ],
    "regularizer": ["none", {"kind": "logit_squeezing", "strength": {"log": [0.001, 1]}}],
    "weight_decay": [0, 0.1, {"log": [0.01, 1]}, {"uniform": [2, 3]}],
    "epochs": {"int": [1, 9]},
}  # fmt: skip


@pytest.fixture(scope="module")
def space():
    return small_spec(defence=WIDE, search={"kind": "random", "points": 3}).defence


@pytest.fixture(scope="module")
def closed():
    """A space with factors that have no effect: ridge has neither epochs nor learning rate."""
    defence = {"architecture": ["ridge", "linear"], "weight_decay": WIDE["weight_decay"][1:], "epochs": [3, 5],
               "momentum": {"uniform": [0, 0.5]}}  # fmt: skip
    return small_spec(defence=defence, search={"kind": "random", "points": 3}).defence


def canonical(assignment):
    return build_defence(assignment).active()


def recorded(assignment):
    """As the ledger gives it back."""
    return json.loads(json.dumps(canonical(assignment)))


@pytest.mark.parametrize("name", ["space", "closed"])
def test_every_point_is_found_again(name, request) -> None:
    space, rng = request.getfixturevalue(name), np.random.default_rng(0)
    points = [space.sample(rng) for _ in range(300)] + [p for p, _ in space.ends()]
    met = set()
    for point in points:
        branch, values = space.locate(recorded(point), canonical)
        assert canonical(space.branches[branch].assignment(values)) == canonical(point)
        met.add(branch)
        for (_, leaf), value in zip(space.branches[branch].leaves, values, strict=True):
            assert leaf.find(value) is not None
    assert len(met) == len(space.branches)


def test_values_come_back_as_the_spec_writes_them(space, closed) -> None:
    mlp = {
        "architecture": {"kind": "mlp", "width": 20.0},
        "regularizer": "none",
        "weight_decay": 0.5,
        "epochs": 2,
    }
    branch, values = space.locate(recorded(mlp), canonical)
    assert space.branches[branch].kinds == (("architecture", "mlp"), ("regularizer", "none"))
    assert dict(zip([n for n, _ in space.branches[branch].leaves], values, strict=True)) == {
        "architecture.width": 20, "weight_decay": 0.5, "epochs": 2}  # fmt: skip
    branch, values = closed.locate(
        recorded({"architecture": "ridge", "weight_decay": 0.1}), canonical
    )
    assert values == [0.1, 3, 0.0]  # what has no effect is at its first end


@pytest.mark.parametrize(
    "point",
    [
        {"architecture": "convnet", "regularizer": "none", "weight_decay": 0.1, "epochs": 2},
        {"architecture": {"kind": "mlp", "width": 47}, "weight_decay": 0.1, "epochs": 2},
        {"architecture": "linear", "learning_rate": 0.05, "weight_decay": 1.5, "epochs": 2},
        {"architecture": "linear", "learning_rate": 0.05, "weight_decay": 0.1, "epochs": 10},
        {"architecture": "linear", "learning_rate": 0.2, "weight_decay": 0.1, "epochs": 2},
        {
            "architecture": "linear",
            "learning_rate": 0.05,
            "momentum": 0.3,
            "weight_decay": 0.1,
            "epochs": 2,
        },
    ],
)
def test_what_lies_outside_is_not_found(space, point) -> None:
    assert space.locate(recorded(point), canonical) is None


@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize("name", ["space", "closed"])
def test_parameters_of_a_point_lead_back_to_it(name, flat, request) -> None:
    space, rng = request.getfixturevalue(name), np.random.default_rng(1)
    parameters, names = Parameters(space, flat), set()
    for _ in range(100):
        point = canonical(space.sample(rng))
        fixed = parameters.fixed(*space.locate(point, canonical), rng)
        trial = optuna.trial.FixedTrial(fixed)
        assert canonical(parameters.suggest(trial)) == point
        assert trial.params == fixed  # all of them are asked for, none is left over
        names.add(frozenset(fixed))
    assert (len(names) == 1) == flat


def test_names_say_branch_and_leaf_and_single_values_have_none(space) -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    trial = study.ask()
    Parameters(space, True).suggest(trial)
    kinds = trial.distributions
    assert kinds["branch"].choices[:2] == ("linear+none#0", "linear+logit_squeezing#1")
    assert kinds["linear+none#0.weight_decay"] == optuna.distributions.CategoricalDistribution(
        range(4)
    )
    assert kinds["linear+none#0.weight_decay[2]"] == optuna.distributions.FloatDistribution(
        0.01, 1, log=True
    )
    assert kinds["linear+none#0.weight_decay[3]"] == optuna.distributions.FloatDistribution(2, 3)
    assert kinds["linear+none#0.epochs[0]"] == optuna.distributions.IntDistribution(1, 9)
    assert kinds["mlp+none#2.architecture.width[1]"] == optuna.distributions.IntDistribution(16, 32)
    assert "mlp+none#2.weight_decay" not in kinds
