"""The base class of regularizers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from backdoor.errors import Mistake
from backdoor.settings.registry import Kind

if TYPE_CHECKING:
    from backdoor.architectures import Architecture
    from backdoor.regularizers.step import Step


@dataclass(frozen=True)
class Regularizer(Kind):
    """Changes a training step, or adds a penalty; weight decay is a factor of its own."""

    #: The field that switches it off at value 0.
    dial: ClassVar[str] = "strength"
    #: Of kinds that act together, `prepare` is called in ascending order of this, then by name.
    turn: ClassVar[int] = 0

    @property
    def weight(self) -> float:
        """The factor of the penalty; 0 if there is none."""
        return float(getattr(self, "strength", 0.0))

    @property
    def switched_on(self) -> bool:
        """Whether it has an effect."""
        return bool(getattr(self, self.dial, 0.0))

    @property
    def terms(self) -> tuple[Regularizer, ...]:
        """The kinds that act together; by default this one alone."""
        return (self,)

    @property
    def on_answers_alone(self) -> bool:
        """Whether it needs logits and labels only, whatever its settings."""
        own = type(self)
        return own.prepare is Regularizer.prepare and own.penalty is Regularizer.penalty

    def pack_identity(self) -> dict[str, Any]:
        """The identity without strengths; equal for trials that may share a pack."""
        return {k: v for k, v in self.identity().items() if k != "strength"}

    def fits(
        self, architecture: Architecture, shape: tuple[int, int, int], classes: int
    ) -> Iterable[Mistake]:
        """Mistakes for this architecture on images of `shape`; none by default."""
        return ()

    def unit_penalty(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """The penalty at strength 1, for kinds that need nothing else; 0 by default.

        Args:
            logits: (..., b, k) float, any number of leading pack dimensions.
            labels: (..., b) int64, training labels, including those of poisoned images.

        Returns:
            (...) float, the mean over the b images of the batch; differentiable.
        """
        return logits.new_zeros(logits.shape[:-2])

    def prepare(self, step: Step) -> None:
        """Called before the forward pass, if the kind is switched on."""

    def penalty(self, step: Step) -> torch.Tensor:
        """The penalty at strength 1, () float, after the forward pass of a step.

        By default it is `unit_penalty`; with mixed labels, its mean weighted by their shares.
        """
        return step.expected(lambda labels: self.unit_penalty(step.logits, labels))
