"""Incremental learning of the poison by convex learners: from a trained model to its w(beta).

*Backdoor Learning Curves* (Cinà et al. 2021, arXiv 2106.07214): poisoned images count beta, all
others 1, so that beta = 0 learns from the clean images alone and beta = 1 is the trial itself:

    w(beta) = argmin_w  L(clean part, w) + beta L(poisoned part, w) + regularisation,

the sums divided by n, the whole training set, whatever beta is. Everything is solved anew here,
more exactly than the engines do, and the trained model is left alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from backdoor.config import TrialConfig
from backdoor.engines.svm import _gamma, gaussian
from backdoor.engines.whole import Pixels
from backdoor.errors import Mistake
from backdoor.probes.base import ProbedModel
from backdoor.probes.convex_models import Floats, Ids, Learner, LogisticLearner, RidgeLearner
from backdoor.probes.kernel_machines import MachineLearner

#: The betas at which the authors evaluate: 20 numbers, spaced as logarithms; never quite 1.
AUTHORS_BETAS = (
    0.0, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 0.1, 0.13,
    0.16, 0.19, 0.24, 0.29, 0.36, 0.44, 0.54, 0.66, 0.81, 0.99,
)  # fmt: skip


@dataclass(frozen=True)
class Sample:
    """Test images as the learner sees them, features (m, d), with labels (m,)."""

    features: Floats
    labels: Ids


@dataclass(frozen=True)
class Incremental:
    """One poisoned trial of a convex learner.

    poisoned: (n,) bool. clean: test images and their labels. triggered: the attack's test images,
    with the labels that the attacker wants.
    """

    learner: Learner
    poisoned: np.typing.NDArray[np.bool_]
    clean: Sample
    triggered: Sample

    @staticmethod
    def of(model: ProbedModel) -> Incremental | None:
        """None for a clean baseline."""
        member = model.member
        if member.config.attack is None:
            return None
        learner, seen = LEARNERS[member.config.defence.architecture.trained_by()](model)
        poisoned = np.zeros(len(member.train), dtype=bool)
        poisoned[member.poison.positions] = True
        (triggered,) = member.triggered
        return Incremental(
            learner, poisoned,
            Sample(seen(member.test), member.test_labels),
            Sample(seen(triggered.rows), triggered.target_labels),
        )  # fmt: skip

    def weights(self, beta: float) -> Floats:
        """Of the training images, (n,)."""
        return np.where(self.poisoned, beta, 1.0)

    def at(self, beta: float, start: Floats | None = None) -> Floats:
        """The optimum theta, perhaps sought from that of a beta near by."""
        return self.learner.fit(self.weights(beta), start)

    def path(self, betas: Iterable[float]) -> Iterable[tuple[float, Floats]]:
        """(beta, theta) one by one, each sought from the last."""
        theta = None
        for beta in betas:
            theta = self.at(beta, theta)
            yield beta, theta

    def loss(self, theta: Floats, sample: Sample) -> float:
        """Mean loss; NaN on no images."""
        losses = self.learner.losses(sample.features @ theta, sample.labels)
        return float(losses.mean()) if len(losses) else float("nan")

    def accuracy(self, theta: Floats, sample: Sample) -> float:
        """The share answered by these labels; NaN on no images."""
        right = self.learner.answers(sample.features @ theta) == sample.labels
        return float(right.mean()) if len(right) else float("nan")

    def gradients(self, theta: Floats, sample: Sample) -> Floats:
        """Of each image's loss by theta, (m, d, c)."""
        slopes = self.learner.slopes(sample.features @ theta, sample.labels)
        result: Floats = sample.features[:, :, None] * slopes[:, None, :]
        return result

    def mean_gradient(self, theta: Floats, sample: Sample) -> Floats:
        """Of the mean loss, (1, d, c)."""
        slopes = self.learner.slopes(sample.features @ theta, sample.labels)
        result: Floats = (sample.features.T @ slopes / len(slopes))[None]
        return result


# --- which learner a trial has -------------------------------------------------------------------

Seen = Callable[[Ids], Floats]


def _linear(kind: type[Learner]) -> Callable[[ProbedModel], tuple[Learner, Seen]]:
    """On the inputs that are not 0 in every training image, or on their coordinates in the span of
    the training images where that is smaller: w lies in it, and no inner product changes."""

    def build(model: ProbedModel) -> tuple[Learner, Seen]:
        member = model.member
        train = Pixels.of(model.store, member.train).inputs()
        used = train.any(0)
        train = train[:, used]
        basis = np.linalg.qr(train.T)[0] if len(train) < train.shape[1] else None

        def seen(rows: Ids) -> Floats:
            inputs = Pixels.of(model.store, rows).inputs()[:, used]
            return _with_one(inputs if basis is None else inputs @ basis)

        decay = member.config.defence.weight_decay
        return kind(seen(member.train), member.train_labels, model.classes, decay), seen

    return build


def _machines(model: ProbedModel) -> tuple[Learner, Seen]:
    member = model.member
    train, gamma = Pixels.of(model.store, member.train), _gamma(member, model.store)

    def seen(rows: Ids) -> Floats:
        pixels = Pixels.of(model.store, rows)
        if gamma is None:
            return _with_one(pixels.inner(train))
        return _with_one(gaussian(pixels.squared_distances(train), gamma))

    decay = member.config.defence.weight_decay
    return MachineLearner(seen(member.train), member.train_labels, model.classes, decay), seen


def _with_one(features: Floats) -> Floats:
    return np.column_stack([features, np.ones(len(features))])


#: Engine → how its trials become learners.
LEARNERS: dict[str, Callable[[ProbedModel], tuple[Learner, Seen]]] = {
    "convex": _linear(RidgeLearner),
    "logistic": _linear(LogisticLearner),
    "svm": _machines,
}


def refuse_others(kind: str, config: TrialConfig, served: Iterable[str]) -> Iterable[Mistake]:
    """The mistake of a probe on an architecture that it does not serve, or without decay."""
    architecture, decay = config.defence.architecture, config.defence.weight_decay
    engine = architecture.trained_by()
    if engine not in served:
        rule = f"must be asked of convex learners, and {architecture.kind_name()} is none"
        remedy = "Ask it of ridge, logistic, linear_svm or rbf_svm, or leave this probe out."
        yield Mistake("kind", rule, kind, remedy)
    elif engine in LEARNERS and not decay:
        rule = "must be asked of trials with weight decay, without which no optimum is unique"
        remedy = "Give the architecture a weight_decay above 0, or leave this probe out."
        yield Mistake("kind", rule, kind, remedy)
