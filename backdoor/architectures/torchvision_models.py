"""Any classification network of torchvision, untrained, by the name that torchvision gives it."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import nn

from backdoor.architectures.base import Shape
from backdoor.architectures.networks import Network, library_class
from backdoor.architectures.stems import fit_first_layers
from backdoor.settings.schema import suggest


@dataclass(frozen=True)
class TorchvisionModel(Network):
    """A classification network of torchvision.models, such as torchvision/densenet121.

    Its first convolution takes the channels of the images; for images of up to 64 pixels a side it
    becomes 3x3 of stride 1 if it has a stride, and the max pooling right after it is left out.
    Vision transformers (vit_*) keep their patches. Auxiliary classifiers are left out.
    """

    kind: ClassVar[str] = "torchvision/NAME"
    name: ClassVar[str]

    @classmethod
    def named(cls, name: str) -> type[TorchvisionModel]:
        if name not in (known := _names()):
            rule = "must be torchvision/ and a classification network of torchvision.models"
            raise ValueError(rule, suggest(name, known))
        found: type[TorchvisionModel] = library_class(cls, name)
        return found

    def make(self, shape: Shape, classes: int) -> nn.Module:
        from torchvision import models

        how: dict[str, Any] = {"num_classes": classes, "weights": None}
        if self.name in ("googlenet", "inception_v3"):
            how |= {"aux_logits": False, "init_weights": True}
        if self.name.startswith("maxvit"):
            how["input_size"] = shape[1:]
        patches = self.name.startswith("vit_")
        if patches:
            how["image_size"] = shape[1] if shape[1] == shape[2] else shape[1:]
        return fit_first_layers(models.get_model(self.name, **how), shape, keep_stride=patches)


@functools.cache
def _names() -> tuple[str, ...]:
    from torchvision import models

    return tuple(models.list_models(module=models))
