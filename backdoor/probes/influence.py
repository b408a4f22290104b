"""Which training images make a triggered test image what the attacker wants."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from backdoor.config import TrialConfig
from backdoor.errors import Mistake
from backdoor.probes.base import Probe, ProbedModel, ProbeResult
from backdoor.probes.incremental import LEARNERS, Incremental, Sample, refuse_others
from backdoor.probes.network import NETWORKS, is_network
from backdoor.probes.network_influence import network_influences
from backdoor.probes.weighted import attackers, refuse_regularized
from backdoor.settings.schema import Count, Range


@dataclass(frozen=True)
class Influence(Probe):
    """The training images of largest influence, by absolute value, on each triggered test image.

    Influence is the derivative of the test image's loss, with the label that the attacker wants, by
    the training image's weight: below 0 where the training image helps the attacker. It is exact
    for the convex learners, with the Hessian of the objective at `beta`: 0, that of the clean
    images, poisoned ones being about to be added; 1, that of the trained model. Removing an image
    changes the loss by minus its influence, to first order. Support vector machines without a
    support vector on the margin have none: one row a test image, its influence NaN.

    Networks are trained anew with `beta`; theirs is approximate, by conjugate gradients with
    `damping` added to the Hessian's diagonal, one system a test image (see `network_influence`).

    images: how many triggered test images, the first ones. most: training images for each.
    Rows: test, position among the triggered images; rank from 0; train, position in the training
    set, -1 where there is none; influence; poisoned, 1 or 0; label, the one it was trained with.
    """

    kind: ClassVar[str] = "influence"

    images: Count = 20
    most: Count = 7
    beta: Annotated[float, Range(ge=0, le=1)] = 0.0
    damping: Annotated[float, Range(ge=0)] = 0.01

    def suits(self, config: TrialConfig) -> Iterable[Mistake]:
        yield from refuse_others(self.kind, config, (*LEARNERS, *NETWORKS))
        if is_network(config):
            yield from refuse_regularized(config)

    def study(self, model: ProbedModel) -> ProbeResult | None:
        member = model.member
        if member.config.attack is None or not len(member.triggered[0].rows):
            return None
        matrix, marked = self._matrix(model)
        columns: dict[str, list[float | int]] = {
            name: [] for name in ("test", "rank", "train", "influence", "poisoned", "label")
        }
        for test, values in enumerate(matrix):
            for rank, train in enumerate(largest(values, self.most)):
                known = train >= 0
                row = (
                    test, rank, train, float(values[train]),
                    int(known and train in marked),
                    int(member.train_labels[train]) if known else -1,
                )  # fmt: skip
                for name, value in zip(columns, row, strict=True):
                    columns[name].append(value)
        return self.found(**columns)

    def _matrix(self, model: ProbedModel) -> tuple[np.typing.NDArray[np.float64], set[int]]:
        """Influences (images, n), and the positions of the poisoned ones among the n."""
        if is_network(model.config):
            found = network_influences(model, self.damping, self.images, self.beta)
            return found, set(attackers(model.member).tolist())
        incremental = Incremental.of(model)
        assert incremental is not None
        marked = set(np.flatnonzero(incremental.poisoned).tolist())
        return influences(incremental, self.beta, self.images), marked


def influences(
    found: Incremental, beta: float, images: int | None = None
) -> np.typing.NDArray[np.float64]:
    """Derivatives of the losses of triggered test images by the weights of training images,
    (images, n), where poisoned ones count beta."""
    theta = found.at(beta)
    sample = Sample(found.triggered.features[:images], found.triggered.labels[:images])
    gradients = found.gradients(theta, sample)
    return found.learner.shares(theta, found.weights(beta), gradients)


def largest(values: np.typing.NDArray[np.float64], most: int) -> list[int]:
    """Positions of the largest absolute values, the first of equal ones first; [-1] of NaN."""
    if np.isnan(values).any():
        return [-1]
    found: list[int] = np.argsort(-np.abs(values), kind="stable")[:most].tolist()
    return found
