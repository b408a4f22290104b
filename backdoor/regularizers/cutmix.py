"""CutMix: Yun et al. 2019, arXiv 1905.04899."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from backdoor.regularizers.base import Regularizer
from backdoor.regularizers.step import Step
from backdoor.settings.schema import Range


@dataclass(frozen=True)
class CutMix(Regularizer):
    """Trains on images with a box cut from another one, which count as either by area.

    The box has the height h sqrt(1 - lambda) and the width w sqrt(1 - lambda). Its centre is
    uniform over the image, and it is clipped at the edges. Each batch has one lambda from
    Beta(alpha, alpha), one box, and one random permutation that gives each image its partner;
    labels are mixed by the area of the clipped box. alpha 0 switches it off.
    """

    kind: ClassVar[str] = "cutmix"
    dial: ClassVar[str] = "alpha"

    alpha: Annotated[float, Range(ge=0)] = 1.0

    def prepare(self, step: Step) -> None:
        rng = step.draws.numbers(self.kind_name())
        height, width = step.inputs.shape[2:]
        top, bottom, left, right = box(rng, self.alpha, height, width)
        partners = step.partners(rng)
        mixed = step.inputs.clone()
        mixed[:, :, top:bottom, left:right] = step.inputs[partners, :, top:bottom, left:right]
        step.inputs = mixed
        step.mix_targets(1 - (bottom - top) * (right - left) / (height * width), partners)


def box(
    rng: np.random.Generator, alpha: float, height: int, width: int
) -> tuple[int, int, int, int]:
    """First row and the row after the last, then the same for columns, as in the authors' code."""
    side = math.sqrt(1 - rng.beta(alpha, alpha))
    edges = []
    for length in (height, width):
        half = int(length * side) // 2
        centre = int(rng.integers(length))
        edges += [max(0, centre - half), min(length, centre + half)]
    return edges[0], edges[1], edges[2], edges[3]
