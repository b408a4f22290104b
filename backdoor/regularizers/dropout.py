"""Dropout: Srivastava et al. 2014, JMLR 15, "Dropout: A Simple Way to Prevent Neural Networks from
Overfitting"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch

from backdoor.regularizers.base import Regularizer
from backdoor.regularizers.step import Step
from backdoor.settings.schema import Range


@dataclass(frozen=True)
class Dropout(Regularizer):
    """Sets units to 0 with probability `rate` in each step, and scales up what is left.

    units: `head` drops inputs of the last linear layer (pixels, if it is the only layer);
        `hidden` drops outputs of every hidden layer, as in the paper.
    """

    kind: ClassVar[str] = "dropout"
    dial: ClassVar[str] = "rate"

    rate: Annotated[float, Range(ge=0, lt=1)] = 0.5
    units: Literal["head", "hidden"] = "head"

    def prepare(self, step: Step) -> None:
        generator = step.draws.tensors(self.kind_name())

        def dropped(values: torch.Tensor) -> torch.Tensor:
            sample = torch.rand(values.shape, generator=generator, device=values.device)
            return values * (sample >= self.rate) / (1 - self.rate)

        if self.units == "head":
            step.change_inputs_of(step.network.head, dropped)
        else:
            for layer in step.network.hidden:
                step.change_outputs_of(layer, dropped)
