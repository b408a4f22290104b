"""Frozen features: learners see features of a pretrained network in place of pixels.

As in *Backdoor Learning Curves* (Cina et al., arXiv 2106.07214), whose convex learners on
photographs use the inputs of the last layer of a network that is never trained. Images are stamped
first, then resized, normalized, and given to the network.

Features are rounded to whole multiples of 2^-13 between -128 and 128. Sums of up to 8,192 products
of two such numbers are below 2^53 and so exact in float64: learners that are solved in closed form
give a trial the same bits in any pack, on features as on pixels.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
from torch import nn
from torch.nn import functional

from backdoor.architectures.base import Architecture, Shape
from backdoor.architectures.networks import Network, on_meta_device
from backdoor.errors import Mistake, UserError
from backdoor.settings.registry import ARCHITECTURES
from backdoor.settings.schema import Fields, Range

#: Features are whole multiples of this step; the largest multiple.
STEP, LARGEST_MULTIPLE = 2.0**-13, 2**20
#: With more features than this, sums would not be exact.
MOST_FEATURES = 8192
#: Means and standard deviations of the channels by which pixels / 255 are normalized.
NORMALIZATIONS = {
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "half": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "unit": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
}


@dataclass(frozen=True)
class Features(Fields):
    """The outputs of the penultimate layer of a network with the weights of a file.

    network: an architecture with `pretrained`. size: side in pixels to which images are resized
    (bilinear, antialiased). normalization: of pixels / 255, by the means and standard deviations of
    ImageNet, by 0.5 and 0.5 (`half`), or not at all (`unit`). Grey images get three equal channels.
    """

    network: Architecture
    size: Annotated[int, Range(ge=8)] = 224
    normalization: Literal["imagenet", "half", "unit"] = "imagenet"

    def __post_init__(self) -> None:
        given: Any = self.network
        if not isinstance(given, Architecture):
            try:
                object.__setattr__(self, "network", ARCHITECTURES.build(given))
            except UserError as error:
                raise error.inside("network") from None
        super().__post_init__()

    def rules(self) -> Iterable[Mistake]:
        if not isinstance(self.network, Network):
            rule = "must be a deep network, such as resnet18 or torchvision/alexnet"
            yield Mistake("network", rule, self.network.kind_name(), "Choose one of these.")
        elif self.network.pretrained is None:
            remedy = "Name a file with its weights: untrained features are of little use."
            yield Mistake("network.pretrained", "must be given", None, remedy)

    def fits(self, shape: Shape) -> Iterable[Mistake]:
        """Mistakes of these features on images (c, h, w)."""
        if shape[0] not in (1, 3):
            yield Mistake("network", "needs images of 1 or 3 channels", shape[0], "Convert them.")
        misfits = [m.inside("network") for m in self.network.fits(self._network_shape)]
        yield from misfits
        if misfits:
            return
        count = self._count()
        if not 0 < count <= MOST_FEATURES:
            rule = f"must end with a linear layer of at most {MOST_FEATURES} inputs"
            yield Mistake("network", rule, count or "no linear layer", "Choose another network.")

    @property
    def shape(self) -> Shape:
        """(features, 1, 1): the shape that learners see in place of (c, h, w)."""
        return self._count(), 1, 1

    @property
    def _network_shape(self) -> Shape:
        return 3, self.size, self.size

    def _count(self) -> int:
        return _count(self.network, self._network_shape)

    def build(self) -> Extractor:
        """The extractor without its weights, on the CPU."""
        network = self.network.build(self._network_shape, 2)
        return Extractor(network, self.network.head(network), self.size, self.normalization)

    def load(self) -> Extractor:
        """The extractor with its weights; `UserError` if the file has changed."""
        return _load(self)


@functools.lru_cache(maxsize=64)
def _count(network: Network, shape: Shape) -> int:
    """Number of inputs of its last layer, 0 if that is not linear."""
    module = on_meta_device(network, shape, 2)
    head = module.get_submodule(network.head(module))
    return head.in_features if isinstance(head, nn.Linear) else 0


@functools.lru_cache(maxsize=1)
def _load(features: Features) -> Extractor:
    network = features.network.build((3, features.size, features.size), 2)
    features.network.start(network)
    head = features.network.head(network)
    return Extractor(network, head, features.size, features.normalization).eval()


class Extractor(nn.Module):
    """Pixels (n, c, h, w) float32, 0 to 255, to features (n, f) float32, in units of `STEP`.

    network: its layer `head` is replaced in place by one that changes nothing.
    """

    def __init__(self, network: nn.Module, head: str, size: int, normalization: str) -> None:
        super().__init__()
        parent, _, last = head.rpartition(".")
        setattr(network.get_submodule(parent), last, nn.Identity())
        self.network, self.size = network, size
        mean, std = (torch.tensor(part)[:, None, None] for part in NORMALIZATIONS[normalization])
        self.register_buffer("scale", 1 / (255 * std), persistent=False)
        self.register_buffer("shift", mean / std, persistent=False)
        self.scale: torch.Tensor
        self.shift: torch.Tensor

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        x = pixels.expand(-1, 3, -1, -1)
        if x.shape[2:] != (self.size, self.size):
            x = functional.interpolate(x, (self.size,) * 2, mode="bilinear", antialias=True)
        found = self.network(x * self.scale - self.shift)
        steps: torch.Tensor = (found / STEP).round().clamp(-LARGEST_MULTIPLE, LARGEST_MULTIPLE)
        return steps


class Featured(nn.Module):
    """A learner after an extractor: pixels (n, c, h, w) float32, 0 to 255, to (n, classes)."""

    def __init__(self, extractor: Extractor, learner: nn.Module) -> None:
        super().__init__()
        self.extractor, self.learner = extractor, learner
        self.dtype = next(learner.parameters()).dtype

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        features = self.extractor(pixels).to(self.dtype) * STEP
        logits: torch.Tensor = self.learner(features[:, :, None, None])
        return logits
