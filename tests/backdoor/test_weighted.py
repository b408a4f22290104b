"""Networks between clean and poisoned training: weights of samples, and the two ends."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import nn
from trials import trial

from backdoor.architectures import Architecture
from backdoor.config import build_data
from backdoor.datasets.source import load_source
from backdoor.engines import engine_of, threads
from backdoor.probes import ProbedModel
from backdoor.probes.served import refuse_regularized
from backdoor.probes.weighted import (
    attacker_positions,
    network_curve,
    train_weighted,
    weighted_loss,
)
from backdoor.trial import prepare


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Tiny products are slower by two threads."""
    with threads(1):
        yield


DATA = build_data({"kind": "digits", "train": 200, "validation": 10, "test": 100})


def probed(architecture, rate=0.2, **defence):
    config = trial(architecture, rate=rate, data=DATA, seed=1, **defence)
    source = load_source(DATA)
    members, store = prepare([config], (), source)
    with torch.enable_grad():
        fitted = engine_of(config).train(members, store, 10, None)
    return ProbedModel(fitted, 0, members[0], store, source)


@pytest.mark.parametrize("architecture", ["linear", "mlp", "convnet"])
def test_beta_1_is_the_ordinary_training_of_its_engine(architecture) -> None:
    model = probed(architecture, epochs=2, weight_decay=0.01, learning_rate=0.05)
    module = train_weighted(model, 1.0)
    own = model.fitted.state(0)
    for name, weights in module.state_dict().items():
        assert torch.allclose(weights, own[name].reshape(weights.shape), atol=2e-5), name
    untrained = train_weighted(model, 0.5)
    assert not torch.allclose(
        next(untrained.parameters()), next(module.parameters()), atol=2e-5
    )  # fmt: skip


def test_covers_are_the_attackers_samples_too() -> None:
    from backdoor.config import TrialConfig, build_attack, build_defence

    attack = build_attack({"trigger": "warp", "poison_rate": 0.1, "cover_rate": 0.2})
    plain = trial("linear", data=DATA)
    config = TrialConfig(DATA, build_defence({"architecture": "linear", "epochs": 2}), attack, plain.training, 1)  # fmt: skip
    source = load_source(DATA)
    members, store = prepare([config], (), source)
    stamped = attacker_positions(members[0])
    assert len(stamped) == 60
    assert set(stamped) == set(members[0].poison.positions) | set(members[0].poison.covers)
    clean = store.unchanged(members[0].train)
    assert set(np.flatnonzero(clean != members[0].train)) == set(stamped)


def test_dropout_draws_what_the_trial_drew() -> None:
    model = probed(f"{__name__}:Dropping", epochs=2, learning_rate=0.05)
    module = train_weighted(model, 1.0)
    for name, weights in module.state_dict().items():
        assert torch.allclose(weights, model.fitted.state(0)[name], atol=2e-5), name


@dataclass(frozen=True)
class Dropping(Architecture):
    """A linear layer behind dropout."""

    kind: ClassVar[str] = "dropping"

    def build(self, shape, classes):
        return nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(64, classes))


def test_beta_0_learns_from_the_clean_samples_alone() -> None:
    """A loop in numpy over the same batches, of softmax regression without the poisoned ones."""
    model = probed("linear", epochs=3, weight_decay=0.02, learning_rate=0.1)
    found = train_weighted(model, 0.0).state_dict()
    assert_close_to_numpy(model, found, lambda poisoned: np.where(poisoned, 0.0, 1.0) / len(poisoned))  # fmt: skip


def test_the_papers_variant_adds_two_means() -> None:
    model = probed("linear", epochs=3, weight_decay=0.02, learning_rate=0.1)
    found = train_weighted(model, 0.4, "separate_means").state_dict()

    def weights(poisoned):
        return np.where(poisoned, 0.4 / max(poisoned.sum(), 1), 1 / max((~poisoned).sum(), 1))

    assert_close_to_numpy(model, found, weights)


def assert_close_to_numpy(model, found, weights_of):
    from backdoor.engines import init_state
    from backdoor.streams import stream

    member, config = model.member, model.config
    state = init_state(config, model.store.shape, 10).state_dict()
    w, b = (state[f"1.{name}"].double().numpy().copy() for name in ("weight", "bias"))
    x = model.store.pixels(member.train) / 255.0
    vw, vb, steps, step = np.zeros_like(w), np.zeros_like(b), 4 * 3, 0
    is_poisoned = np.isin(np.arange(200), member.poison.positions)
    for epoch in range(3):
        order = stream("order", 1, 200, epoch).permutation(200)
        for start in range(0, 200, 64):
            batch = order[start : start + 64]
            z = x[batch] @ w.T + b
            p = np.exp(z - z.max(1, keepdims=True))
            p /= p.sum(1, keepdims=True)
            p[np.arange(len(batch)), member.train_labels[batch]] -= 1
            p *= weights_of(is_poisoned[batch])[:, None]
            vw = 0.9 * vw + p.T @ x[batch] + 0.02 * w
            vb = 0.9 * vb + p.sum(0)
            rate = 0.1 * 0.5 * (1 + np.cos(np.pi * step / steps))
            w, b, step = w - rate * vw, b - rate * vb, step + 1
    assert np.allclose(found["1.weight"].numpy(), w, atol=1e-5)
    assert np.allclose(found["1.bias"].numpy(), b, atol=1e-5)


def test_losses_of_batches_without_one_of_the_kinds() -> None:
    losses, none, every = (
        torch.tensor([1.0, 3.0]),
        torch.tensor([False] * 2),
        torch.tensor([True] * 2),
    )
    cases = [("batch", none, 2.0), ("batch", every, 1.0), ("separate_means", none, 2.0),
             ("separate_means", every, 1.0), ("separate_means", torch.tensor([False, True]), 2.5)]  # fmt: skip
    for weighting, poisoned, expected in cases:
        assert float(weighted_loss(losses, poisoned, 0.5, weighting)) == pytest.approx(expected)


def test_a_curve_ends_at_the_trials_own_figures() -> None:
    model = probed("linear", epochs=10, rate=0.3)
    curve = network_curve(model, [0.0, 1.0])
    member, (triggered,) = model.member, model.member.triggered
    for rows, labels, share in (
        (member.test, member.test_labels, curve[1].clean_accuracy),
        (triggered.rows, triggered.target_labels, curve[1].backdoor_accuracy),
    ):
        own = (model.fitted.predict(0, rows) == labels).mean()
        assert share == pytest.approx(own, abs=0.011), "more than one image apart"
    assert curve[1].backdoor_loss < curve[0].backdoor_loss
    assert curve[1].backdoor_accuracy > curve[0].backdoor_accuracy
    assert [point.beta for point in curve] == [0.0, 1.0]


def test_a_regularizer_is_refused() -> None:
    plain, squeezed = (trial("mlp", regularizer=r) for r in ("none", {"kind": "logit_squeezing", "strength": 0.1}))  # fmt: skip
    assert not list(refuse_regularized(plain))
    (mistake,) = refuse_regularized(squeezed)
    assert str(mistake) == (
        "kind: must be asked of networks without a regularizer: it weights single samples, but got "
        "'logit_squeezing'. Give regularizer none a sweep of its own, or leave this probe out."
    )
    (mistake,) = refuse_regularized(trial("mlp", regularizer=["dropout", "cutmix"]))
    assert mistake.value == "cutmix+dropout"
