"""Shared by the deep networks: pretrained weights, and checks against the size of the images."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from backdoor.architectures.base import Architecture, Shape
from backdoor.architectures.fitted import UnfitError, fitted_weights
from backdoor.architectures.pretrained import read_weights
from backdoor.errors import Mistake, UserError
from backdoor.settings.user_file import UserFile


@dataclass(frozen=True)
class Network(Architecture):
    """Any torch module, trained by stochastic gradient descent. Kinds implement `make`.

    pretrained: a file with weights to start from, see `backdoor.architectures.fitted`; the
    digest of its content is part of a trial's id.
    """

    pretrained: UserFile | None = None

    def inert(self) -> frozenset[str]:
        # Trials of untrained networks keep the ids of before there was a choice.
        return frozenset({"pretrained"} if self.pretrained is None else ())

    def make(self, shape: Shape, classes: int) -> nn.Module:
        """An untrained module from (n, c, h, w) float to (n, classes) logits."""
        raise NotImplementedError

    def build(self, shape: Shape, classes: int) -> nn.Module:
        return self.make(shape, classes)

    def count_hidden(self, shape: Shape, classes: int) -> int:
        return len(self.hidden_layers(on_meta_device(self, shape, classes)))

    def start(self, module: nn.Module) -> None:
        if self.pretrained is not None:
            tables = read_weights(self.pretrained, "pretrained")
            try:
                fitted = fitted_weights(tables, module, self.head(module))
            except UnfitError as error:
                raise UserError(self._unfit(error)) from None
            module.load_state_dict(fitted.state, strict=False)

    def fits(self, shape: Shape) -> Iterable[Mistake]:
        if (rule := _misfit(self, shape)) is not None:
            yield Mistake("kind", rule, self.kind_name(), "Use larger images, or convnet or mlp.")
        elif self.pretrained is not None:
            yield from self._against_weights(self.pretrained, shape)

    def _against_weights(self, file: UserFile, shape: Shape) -> Iterable[Mistake]:
        module = on_meta_device(self, shape, 2)
        try:
            fitted_weights(read_weights(file, "pretrained"), module, self.head(module))
        except UserError as error:
            yield from error.mistakes
        except UnfitError as error:
            yield self._unfit(error)

    def _unfit(self, error: UnfitError) -> Mistake:
        rule = f"must hold the weights of {self.kind_name()} for these images, but it {error}"
        return Mistake("pretrained", rule, str(self.pretrained), error.remedy)


@functools.lru_cache(maxsize=256)
def _misfit(network: Network, shape: Shape) -> str | None:
    """Why a training step on one image fails, None if it does not; computed without values.

    The last batch of an epoch may be one image. Batch norm then fails if a channel has shrunk to
    one pixel, as a single value has no variance.
    """
    size = f"{shape[1]} x {shape[2]}"
    try:
        on_meta_device(network, shape, 2).train()(torch.zeros(1, *shape, device="meta"))
    except Exception as error:  # layers of any library can raise anything
        why = " ".join(str(error).split())
        if "more than 1 value per channel" in why:
            return f"needs images that leave its batch norm more than one pixel, not {size}"
        return f"cannot take images of {size} pixels with {shape[0]} channels ({why[:100]})"
    return None


def on_meta_device(network: Network, shape: Shape, classes: int) -> nn.Module:
    """Its module on torch's meta device: shapes without values, which is fast."""
    try:
        with torch.device("meta"):
            return network.make(shape, classes)
    except NotImplementedError:  # some compute with values in their constructor
        return network.make(shape, classes).to("meta")


_library_classes: dict[tuple[str, str], Any] = {}


def library_class(base: Any, name: str) -> Any:
    """The class for one `name` of a library; base: the class for `LIBRARY/NAME`."""
    kind = f"{base.kind.partition('/')[0]}/{name}"
    own = {"kind": kind, "name": name, "__module__": base.__module__, "__doc__": base.__doc__}
    if (base.kind, name) not in _library_classes:
        _library_classes[base.kind, name] = type(f"{base.__name__}_{name}", (base,), own)
    return _library_classes[base.kind, name]
