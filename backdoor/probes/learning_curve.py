"""The backdoor learning curve: how fast a model learns the poison as its weight grows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Annotated, ClassVar

from backdoor.config import TrialConfig
from backdoor.errors import Mistake
from backdoor.probes.base import Probe, ProbedModel, ProbeResult
from backdoor.probes.incremental import AUTHORS_BETAS, Incremental
from backdoor.probes.served import is_network, refuse_unweighted
from backdoor.probes.weighted import LearningCurvePoint, Weighting, network_curve
from backdoor.settings.schema import Range


@dataclass(frozen=True)
class LearningCurve(Probe):
    """Loss and accuracy on clean and on triggered test images, as poisoned images count beta.

    *Backdoor Learning Curves* (arXiv 2106.07214). One row for each beta: clean_loss and
    clean_accuracy with the true labels, backdoor_loss and backdoor_accuracy with the target labels.
    Losses are means of what the learner minimises: ridge (y - f)^2, logistic cross-entropy,
    machines hinge; with more than two classes, summed over columns or over the machines of the
    class. Accuracies are fractions in [0, 1]. beta = 1 is the trial's own training.

    Networks are trained again for every beta, like the trial, and their loss is cross-entropy.
    weighting: `batch` divides the weighted sum of a batch by its size; `separate_means`, for
    networks only, is the authors' variant, no ordinary training at beta = 1 (see `weighted`).
    """

    kind: ClassVar[str] = "learning_curve"

    betas: tuple[Annotated[float, Range(ge=0, le=1)], ...] = AUTHORS_BETAS
    weighting: Weighting = "batch"

    def rules(self) -> Iterable[Mistake]:
        if not self.betas:
            yield Mistake("betas", "must hold at least one number", [], "For example [0, 0.1, 1].")

    def suits(self, config: TrialConfig) -> Iterable[Mistake]:
        yield from refuse_unweighted(self.kind, config)
        if not is_network(config) and self.weighting != "batch":
            name = config.defence.architecture.kind_name()
            rule = f"must be batch for {name}, which has no batches"
            yield Mistake("weighting", rule, self.weighting, "Leave it out.")

    def study(self, model: ProbedModel) -> ProbeResult | None:
        if model.config.attack is None:
            return None
        if is_network(model.config):
            points = network_curve(model, self.betas, self.weighting)
        else:
            points = convex_curve(model, self.betas)
        rows = [asdict(point) for point in points]
        return self.found(**{name: [row[name] for row in rows] for name in rows[0]})


def convex_curve(model: ProbedModel, betas: Iterable[float]) -> list[LearningCurvePoint]:
    """The curve of a convex learner: it is fitted again for every beta."""
    incremental = Incremental.of(model)
    assert incremental is not None
    return [
        LearningCurvePoint(
            beta,
            incremental.loss(theta, incremental.clean),
            incremental.accuracy(theta, incremental.clean),
            incremental.loss(theta, incremental.triggered),
            incremental.accuracy(theta, incremental.triggered),
        )
        for beta, theta in incremental.path(betas)
    ]
