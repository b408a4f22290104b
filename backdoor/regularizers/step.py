"""One training step of one network, as regularizers see and change it."""

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
    """A module in training, with what regularizers need to know about it.

    hidden: names of the submodules whose outputs are its hidden representations, in forward order.
    head: name of the layer that computes the logits.
    memory: what each kind keeps from step to step.
    """

    module: nn.Module
    hidden: tuple[str, ...]
    head: str
    memory: dict[str, dict[str, torch.Tensor]] = field(default_factory=dict)

    @property
    def representations(self) -> tuple[str, ...]:
        """The hidden layers; if there are none, the network itself, with its logits."""
        return self.hidden or ("",)


@dataclass(frozen=True)
class Draws:
    """Random numbers of one step; those of a kind depend on no other kind and no other trial."""

    seed: int
    images: int
    epoch: int
    step: int
    device: torch.device

    def numbers(self, kind: str) -> np.random.Generator:
        """A generator for single numbers; equal on all devices."""
        return stream("regularizer", kind, self.seed, self.images, self.epoch, self.step)

    def tensors(self, kind: str) -> torch.Generator:
        """A generator on the device, for tensors of images; a CPU and a GPU give different ones."""
        key = kind, self.seed, self.images, self.epoch, self.step
        return torch.Generator(self.device).manual_seed(stream_seed("regularizer", *key))


class Step:
    """A batch on its way through a network.

    inputs: (b, c, h, w) float32, inputs of the network, normalized and augmented.
    targets: sets of labels, each with its share: (share, classes (b,) int64); shares add up to 1.
    logits: (b, k) float32, after `run` has been called.
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

    # --- before the forward pass -----------------------------------------------------------------

    def follow_inputs(self) -> None:
        """Asks for gradients with respect to the final inputs of the network."""
        self.follows_inputs = True

    def watch(self, layers: Sequence[str]) -> None:
        """Asks for the outputs of these layers, as the rest of the network gets them."""
        self._watched |= dict.fromkeys(layers)

    def change_inputs_of(self, layer: str, change: Change) -> None:
        """Applies `change` to the inputs of a layer in the forward pass."""
        self._before.append((layer, change))

    def change_outputs_of(self, layer: str, change: Change) -> None:
        """Applies `change` to the outputs of a layer in the forward pass."""
        self._after.append((layer, change))

    def partners(self, numbers: np.random.Generator) -> torch.Tensor:
        """A random permutation of the batch, (b,) int64: the partner of each image."""
        order = torch.from_numpy(numbers.permutation(len(self.inputs)))
        return order.to(self.inputs.device, non_blocking=True)

    def mix_targets(self, share: float, partners: torch.Tensor) -> None:
        """Gives the labels of the partners the share 1 - `share`."""
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
        """Hooks exist only during the forward pass of this step."""
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

    # --- after the forward pass ------------------------------------------------------------------

    def outputs_of(self, layer: str) -> torch.Tensor:
        """Outputs of a watched layer, flattened to (b, d) float32."""
        output = self._watched[layer]
        if output is None:
            raise TrainingError(f"the network did not run its layer {layer!r}")
        return _precise(output.flatten(1))

    def expected(self, of: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
        """The mean of `of` over the sets of labels, weighted by their shares."""
        if len(self.targets) == 1:
            return of(self.targets[0][1])
        return torch.stack([share * of(labels) for share, labels in self.targets]).sum(0)

    def cross_entropy(self) -> torch.Tensor:
        """The mean over the batch, () float32; with mixed labels, weighted by their shares."""
        return self.expected(lambda labels: functional.cross_entropy(self.logits, labels))


def _precise(values: torch.Tensor) -> torch.Tensor:
    """At least float32, also after autocast."""
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
