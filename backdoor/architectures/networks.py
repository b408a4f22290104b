"""What the deep networks share: the way they are held against the size of the images."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from backdoor.architectures.base import Architecture, Shape
from backdoor.architectures.pretrained import fitted_weights, read_weights
from backdoor.errors import Mistake, UserError
from backdoor.settings.user_file import UserFile


@dataclass(frozen=True)
class Network(Architecture):
    """A network that any torch module can be, trained by stochastic gradient descent.

    pretrained: a file with weights to begin with, see `backdoor.architectures.pretrained`; a
    trial's name has the digest of its content. Kinds write `make`.
    """

    pretrained: UserFile | None = None

    def inert(self) -> frozenset[str]:
        # Networks that begin untrained are named as they were before there was a choice.
        return frozenset({"pretrained"} if self.pretrained is None else ())

    def make(self, shape: Shape, classes: int) -> nn.Module:
        """An untrained module from (n, c, h, w) float to (n, classes) logits."""
        raise NotImplementedError

    def build(self, shape: Shape, classes: int) -> nn.Module:
        return self.make(shape, classes)

    def count_hidden(self, shape: Shape, classes: int) -> int:
        return len(self.hidden_layers(without_numbers(self, shape, classes)))

    def start(self, module: nn.Module) -> None:
        if self.pretrained is not None:
            state = read_weights(self.pretrained, "pretrained")
            try:
                module.load_state_dict(
                    fitted_weights(state, module, self.head(module)), strict=False
                )
            except ValueError as error:
                raise UserError(self._unfit(error)) from None

    def fits(self, shape: Shape) -> Iterable[Mistake]:
        if (rule := _trouble(self, shape)) is not None:
            yield Mistake("kind", rule, self.kind_name(), "Use larger images, or convnet or mlp.")
        elif self.pretrained is not None:
            yield from self._against_weights(self.pretrained, shape)

    def _against_weights(self, file: UserFile, shape: Shape) -> Iterable[Mistake]:
        module = without_numbers(self, shape, 2)
        try:
            fitted_weights(read_weights(file, "pretrained"), module, self.head(module))
        except UserError as error:
            yield from error.mistakes
        except ValueError as error:
            yield self._unfit(error)

    def _unfit(self, error: ValueError) -> Mistake:
        rule = f"must hold the weights of {self.kind_name()} for these images, but it {error}"
        remedy = "Weights for ImageNet want colour images of more than 64 pixels a side."
        return Mistake("pretrained", rule, str(self.pretrained), remedy)


@functools.lru_cache(maxsize=256)
def _trouble(network: Network, shape: Shape) -> str | None:
    """What goes wrong with a training step on one image, if anything; computed without numbers.

    The last batch of an epoch may be one image. Batch norm then fails where a channel has shrunk
    to one pixel, as it would have one number to take a variance of.
    """
    size = f"{shape[1]} x {shape[2]}"
    try:
        without_numbers(network, shape, 2).train()(torch.zeros(1, *shape, device="meta"))
    except Exception as error:  # whatever the layers of any library raise
        why = " ".join(str(error).split())
        if "more than 1 value per channel" in why:
            return f"needs images that leave its batch norm more than one pixel, not {size}"
        return f"cannot take images of {size} pixels with {shape[0]} channels ({why[:100]})"
    return None


def without_numbers(network: Network, shape: Shape, classes: int) -> nn.Module:
    """Its module on torch's meta device: shapes without content, made in no time."""
    try:
        with torch.device("meta"):
            return network.make(shape, classes)
    except NotImplementedError:  # some compute with tensors while they are made
        return network.make(shape, classes).to("meta")


_library_classes: dict[tuple[str, str], Any] = {}


def library_class(base: Any, name: str) -> Any:
    """The kind of one `name` of a library, where `base` is that of `LIBRARY/NAME`."""
    kind = f"{base.kind.partition('/')[0]}/{name}"
    own = {"kind": kind, "name": name, "__module__": base.__module__, "__doc__": base.__doc__}
    if (base.kind, name) not in _library_classes:
        _library_classes[base.kind, name] = type(f"{base.__name__}_{name}", (base,), own)
    return _library_classes[base.kind, name]
