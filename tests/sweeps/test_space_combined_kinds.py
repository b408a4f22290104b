"""Regularizers that act together as one value of a sweep's axis."""

import json

import numpy as np
import optuna
import pytest
from small import begin, small_spec, sweep

from backdoor.config import build_defence
from backdoor.errors import UserError
from sweeps.ledger import load_results
from sweeps.levelset.encoding import SpaceDomain
from sweeps.runners.serial import SerialRunner
from sweeps.search.parameters import Parameters

SQUEEZE = {"kind": "logit_squeezing", "strength": {"log": [0.01, 1]}}
AXIS = [
    "none",
    SQUEEZE,
    [{"kind": "gaussian_noise", "sigma": [0.1, 0.2]}, SQUEEZE],
    [{**SQUEEZE, "weight_decay": 0.5}, "dropout", {"kind": "manifold_mixup", "layers": ["0", "0,1"]}],
    ["dropout"],
]  # fmt: skip
DEFENCE = {"architecture": ["mlp", "ridge"], "regularizer": AXIS, "weight_decay": 0.01}


def spec(axis=AXIS, **changes):
    defence = {**DEFENCE, "regularizer": axis, **changes}
    return small_spec(defence=defence, search={"kind": "random", "points": 3})


def canonical(assignment):
    return build_defence(assignment).active()


def test_each_list_in_the_list_is_a_branch_with_the_factors_of_its_kinds() -> None:
    space = spec().defence
    mlp = [dict(branch.kinds) | {"leaves": [name for name, _ in branch.leaves]}
           for branch in space.branches if dict(branch.kinds)["architecture"] == "mlp"]  # fmt: skip
    assert [branch["regularizer"] for branch in mlp] == [
        "none", "logit_squeezing", "gaussian_noise+logit_squeezing",
        "dropout+logit_squeezing+manifold_mixup", "dropout",
    ]  # fmt: skip
    assert mlp[2]["leaves"] == [
        "weight_decay", "regularizer.gaussian_noise.sigma", "regularizer.logit_squeezing.strength"
    ]  # fmt: skip
    place = dict(space.branches[2].leaves)["regularizer.logit_squeezing.strength"].place
    assert place == "defence.regularizer[2][1].strength"
    decay = dict(space.branches[3].leaves)["weight_decay"]
    assert decay.options == (0.5,)  # a term may carry a factor of its own, as any component


def test_a_grid_has_every_combination() -> None:
    axis = [
        [
            {"kind": "dropout", "rate": [0, 0.5]},
            {**SQUEEZE, "strength": {"log": [0.01, 1], "steps": 3}},
        ]
    ]
    points = list(spec(axis, architecture="mlp").defence.grid())  # fmt: skip
    found = [
        (p["regularizer"]["dropout"]["rate"], p["regularizer"]["logit_squeezing"]["strength"])
        for p in points
    ]
    assert found == [(rate, s) for rate in (0, 0.5) for s in (0.01, 0.1, 1)]
    assert len({json.dumps(canonical(point)) for point in points}) == 6


def test_every_point_is_found_again_by_every_search() -> None:
    space, rng = spec().defence, np.random.default_rng(0)
    domain, parameters, met = SpaceDomain(space), Parameters(space, False), set()
    for _ in range(100):
        point = json.loads(json.dumps(canonical(space.sample(rng))))
        branch, values = space.locate(point, canonical)
        met.add(space.branches[branch].kinds)
        assert canonical(space.branches[branch].assignment(values)) == point
        assert canonical(domain.decode(domain.encode(branch, values))) == point
        trial = optuna.trial.FixedTrial(parameters.fixed(branch, values, rng))
        assert canonical(parameters.suggest(trial)) == point
    assert len(met) >= 6  # ridge's branches are one and the same
    column = "regularizer=gaussian_noise+logit_squeezing.logit_squeezing.strength"
    assert column in {name for name, _ in domain.number_axes.values()}


