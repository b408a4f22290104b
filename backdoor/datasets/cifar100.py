"""CIFAR-100 (Krizhevsky 2009), in its Python version, read by torchvision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from backdoor.datasets.cifar10 import Cifar10


@dataclass(frozen=True, kw_only=True)
class Cifar100(Cifar10):
    """Photographs of a hundred things (the fine labels), 32 x 32 colour pixels: 50,000 and 10,000.

    `root` holds cifar-100-python. Its files are pickles: torchvision opens a file only if its
    checksum is that of the published one.
    """

    kind: ClassVar[str] = "cifar100"

    def source_class(self) -> Any:
        from torchvision.datasets import CIFAR100

        return CIFAR100
