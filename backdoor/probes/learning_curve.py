"""The backdoor learning curve: how fast a model learns the poison as it is given weight."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, ClassVar

from backdoor.config import TrialConfig
from backdoor.errors import Mistake
from backdoor.probes.base import Probe, ProbedModel, ProbeResult
from backdoor.probes.incremental import AUTHORS_BETAS, LEARNERS, Incremental, refuse_others
from backdoor.probes.network import NETWORKS, is_network
from backdoor.probes.weighted import Weighting, network_curve, refuse_regularized
from backdoor.settings.schema import Range

Point = Mapping[str, float]


@dataclass(frozen=True)
class LearningCurve(Probe):
    """Loss and accuracy on clean and on triggered test images, as poisoned images count beta.

    *Backdoor Learning Curves* (arXiv 2106.07214). A row a beta: clean_loss and clean_accuracy with
    the true labels, backdoor_loss and backdoor_accuracy with those that the attacker wants. Losses
    are means of what the learner minimises: ridge (y - f)^2, logistic cross-entropy, machines
    hinge; of more classes than two, summed over columns or over the machines of the class.
    Accuracies are fractions in [0, 1]. beta = 1 is the trial's own training.

    Networks are trained anew for every beta, as the trial was, and their loss is cross-entropy.
    weighting: `batch` divides the weighted sum of a batch by its size; `separate_means`, of
    networks only, is the authors' variant, no ordinary training at beta = 1 (see `weighted`).
    """

    kind: ClassVar[str] = "learning_curve"

    betas: tuple[Annotated[float, Range(ge=0, le=1)], ...] = AUTHORS_BETAS
    weighting: Weighting = "batch"

    def rules(self) -> Iterable[Mistake]:
        if not self.betas:
            yield Mistake("betas", "must hold a number at least", [], "For example [0, 0.1, 1].")

    def suits(self, config: TrialConfig) -> Iterable[Mistake]:
        yield from refuse_others(self.kind, config, CURVES)
        if is_network(config):
            yield from refuse_regularized(config)
        elif self.weighting != "batch":
            rule = (
                f"must be batch for {config.defence.architecture.kind_name()}, which has no batches"
            )
            yield Mistake("weighting", rule, self.weighting, "Leave it out.")

    def study(self, model: ProbedModel) -> ProbeResult | None:
        if model.config.attack is None:
            return None
        curve = CURVES[model.config.defence.architecture.trained_by()]
        points = list(curve(model, self.betas, self.weighting))
        return self.found(**{name: [point[name] for point in points] for name in points[0]})


def convex_curve(
    model: ProbedModel, betas: Sequence[float], weighting: Weighting
) -> Iterable[Point]:
    """Of a learner that is solved: a refit a beta."""
    incremental = Incremental.of(model)
    assert incremental is not None
    for beta, theta in incremental.path(betas):
        yield {
            "beta": beta,
            "clean_loss": incremental.loss(theta, incremental.clean),
            "clean_accuracy": incremental.accuracy(theta, incremental.clean),
            "backdoor_loss": incremental.loss(theta, incremental.triggered),
            "backdoor_accuracy": incremental.accuracy(theta, incremental.triggered),
        }


def network_points(
    model: ProbedModel, betas: Sequence[float], weighting: Weighting
) -> Iterable[Point]:
    """Of a network: a training a beta."""
    return [asdict(point) for point in network_curve(model, betas, weighting)]


#: Engine → the curve of a poisoned trial that it trained, a point a beta, in the order given.
CURVES: dict[str, Callable[[ProbedModel, Sequence[float], Weighting], Iterable[Point]]] = {
    **dict.fromkeys(LEARNERS, convex_curve),
    **dict.fromkeys(NETWORKS, network_points),
}
