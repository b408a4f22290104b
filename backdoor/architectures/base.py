"""The base class of architectures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar, TypeVar

import torch
from torch import nn

from backdoor.errors import Mistake
from backdoor.settings.registry import Kind

Shape = tuple[int, int, int]
V = TypeVar("V")


@dataclass(frozen=True)
class Architecture(Kind):
    """A learner for images of a shape (c, h, w) and a number of classes."""

    engine: ClassVar[str] = "serial"
    #: Factors of a trial that have no effect on it.
    inactive: ClassVar[frozenset[str]] = frozenset()
    #: Whether it needs a weight decay above 0 to have an optimum that can be found exactly.
    needs_weight_decay: ClassVar[bool] = False
    #: Whether it learns by cross-entropy: its scores are then logits.
    cross_entropy: ClassVar[bool] = True
    #: Its fields in which the trials of one pack may differ.
    pack_axes: ClassVar[frozenset[str]] = frozenset()
    #: The largest training set that it can handle; None is no limit.
    most_images: ClassVar[int | None] = None

    def build(self, shape: Shape, classes: int) -> nn.Module:
        """A module from (n, c, h, w) float to (n, classes) logits, initialised with torch's global
        generator, which the engine seeds."""
        raise NotImplementedError

    def start(self, module: nn.Module) -> None:
        """Loads the weights with which training starts into a module made by `build`; by default
        it keeps the weights that it was built with."""

    def hidden_layers(self, module: nn.Module) -> tuple[str, ...]:
        """Names of the submodules whose outputs are the hidden representations, in forward order.

        By default the children with parameters, except the one that contains the head. If some of
        them consist of several layers, such as stages, children of a single layer do not count. A
        layer that changes its input in place changes the representation before it.
        """
        head = self.head(module)
        children = {
            name: child
            for name, child in module.named_children()
            if next(child.parameters(), None) is not None and name != head.partition(".")[0]
        }
        stages = [
            name for name, child in children.items() if next(child.children(), None) is not None
        ]
        return tuple(stages or children)

    def head(self, module: nn.Module) -> str:
        """Name of the layer that computes the logits: the last linear layer, else the last layer
        with parameters of its own."""
        layers: list[tuple[bool, str]] = [
            (isinstance(layer, nn.Linear), name)
            for name, layer in module.named_modules()
            if next(layer.parameters(recurse=False), None) is not None
        ]
        linear = [name for is_linear, name in layers if is_linear]
        return (linear or [name for _, name in layers])[-1]

    def count_hidden(self, shape: Shape, classes: int) -> int:
        """Number of hidden representations."""
        with torch.device("meta"):  # shapes without values: fast
            return len(self.hidden_layers(self.build(shape, classes)))

    @property
    def trained_by_epochs(self) -> bool:
        """Whether it is trained epoch by epoch; False where it is solved and has no curve."""
        return "epochs" not in self.inactive

    @property
    def takes_regularizer(self) -> bool:
        """Whether a regularizer has an effect on it."""
        return "regularizer" not in self.inactive

    def active(self, factors: Mapping[str, V]) -> dict[str, V]:
        """Those of a trial's factors that have an effect on it."""
        return {name: value for name, value in factors.items() if name not in self.inactive}

    def trained_by(self) -> str:
        """Name of its engine; kinds whose settings decide on it override this."""
        return self.engine

    def fits(self, shape: Shape) -> Iterable[Mistake]:
        """What is wrong with this architecture on images of `shape`; nothing by default."""
        return ()


#: Factors without effect on learners that are solved, not trained by epochs.
TRAINING_FACTORS = frozenset(
    {"regularizer", "learning_rate", "momentum", "epochs"}
    | {"batch_size", "schedule", "augmentation", "stamp"}
)
