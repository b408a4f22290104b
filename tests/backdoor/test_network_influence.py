"""Influence in trained networks, against curves of trained networks and an explicit Hessian."""

import math

import numpy as np
import pytest
import torch
from trials import trial

from backdoor.config import build_data
from backdoor.datasets.source import load_source
from backdoor.engines import engine_of, threads
from backdoor.probes import ProbedModel
from backdoor.probes.influence import Influence
from backdoor.probes.learning_curve import LearningCurve
from backdoor.probes.network_influence import (
    NOT_POSITIVE,
    network_influence,
    network_influences,
    network_slope,
)
from backdoor.probes.slope import Slope
from backdoor.probes.weighted import network_curve, train_weighted
from backdoor.trial import prepare

DATA = build_data(
    {"kind": "digits", "train": 120, "validation": 10, "test": 60, "classes": [0, 1, 2]}
)


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    with threads(1):
        yield


def probed(architecture="linear", rate=0.1, **defence):
    config = trial(architecture, rate=rate, data=DATA, seed=1, **defence)
    source = load_source(DATA)
    members, store = prepare([config], (), source)
    with torch.enable_grad():
        fitted = engine_of(config).train(members, store, 3, None)
    return ProbedModel(fitted, 0, members[0], store, source)


LONG = {"epochs": 300, "weight_decay": 0.05, "learning_rate": 0.5}


@pytest.mark.slow
def test_the_slope_at_0_is_that_of_the_curve_of_trained_networks() -> None:
    """Trained long enough to be near the optimum, so that both must agree roughly: within 10 %."""
    model = probed(**LONG)
    row = network_slope(model, damping=1e-6)
    step = 0.05
    low, high, end = network_curve(model, [0.0, step, 1.0])
    secant = (high.backdoor_loss - low.backdoor_loss) / step
    assert row["derivative"] == pytest.approx(secant, rel=0.1) and row["note"] == ""
    assert row["secant"] == pytest.approx(end.backdoor_loss - low.backdoor_loss)
    assert row["theta"] == pytest.approx(-2 / math.pi * math.atan(row["derivative"]))
    assert row["theta_secant"] == pytest.approx(-2 / math.pi * math.atan(row["secant"]))
    count = model.member.poison.poisoned
    assert count == 12 and row["per_pair"] == row["derivative"] / count
    assert row["damping"] == 1e-6 and row["residual"] <= 1e-6 and row["iterations"] > 1
    found = network_influence(model, damping=1e-6)
    assert found.derivative == row["derivative"] and found.shares.shape == (12,)


@pytest.mark.parametrize("beta", [0.0, 0.6, 1.0])
def test_all_samples_influences_by_the_explicit_hessian_of_softmax(beta) -> None:
    """H = (1/n) sum weight_i (diag(p) - p p') x x' + decay, written out in numpy."""
    model = probed(epochs=20, weight_decay=0.05, learning_rate=0.5)
    found = network_influences(model, damping=0.01, images=3, beta=beta, tolerance=1e-11)
    state = {k: v.double().numpy() for k, v in train_weighted(model, beta).state_dict().items()}
    w, b, member = state["1.weight"], state["1.bias"], model.member

    def seen(rows):
        x = model.store.batch(torch.from_numpy(rows)).double().flatten(1).numpy()
        z = x @ w.T + b
        p = np.exp(z - z.max(1, keepdims=True))
        return np.column_stack([x, np.ones(len(x))]), p / p.sum(1, keepdims=True)

    def gradients(rows, labels):  # (m, 3 x 65), the bias as a 65th input
        x, p = seen(rows)
        return ((p - np.eye(3)[labels])[:, :, None] * x[:, None, :]).reshape(len(x), -1)

    x, p = seen(member.train)
    weights = np.ones(120)
    weights[member.poison.positions] = beta
    hessian = np.zeros((195, 195))
    for i in range(120):
        curvature = np.diag(p[i]) - np.outer(p[i], p[i])
        hessian += weights[i] / 120 * np.kron(curvature, np.outer(x[i], x[i]))
    decayed = np.tile(np.r_[np.ones(64), 0], 3)
    matrix = hessian + np.diag(0.05 * decayed) + 0.01 * np.eye(195)
    (triggered,) = member.triggered
    tests = gradients(triggered.rows[:3], triggered.target_labels[:3])
    expected = (
        -tests @ np.linalg.solve(matrix, gradients(member.train, member.train_labels).T) / 120
    )
    assert found.shape == (3, 120)
    assert np.allclose(found, expected, rtol=1e-5, atol=1e-9)


def test_no_derivative_without_enough_damping() -> None:
    model = probed({"kind": "mlp", "width": 4}, rate=0.3, epochs=1)
    row = network_slope(model, damping=1e-9)
    assert (
        row["note"] == NOT_POSITIVE and math.isnan(row["derivative"]) and math.isnan(row["theta"])
    )
    assert math.isfinite(row["secant"])
    assert np.isnan(network_influences(model, damping=1e-9, images=1)).all()
    assert network_slope(model, damping=10.0)["note"] == ""


# --- the probes, on networks -------------------------------------------------------------------


def test_the_probes_hand_over_what_is_found_on_networks() -> None:
    model = probed(epochs=20, weight_decay=0.05, learning_rate=0.5)
    curve = LearningCurve(betas=(0.0, 1.0)).study(model).columns
    points = network_curve(model, [0.0, 1.0])
    assert curve == {name: tuple(getattr(p, name) for p in points) for name in vars(points[0])}
    apart = LearningCurve(betas=(1.0,), weighting="separate_means").study(model).columns
    (point,) = network_curve(model, [1.0], "separate_means")
    assert apart["backdoor_loss"] == (point.backdoor_loss,) != curve["backdoor_loss"][1:]
    slope = Slope(damping=0.02).study(model).columns
    assert slope == {k: (v,) for k, v in network_slope(model, 0.02).items()}
    matrix = network_influences(model, 0.03, images=2, beta=1.0)
    columns = Influence(images=2, most=3, beta=1.0, damping=0.03).study(model).columns
    for place in range(6):
        test, train = columns["test"][place], columns["train"][place]
        order = np.argsort(-np.abs(matrix[test]))
        assert order[columns["rank"][place]] == train
        assert columns["influence"][place] == matrix[test, train]
        assert columns["poisoned"][place] == int(train in model.member.poison.positions)
        assert columns["label"][place] == model.member.train_labels[train]


@pytest.mark.parametrize("probe", [LearningCurve(), Slope(), Influence()])
def test_what_the_probes_refuse(probe) -> None:
    squeezed = trial("mlp", regularizer={"kind": "logit_squeezing", "strength": 0.1})
    assert "without a regularizer" in "".join(map(str, probe.suits(squeezed)))
    clean = probed(rate=0, epochs=1)
    assert probe.study(clean) is None
    solved = trial("ridge", weight_decay=0.1)
    (mistake,) = LearningCurve(weighting="separate_means").suits(solved)
    assert str(mistake) == (
        "weighting: must be batch for ridge, which has no batches, but got 'separate_means'. "
        "Leave it out."
    )
