"""One update of one network, as regularizers see it and change it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from backdoor.errors import TrainingError
from backdoor.streams import stream, stream_seed

Change = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Network:
    """A module in training, with what regularizers need to know of it.

    hidden: names of the submodules whose outputs are its hidden representations, in forward order.
    head: name of the layer that makes logits of the last of them.
    memory: what each kind keeps from step to step.
    """

    module: nn.Module
    hidden: tuple[str, ...]
    head: str
    memory: dict[str, dict[str, torch.Tensor]] = field(default_factory=dict)

    @property
    def representations(self) -> tuple[str, ...]:
        """The hidden layers; of a network that has none, the network itself, whose outputs are
        its logits."""
        return self.hidden or ("",)


@dataclass(frozen=True)
class Draws:
    """Chance of one step: what a kind draws depends on no other kind, and on no other trial."""

    seed: int
    images: int
    epoch: int
    step: int
    device: torch.device

    def numbers(self, kind: str) -> np.random.Generator:
        return stream("regularizer", kind, self.seed, self.images, self.epoch, self.step)

    def tensors(self, kind: str) -> torch.Generator:
        """On the device, for draws as large as an image; a CPU and a GPU draw differently."""
        key = kind, self.seed, self.images, self.epoch, self.step
        return torch.Generator(self.device).manual_seed(stream_seed("regularizer", *key))


class Step:
    """A batch on its way through a network.

    inputs: (b, c, h, w) float32, what the network is given, normalised and augmented.
    targets: what the images count as: a share, and classes (b,) int64, for each set of labels;
        the shares add up to 1.
    logits: (b, k) float32, once `run` was called.
    """

    logits: torch.Tensor

    def __init__(
        self, network: Network, inputs: torch.Tensor, labels: torch.Tensor, draws: Draws
    ) -> None:
        self.network, self.inputs, self.draws = network, inputs, draws
        self.targets: list[tuple[float, torch.Tensor]] = [(1.0, labels)]
        self.follows_inputs = False
        self._before: list[tuple[str, Change]] = []
        self._after: list[tuple[str, Change]] = []
        self._watched: dict[str, torch.Tensor | None] = {}

    # --- before the network sees the batch -------------------------------------------------------

    def follow_inputs(self) -> None:
        """Asks for gradients with respect to the inputs as the network will see them."""
        self.follows_inputs = True

    def watch(self, layers: Sequence[str]) -> None:
        """Asks for the outputs of these layers, as the rest of the network sees them."""
        self._watched |= dict.fromkeys(layers)

    def change_inputs_of(self, layer: str, change: Change) -> None:
        self._before.append((layer, change))

    def change_outputs_of(self, layer: str, change: Change) -> None:
        self._after.append((layer, change))

    def partners(self, numbers: np.random.Generator) -> torch.Tensor:
        """Another order of the batch, (b,) int64: whom each image is mixed with."""
        order = torch.from_numpy(numbers.permutation(len(self.inputs)))
        return order.to(self.inputs.device, non_blocking=True)

    def mix_targets(self, share: float, partners: torch.Tensor) -> None:
        """Every image counts as itself by `share`, and as its partner by the rest."""
        own = [(share * part, labels) for part, labels in self.targets]
        theirs = [((1 - share) * part, labels[partners]) for part, labels in self.targets]
        self.targets = [(part, labels) for part, labels in own + theirs if part]

    # --- the network -----------------------------------------------------------------------------

    def run(self, forward: Callable[[torch.Tensor], torch.Tensor]) -> None:
        """Sets `logits`. forward: from inputs to logits; it calls the network's module."""
        if self.follows_inputs:
            self.inputs = self.inputs.detach().clone().requires_grad_()
        with self._hooked():
            self.logits = _precise(forward(self.inputs))

    @contextmanager
    def _hooked(self) -> Iterator[None]:
        """Hooks live as long as the step: whoever else runs the module meets none."""
        with ExitStack() as hooks:
            find = self.network.module.get_submodule
            for layer, change in self._before:
                hooks.enter_context(_before(find(layer), change))
            for layer, change in self._after:
                hooks.enter_context(_after(find(layer), change))
            for layer in self._watched:
                hooks.enter_context(_after(find(layer), self._keeper(layer)))
            yield

    def _keeper(self, layer: str) -> Change:
        def keep(output: torch.Tensor) -> torch.Tensor:
            self._watched[layer] = output
            return output

        return keep

    # --- after it ------------------------------------------------------------------------------

    def outputs_of(self, layer: str) -> torch.Tensor:
        """Outputs of a layer that was asked for, (b, d) float32, of any shape before."""
        output = self._watched[layer]
        if output is None:
            raise TrainingError(f"the network did not run its layer {layer!r}")
        return _precise(output.flatten(1))

    def expected(self, of: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
        """The mean, by share, of what `of` makes of each set of labels."""
        if len(self.targets) == 1:
            return of(self.targets[0][1])
        return torch.stack([share * of(labels) for share, labels in self.targets]).sum(0)

    def cross_entropy(self) -> torch.Tensor:
        """The mean over the batch, () float32; of mixed labels the mixture."""
        return self.expected(lambda labels: functional.cross_entropy(self.logits, labels))


def _precise(values: torch.Tensor) -> torch.Tensor:
    """float32 or better, also of what autocast has made shorter."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


@contextmanager
def _before(layer: nn.Module, change: Change) -> Iterator[None]:
    handle = layer.register_forward_pre_hook(lambda _, given: (change(given[0]), *given[1:]))
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def _after(layer: nn.Module, change: Change) -> Iterator[None]:
    handle = layer.register_forward_hook(lambda _, given, output: change(output))
    try:
        yield
    finally:
        handle.remove()
