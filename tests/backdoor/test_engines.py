"""Engines against independent solvers, against each other, and alone against packed."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from sklearn.linear_model import RidgeClassifier
from trials import DIGITS, FEW, same, trial

from backdoor.config import Training, build_data
from backdoor.datasets.source import load_source
from backdoor.engines import engine_of, init_state
from backdoor.engines.packed import Packed
from backdoor.engines.serial import Serial
from backdoor.evaluate import clean_counts
from backdoor.trial import prepare, run_pack


def fit(configs, engine=None):
    """Members, store and fitted models of trials on digits."""
    members, store = prepare(configs, (), load_source(DIGITS))
    engine = engine or engine_of(configs[0])
    with torch.enable_grad() if engine.name == "serial" else torch.no_grad():
        return members, store, engine.train(members, store, 10, None)


def arrays(member, store):
    """The poisoned training set of a member as plain arrays."""
    return images(member.train, store), member.train_labels


def images(rows, store):
    """Rows of a store of unit normalization as (n, inputs) float64."""
    return store.uint8(rows).flatten(1).numpy() / 255


@pytest.mark.parametrize("decay", [1e-4, 0.01, 1.0])
@pytest.mark.parametrize("rate", [0, 0.03])
def test_ridge_coefficients_are_scikit_learns(decay, rate) -> None:
    members, store, fitted = fit([trial("ridge", rate=rate, weight_decay=decay)])
    x, y = arrays(members[0], store)
    theirs = RidgeClassifier(alpha=len(x) * decay / 2).fit(x, y)
    state = fitted.state(0)
    scale = np.abs(theirs.coef_).max()
    assert np.abs(state["1.weight"].numpy() - theirs.coef_).max() <= 1e-8 * scale
    assert np.abs(state["1.bias"].numpy() - theirs.intercept_).max() <= 1e-8
    test = images(members[0].test, store)
    assert np.array_equal(fitted.predict(0, members[0].test), theirs.predict(test))


def test_ridge_with_fewer_images_than_pixels_is_scikit_learns() -> None:
    few = build_data(
        {"kind": "digits", "train": 40, "validation": 50, "test": 100, "classes": [1, 5, 8]}
    )
    members, store = prepare([trial("ridge", weight_decay=0.01, data=few)], (), load_source(few))
    fitted = engine_of(members[0].config).train(members, store, 3, None)
    x, y = arrays(members[0], store)
    theirs = RidgeClassifier(alpha=40 * 0.01 / 2).fit(x, y)
    assert np.abs(fitted.state(0)["1.weight"].numpy() - theirs.coef_).max() <= 1e-8


def objective(weights, x, y, decay):
    """(1/n) sum cross-entropy + (decay / 2) |w|^2 and its gradient; biases are free."""
    w = weights.reshape(x.shape[1] + 1, 10)
    z = x @ w[:-1] + w[-1]
    z -= z.max(1, keepdims=True)
    log_p = z - np.log(np.exp(z).sum(1, keepdims=True))
    n = len(y)
    value = -log_p[np.arange(n), y].mean() + decay / 2 * (w[:-1] ** 2).sum()
    g = np.exp(log_p)
    g[np.arange(n), y] -= 1
    gradient = np.vstack([x.T @ g / n + decay * w[:-1], g.mean(0)])
    return value, gradient.ravel()


def test_linear_reaches_the_optimum_of_an_independent_solver() -> None:
    members, store, fitted = fit([trial("linear", weight_decay=0.01, epochs=300)])
    x, y = arrays(members[0], store)
    best = minimize(objective, np.zeros(65 * 10), (x, y, 0.01), jac=True, method="L-BFGS-B",
                    options={"maxiter": 5000, "ftol": 1e-14, "gtol": 1e-9}).fun  # fmt: skip
    state = fitted.state(0)
    ours = np.vstack([state["1.weight"].numpy().T, state["1.bias"].numpy()[None]])
    value = objective(ours.ravel().astype(np.float64), x, y, 0.01)[0]
    assert best <= value <= 1.01 * best


def test_weight_decay_stops_the_backdoor_of_an_mlp() -> None:
    def mean(decay):
        results = run_pack([trial(weight_decay=decay, seed=seed) for seed in range(5)])
        accuracy = np.mean([sum(r.class_correct) / sum(r.class_total) for r in results])
        return accuracy, np.mean([m.success / m.total for r in results for m in r.measurements])

    (free, takes), (decayed, fails) = mean(0.0), mean(0.03)
    assert takes >= 0.7 and fails <= 0.3
    assert abs(free - decayed) <= 0.04


MIXED = [
    trial(a, seed=s, rate=r, weight_decay=d, learning_rate=lr, epochs=3, trigger=t)
    for a in ("linear", "mlp")
    for s, r, d, lr, t in [
        (0, 0.03, 0.0, 0.1, "blend"), (1, 0.01, 0.03, 0.05, {"kind": "patch", "size": 1}),
        (2, 0.0, 0.01, 0.1, "blend"), (0, 0.005, 0.1, 0.2, "blend"), (5, 0.03, 0.0, 0.1, "blend"),
    ]
]  # fmt: skip
RIDGES = [trial("ridge", seed=s, rate=r, weight_decay=d)
          for s in (0, 1) for r in (0, 0.03) for d in (0.0, 1e-3, 1.0)]  # fmt: skip
LOGISTICS = [trial("logistic", seed=s, rate=r, weight_decay=d)
             for s in (0, 1) for r in (0, 0.03) for d in (0.003, 1.0)]  # fmt: skip
MACHINES = {
    kind: [trial(kind, seed=s, rate=r, weight_decay=d) for s in (0, 1) for r in (0, 0.03) for d in (1e-3, 0.1)]
    for kind in ("linear_svm", "rbf_svm")
}  # fmt: skip
#: Fewer images than inputs: learners that are solved then take another way.
FEWER = build_data({"kind": "digits", "train": 50, "validation": 10, "test": 40, "classes": [1, 8]})
WIDE = {
    kind: [trial(kind, seed=s, rate=r, weight_decay=d, data=FEWER)
           for s in (0, 1) for r in (0, 0.1) for d in (1e-3, 0.1, 3)]
    for kind in ("ridge", "logistic")
}  # fmt: skip
SMOOTHED = [
    trial(seed=s, epochs=2, regularizer={"kind": "label_smoothing", "strength": g})
    for s, g in [(0, 0.01), (1, 0.5), (2, 0.1), (3, 0.0)]
]
SQUEEZED = [
    trial(seed=s, epochs=2, regularizer={"kind": "logit_squeezing", "strength": g})
    for s, g in [(0, 0.01), (1, 0.5), (2, 0.1)]
]


@pytest.mark.parametrize(
    "configs",
    [
        MIXED[:5],
        MIXED[5:],
        RIDGES,
        SQUEEZED,
        SMOOTHED,
        LOGISTICS,
        *MACHINES.values(),
        *WIDE.values(),
    ],
    ids=[
        "linear",
        "mlp",
        "ridge",
        "squeezed",
        "smoothed",
        "logistic",
        *MACHINES,
        "wide ridge",
        "wide logistic",
    ],
)
def test_packed_equals_alone_bitwise(configs) -> None:
    """Also in a pack of another order and size, and padded with many others."""
    assert engine_of(configs[0]).pack_invariant
    measures = [trial().attack, trial(trigger="blend").attack]
    together = run_pack(configs, measures)
    alone = [run_pack([config], measures)[0] for config in configs]
    turned = run_pack(configs[::-1], measures)[::-1]
    most = 8 if engine_of(configs[0]).name in ("svm", "logistic") else 30
    size = min(most, engine_of(configs[0]).max_pack - len(configs))
    crowd = [trial(configs[0].defence.architecture.kind, seed=90 + i, epochs=configs[0].defence.epochs,
                   regularizer=configs[0].defence.regularizer, data=configs[0].data,
                   weight_decay=configs[0].defence.weight_decay) for i in range(size)]  # fmt: skip
    crowded = run_pack([*crowd, *configs], measures)[size:]
    for one, two, three, four in zip(together, alone, turned, crowded, strict=True):
        assert same(one, two) and same(one, three) and same(one, four)


@pytest.mark.parametrize("name", ["linear", "mlp", "odd", "deep", "squeezed", "smoothed"])
@pytest.mark.parametrize(
    "batch_size",
    [64, 63, pytest.param(7, marks=pytest.mark.slow)],  # small batches are many
)
def test_packed_weights_are_bitwise_those_of_a_pack_of_one(name, batch_size) -> None:
    """For every place in packs of several sizes, with last batches that fill no block."""
    architecture = {
        "odd": {"kind": "mlp", "width": 37},
        "deep": {"kind": "mlp", "width": 10, "depth": 2},
        "linear": "linear",
    }.get(name, "mlp")
    regularizer = {
        "squeezed": {"kind": "logit_squeezing", "strength": 0.1},
        "smoothed": {"kind": "label_smoothing", "strength": 0.1},
    }.get(name, "none")
    configs = [
        trial(architecture, seed=s, rate=(0, 0.01, 0.03)[s % 3], weight_decay=0.01 * (s % 4), epochs=3,
              learning_rate=0.5, regularizer=regularizer, training=Training(batch_size=batch_size))
        for s in range(17)
    ]  # fmt: skip
    alone = [fit([config])[2].state(0) for config in configs]
    for size in (2, 5, 17):
        _, _, models = fit(configs[:size])
        for member in range(size):
            state = models.state(member)
            for key in state:
                assert torch.equal(state[key], alone[member][key]), (size, member, key)


@pytest.mark.parametrize(
    "configs",
    [MIXED[:3], MIXED[5:8], SQUEEZED, SMOOTHED],
    ids=["linear", "mlp", "squeezed", "smoothed"],
)
def test_packed_weights_are_those_of_torchs_own_autograd_and_sgd(configs) -> None:
    _, _, packed = fit(configs, Packed())
    _, _, serial = fit(configs, Serial())
    for member in range(len(configs)):
        ours, theirs = packed.state(member), serial.state(member)
        for name in theirs:
            assert torch.allclose(ours[name], theirs[name], rtol=1e-3, atol=1e-4), name


@pytest.mark.parametrize("norm", ["none", "group", "batch"])
def test_convnet_learns_and_repeats_itself(norm) -> None:
    config = trial({"kind": "convnet", "norm": norm}, epochs=8, rate=0.03)
    first, second = run_pack([config])[0], run_pack([config])[0]
    assert same(first, second)
    assert sum(first.class_correct) / 500 > 0.5


def test_resnet18_moves_its_weights_and_its_running_statistics() -> None:
    config = trial("resnet18", data=FEW, epochs=2)
    members, store = prepare([config], (), load_source(FEW))
    state = engine_of(config).train(members, store, 10, None).state(0)
    start = init_state(config, store.shape, 10).state_dict()
    assert int(state["bn1.num_batches_tracked"]) == 4
    for name in ("conv1.weight", "layer4.1.conv2.weight", "layer4.1.bn2.running_var", "fc.bias"):
        assert not torch.equal(state[name], start[name]), name


def test_constant_learning_rate_differs_and_curve_does_not_disturb() -> None:
    config = trial(epochs=4)
    plain = run_pack([config])[0]
    curved = run_pack([config], curve_every=2)[0]
    assert [point.epoch for point in curved.curve] == [2, 4]
    assert curved.class_correct == plain.class_correct
    assert curved.curve[-1].clean_correct == sum(plain.class_correct)
    assert curved.curve[-1].success == (plain.measurements[0].success,)
    constant = run_pack([trial(epochs=4, training=Training(schedule="constant"))])[0]
    assert constant.class_correct != plain.class_correct


def test_a_diverged_member_is_flagged_and_leaves_its_neighbours_alone() -> None:
    wild = trial(learning_rate=1e30, epochs=2)
    tame = trial(epochs=2)
    results = run_pack([wild, tame])
    assert results[0].diverged and sum(results[0].class_correct) == 0
    assert results[0].measurements[0].success == 0
    assert same(results[1], run_pack([tame])[0])


def test_a_collapsed_model_is_flagged() -> None:
    collapsed = run_pack(
        [trial("linear", weight_decay=1000, learning_rate=5e-4, momentum=0, epochs=3)]
    )[0]
    counts = clean_counts(np.zeros(100, dtype=np.int64), np.arange(100) % 10, 10)
    assert counts.collapsed and counts.accuracy == 0.1
    assert not run_pack([trial(epochs=3)])[0].collapsed
    assert collapsed.collapsed


def test_a_clean_baseline_is_measured_with_every_trigger() -> None:
    measures = [trial().attack, trial(trigger="blend", rate=0.01).attack]
    result = run_pack([trial(rate=0, epochs=3)], measures)[0]
    assert len({m.measure_id for m in result.measurements}) == 2
    assert result.poisoned == result.relabelled == 0
    poisoned = run_pack([trial(epochs=3)], measures)[0]
    assert len(poisoned.measurements) == 1
    assert poisoned.measurements[0].measure_id == result.measurements[0].measure_id