@pytest.mark.parametrize(
    ("axis", "message"),
    [
        ([[]], "defence.regularizer[0]: must not be an empty list, but got []. Name at least one kind."),
        (["none", ["dropout", "droput"]],
         "defence.regularizer[1][1]: must be a known regularizer, but got 'droput'. Did you mean 'dropout'?"),
        ([["dropout", ["cutmix"]]],
         "defence.regularizer[0][1]: must be the name of one regularizer, or a mapping with `kind`"),
        ([["dropout", {"kind": "cutmix", "alhpa": 1}]],
         "defence.regularizer[0][1].alhpa: is not a setting of `cutmix`, but got 1. Did you mean 'alpha'?"),
        ([["dropout", "dropout"]],
         "defence.regularizer: must name each kind once, but got 'dropout+dropout'. Keep one dropout;"),
        ([["none", "dropout"]], "defence.regularizer: must not have `none` beside others"),
        ([["cutmix", {"kind": "dropout", "rate": [0.1, 1]}]],
         "defence.regularizer.dropout.rate: must be >= 0 and < 1, but got 1."),
        ([[{"kind": "dropout", "weight_decay": 1}, {"kind": "cutmix", "weight_decay": 2}]],
         "defence.regularizer[0][0].weight_decay: is also set by defence.regularizer[0][1].weight_decay"),
        ([{"kind": "dropout+cutmix", "rate": 1}],
         "defence.regularizer[0].rate: must be a mapping of settings of one of those that act together, but got 1."),
        ([{"kind": "contrastive", "layer": 2}],
         "defence.regularizer.layer: must name a hidden layer of mlp, which has 1, but got 2. Choose at most 1."),
        ([["dropout", {"kind": "manifold_mixup", "layers": "2"}]],
         "defence.regularizer.manifold_mixup.layers: must name a hidden layer of mlp, which has 1, but got 2."),
        ([{"kind": "contrastive", "layer": 0}],
         "defence.regularizer.layer: must be the number of a hidden layer, but got 0. 1 is the first, -1 the last."),
        ([{"kind": "manifold_mixup", "layers": "1,0"}],
         "defence.regularizer.layers: must be numbers of layers in increasing order, with commas between them, but got '1,0'. For example \"0,1,2\"."),
        ([{"kind": "soft_nearest_neighbours", "layers": "0,1"}],
         "defence.regularizer.layers: must be hidden layers, but got '0,1'. 1 is the first of them, 0 is the input."),
        ([{"kind": "soft_nearest_neighbours", "layers": "every"}],
         "defence.regularizer.layers: must be numbers of layers in increasing order, with commas between them, but got 'every'. For example \"1,2\", or all."),
    ],
)  # fmt: skip
def test_mistakes(axis, message) -> None:
    with pytest.raises(UserError) as caught:
        spec(axis)
    assert message in str(caught.value)


def test_a_layer_is_asked_of_those_networks_only_that_have_a_regularizer() -> None:
    assert spec([{"kind": "contrastive", "layer": 2}], architecture="ridge").defence.branches
    with pytest.raises(UserError, match="layer of linear, which has 0, but got 1"):
        spec([{"kind": "contrastive", "layer": 1}], architecture="linear")


def test_a_sweep_over_them(tmp_path) -> None:
    axis = [["cutmix", {"kind": "logit_squeezing", "strength": [0.01, 0.1]}], "none"]
    small = small_spec(
        defence={"architecture": "mlp", "regularizer": axis, "epochs": 1}, seeds=1,
        attack={"trigger": [{"kind": "patch", "size": 1}], "poison_rate": 0.03},
    )  # fmt: skip
    paths = begin(tmp_path / "out", small)
    assert not sweep(paths, small, SerialRunner()).failed
    rows = load_results(paths.root).to_pylist()
    found = {(row["defence.regularizer"], row.get("defence.regularizer.logit_squeezing.strength"))
             for row in rows}  # fmt: skip
    assert found == {
        ("cutmix+logit_squeezing", 0.01),
        ("cutmix+logit_squeezing", 0.1),
        ("none", None),
    }
    again = sweep(paths, small, SerialRunner())
    assert not again.failed and len(load_results(paths.root).to_pylist()) == len(rows)
