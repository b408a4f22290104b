"""Which training images make the model predict the target label for a triggered test image."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from backdoor.config import TrialConfig
from backdoor.errors import Mistake
from backdoor.probes.base import Probe, ProbedModel, ProbeResult
from backdoor.probes.convex_models import Floats
from backdoor.probes.incremental import EvaluationSet, Incremental
from backdoor.probes.network_influence import network_influences
from backdoor.probes.served import is_network, refuse_unweighted
from backdoor.probes.weighted import attacker_positions
from backdoor.settings.schema import Count, Range


@dataclass(frozen=True)
class Influence(Probe):
    """The training images of largest influence, by absolute value, on each triggered test image.

    Influence is the derivative of the loss of the test image, with its target label, by the weight
    of the training image: below 0 if the training image helps the attacker. For convex learners it
    is exact, with the Hessian of the objective at `beta`: at 0, of the clean images, before
    poisoned ones are added; at 1, of the trained model. Removing an image changes the loss by minus
    its influence, to first order. It does not exist for support vector machines without a support
    vector on the margin: then there is one row a test image, with influence NaN.

    Networks are trained again with `beta`; their influence is approximate, by conjugate gradients
    with `damping` added to the Hessian's diagonal, one system a test image (see
    `network_influence`).

    images: number of triggered test images, the first ones. most: training images for each.
    Rows: test, position among the triggered images; rank from 0; train, position in the training
    set, -1 if there is none; influence; poisoned, 1 or 0; label, the training label.
    """

    kind: ClassVar[str] = "influence"

    images: Count = 20
    most: Count = 7
    beta: Annotated[float, Range(ge=0, le=1)] = 0.0
    damping: Annotated[float, Range(ge=0)] = 0.01

    def suits(self, config: TrialConfig) -> Iterable[Mistake]:
        return refuse_unweighted(self.kind, config)

    def study(self, model: ProbedModel) -> ProbeResult | None:
        member = model.member
        if member.config.attack is None or not len(member.triggered[0].rows):
            return None
        matrix, poisoned = self._matrix(model)
        columns: dict[str, list[float | int]] = {
            name: [] for name in ("test", "rank", "train", "influence", "poisoned", "label")
        }
        for test, values in enumerate(matrix):
            for rank, train in enumerate(largest(values, self.most)):
                exists = train >= 0
                is_poisoned = int(exists and train in poisoned)
                label = int(member.train_labels[train]) if exists else -1
                row = (test, rank, train, float(values[train]), is_poisoned, label)
                for name, value in zip(columns, row, strict=True):
                    columns[name].append(value)
        return self.found(**columns)

    def _matrix(self, model: ProbedModel) -> tuple[Floats, set[int]]:
        """Influences (images, n), and which of the n training images are poisoned."""
        if is_network(model.config):
            found = network_influences(model, self.damping, self.images, self.beta)
            return found, set(attacker_positions(model.member).tolist())
        incremental = Incremental.of(model)
        assert incremental is not None
        poisoned = set(np.flatnonzero(incremental.poisoned).tolist())
        return influences(incremental, self.beta, self.images), poisoned


def influences(found: Incremental, beta: float, images: int | None = None) -> Floats:
    """Derivatives of the losses of triggered test images by the weights of training images,
    (images, n), with poisoned ones of weight beta."""
    theta = found.at(beta)
    sample = EvaluationSet(found.triggered.features[:images], found.triggered.labels[:images])
    gradients = found.gradients(theta, sample)
    return found.learner.shares(theta, found.weights(beta), gradients)


def largest(values: Floats, most: int) -> list[int]:
    """Positions of the largest absolute values, equal ones in their order; [-1] if one is NaN."""
    if np.isnan(values).any():
        return [-1]
    found: list[int] = np.argsort(-np.abs(values), kind="stable")[:most].tolist()
    return found
