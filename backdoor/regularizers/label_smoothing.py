"""Label smoothing: Szegedy et al. 2016, arXiv 1512.00567."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch

from backdoor.regularizers.base import Regularizer
from backdoor.settings.schema import Range


@dataclass(frozen=True)
class LabelSmoothing(Regularizer):
    """Trains for (1 - strength) x the label + strength x the uniform distribution over classes.

    This loss, (1 - e) CE(label) + e CE(uniform), is CE(label) + e (CE(uniform) - CE(label)). In the
    bracket the log-partition cancels; the logit of the label minus the mean logit remains.
    """

    kind: ClassVar[str] = "label_smoothing"

    strength: Annotated[float, Range(ge=0, lt=1)] = 0.1

    def unit_penalty(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        chosen = logits.gather(-1, labels[..., None]).squeeze(-1)
        return (chosen - logits.mean(-1)).mean(-1)
