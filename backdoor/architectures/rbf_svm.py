"""Support vector machine with a Gaussian kernel, solved by libsvm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from torch import nn

from backdoor.architectures.base import TRAINING_FACTORS, Architecture, Shape
from backdoor.architectures.one_vs_one import GaussianMachines, Votes
from backdoor.settings.schema import Range


@dataclass(frozen=True)
class RbfSvm(Architecture):
    """One-against-one machines with the kernel exp(-gamma ||x - x'||^2) on pixels.

    scikit-learn's SVC(kernel="rbf") with C = 1 / (n * weight_decay), n being the size of the
    training set. `gamma: scale`, the default there too, is 1 / (inputs x variance of the training
    inputs), poisoned images included.
    """

    kind: ClassVar[str] = "rbf_svm"
    engine: ClassVar[str] = "svm"
    inactive: ClassVar[frozenset[str]] = TRAINING_FACTORS
    cross_entropy: ClassVar[bool] = False
    needs_weight_decay: ClassVar[bool] = True
    most_images: ClassVar[int | None] = 20_000
    pack_axes: ClassVar[frozenset[str]] = frozenset({"gamma"})

    gamma: Annotated[float, Range(gt=0)] | Literal["scale"] = "scale"

    def build(self, shape: Shape, classes: int) -> nn.Module:
        c, h, w = shape
        machines = GaussianMachines(c * h * w, classes)
        return nn.Sequential(nn.Flatten(), machines, Votes(classes)).double()
