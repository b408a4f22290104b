"""Incremental learning of the poison by convex learners: from a trained model to its w(beta).

*Backdoor Learning Curves* (Cinà et al. 2021, arXiv 2106.07214): poisoned images have weight beta,
all others weight 1, so that beta = 0 learns from the clean images only and beta = 1 is the trial:

    w(beta) = argmin_w  L(clean part, w) + beta L(poisoned part, w) + regularization,

where sums are divided by n, the size of the whole training set, for every beta. Everything is
solved again, more exactly than by the engines, and the trained model is not changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from backdoor.engines.svm import gamma_of, gaussian
from backdoor.engines.whole import Pixels
from backdoor.probes.base import ProbedModel
from backdoor.probes.convex_models import Floats, Ids, Learner, LogisticLearner, RidgeLearner
from backdoor.probes.kernel_machines import MachineLearner

#: The 20 betas at which the authors evaluate, on a logarithmic scale; 1 is not among them.
AUTHORS_BETAS = (
    *(0.0, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 0.1, 0.13),
    *(0.16, 0.19, 0.24, 0.29, 0.36, 0.44, 0.54, 0.66, 0.81, 0.99),
)


@dataclass(frozen=True)
class EvaluationSet:
    """Test images as features (m, d) of the learner, with labels (m,)."""

    features: Floats
    labels: Ids


@dataclass(frozen=True)
class Incremental:
    """One poisoned trial of a convex learner.

    poisoned: (n,) bool, without cover samples. clean: test images with their labels. triggered:
    triggered test images with their target labels.
    """

    learner: Learner
    poisoned: npt.NDArray[np.bool_]
    clean: EvaluationSet
    triggered: EvaluationSet

    @staticmethod
    def of(model: ProbedModel) -> Incremental | None:
        """Of a trained model; None for a clean baseline."""
        member = model.member
        if member.config.attack is None:
            return None
        learner, features = LEARNERS[member.config.defence.architecture.trained_by()](model)
        poisoned = np.zeros(len(member.train), dtype=bool)
        poisoned[member.poison.positions] = True
        (triggered,) = member.triggered
        clean = EvaluationSet(features(member.test), member.test_labels)
        attacked = EvaluationSet(features(triggered.rows), triggered.target_labels)
        return Incremental(learner, poisoned, clean, attacked)

    def weights(self, beta: float) -> Floats:
        """Weights of the training images, (n,)."""
        return np.where(self.poisoned, beta, 1.0)

    def at(self, beta: float, start: Floats | None = None) -> Floats:
        """The optimum theta; start: the optimum of another beta, to start from."""
        return self.learner.fit(self.weights(beta), start)

    def path(self, betas: Iterable[float]) -> Iterable[tuple[float, Floats]]:
        """(beta, theta) one by one, each computed from the previous theta."""
        theta = None
        for beta in betas:
            theta = self.at(beta, theta)
            yield beta, theta

    def loss(self, theta: Floats, images: EvaluationSet) -> float:
        """Mean loss; NaN without images."""
        losses = self.learner.losses(images.features @ theta, images.labels)
        return float(losses.mean()) if len(losses) else float("nan")

    def accuracy(self, theta: Floats, images: EvaluationSet) -> float:
        """Share in [0, 1] of correct predictions; NaN without images."""
        right = self.learner.answers(images.features @ theta) == images.labels
        return float(right.mean()) if len(right) else float("nan")

    def gradients(self, theta: Floats, images: EvaluationSet) -> Floats:
        """Gradients of the loss of each image by theta, (m, d, c)."""
        by_score = self.learner.score_gradients(images.features @ theta, images.labels)
        result: Floats = images.features[:, :, None] * by_score[:, None, :]
        return result

    def mean_gradient(self, theta: Floats, images: EvaluationSet) -> Floats:
        """Gradient of the mean loss by theta, (1, d, c)."""
        by_score = self.learner.score_gradients(images.features @ theta, images.labels)
        result: Floats = (images.features.T @ by_score / len(by_score))[None]
        return result


# --- which learner a trial has -------------------------------------------------------------------

#: Rows (m,) of the image store to features (m, d).
FeaturesOf = Callable[[Ids], Floats]


def _linear(kind: type[Learner]) -> Callable[[ProbedModel], tuple[Learner, FeaturesOf]]:
    """A learner on the inputs that are not 0 in all training images; with fewer images than inputs,
    on coordinates in the span of the training images: w is in it, and inner products stay equal."""

    def build(model: ProbedModel) -> tuple[Learner, FeaturesOf]:
        member = model.member
        train = Pixels.of(model.store, member.train).inputs()
        used = train.any(0)
        train = train[:, used]
        basis = np.linalg.qr(train.T)[0] if len(train) < train.shape[1] else None

        def features(rows: Ids) -> Floats:
            inputs = Pixels.of(model.store, rows).inputs()[:, used]
            return _with_one(inputs if basis is None else inputs @ basis)

        decay = member.config.defence.weight_decay
        return kind(features(member.train), member.train_labels, model.classes, decay), features

    return build


def _machines(model: ProbedModel) -> tuple[Learner, FeaturesOf]:
    member = model.member
    train, gamma = Pixels.of(model.store, member.train), gamma_of(member, model.store)

    def features(rows: Ids) -> Floats:
        pixels = Pixels.of(model.store, rows)
        if gamma is None:
            return _with_one(pixels.inner(train))
        return _with_one(gaussian(pixels.squared_distances(train), gamma))

    decay = member.config.defence.weight_decay
    learner = MachineLearner(features(member.train), member.train_labels, model.classes, decay)
    return learner, features


def _with_one(features: Floats) -> Floats:
    return np.column_stack([features, np.ones(len(features))])


#: Engine → how a model of it becomes a learner.
LEARNERS: dict[str, Callable[[ProbedModel], tuple[Learner, FeaturesOf]]] = {
    "convex": _linear(RidgeLearner),
    "logistic": _linear(LogisticLearner),
    "svm": _machines,
}
