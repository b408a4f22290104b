"""Logit squeezing: Kannan, Kurakin, Goodfellow 2018, arXiv 1803.06373."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch

from backdoor.regularizers.base import Regularizer
from backdoor.settings.schema import Range


@dataclass(frozen=True)
class LogitSqueezing(Regularizer):
    """Keeps logits short: strength x mean ||z||_2, or its square for `form: squared`.

    `norm` is the form of Kannan et al.; `squared` that of Shafahi et al. 2019 (arXiv 1910.11585).
    As these are different regularizers, the form is part of a trial's identity. Both are means over
    the batch. Shafahi et al. write beta ||Z||_F^2, a sum over the logits Z of the whole batch:
    their beta is a strength of beta x the batch size here, and does not carry over as it is.
    """

    kind: ClassVar[str] = "logit_squeezing"

    strength: Annotated[float, Range(gt=0)] = 0.05
    form: Literal["norm", "squared"] = "norm"

    def unit_penalty(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        if self.form == "squared":
            return logits.square().sum(-1).mean(-1)
        # At z = 0 vector_norm has the subgradient 0; sqrt(sum of squares) would give NaN.
        norms: torch.Tensor = torch.linalg.vector_norm(logits, dim=-1)
        return norms.mean(-1)
