"""What every regularizer may do to a step of the training."""

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
    """What is done to a step besides cross-entropy; weight decay is a factor of its own."""

    #: The field that switches it off at 0.
    dial: ClassVar[str] = "strength"
    #: Among kinds that act together, `prepare` of lower ones comes first, then by name.
    turn: ClassVar[int] = 0

    @property
    def weight(self) -> float:
        """The factor in front of the penalty; 0 where there is none."""
        return float(getattr(self, "strength", 0.0))

    @property
    def switched_on(self) -> bool:
        return bool(getattr(self, self.dial, 0.0))

    @property
    def terms(self) -> tuple[Regularizer, ...]:
        """The kinds that act together; a plain one acts alone."""
        return (self,)

    @property
    def on_answers_alone(self) -> bool:
        """Whether logits and labels are all it looks at, whatever its settings."""
        own = type(self)
        return own.prepare is Regularizer.prepare and own.penalty is Regularizer.penalty

    def pack_identity(self) -> dict[str, Any]:
        """The identity without strengths: trials for which it is equal may share a pack."""
        return {k: v for k, v in self.identity().items() if k != "strength"}

    def fits(
        self, architecture: Architecture, shape: tuple[int, int, int], classes: int
    ) -> Iterable[Mistake]:
        """What is wrong with it for this architecture on images of `shape`; nothing by default."""
        return ()

    def unit_penalty(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """The penalty at strength 1 of kinds that look at no more; 0 by default.

        Args:
            logits: (..., b, k) float, any number of leading pack dimensions.
            labels: (..., b) int64, the classes trained for, poisoned ones included.

        Returns:
            (...) float, the mean over the b images of the batch; differentiable.
        """
        return logits.new_zeros(logits.shape[:-2])

    def prepare(self, step: Step) -> None:
        """Called before the network sees the batch, where the kind is switched on."""

    def penalty(self, step: Step) -> torch.Tensor:
        """The penalty at strength 1, () float, of a step that the network has answered.

        Where labels are mixed it is, by default, the mean over what each image may count as.
        """
        return step.expected(lambda labels: self.unit_penalty(step.logits, labels))
