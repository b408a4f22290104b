"""Fully connected networks, a whole pack at a time, by batched matrix products.

Each lane has its own weights, batches, learning rate, momentum, decay and penalty strength. The
backward pass is written out: it is five lines, and an order of magnitude faster than one model
after the other (`tests/benchmarks`).

A lane's weights are bitwise the same in every pack. Every sum runs inside one lane and through a
matrix product, and every block of a lane is padded with zeros to multiples of 16 numbers: a product
rounds differently for a block that does not begin on a 64-byte boundary, and where a block begins
would otherwise depend on the lanes before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
from torch.nn import functional

from backdoor.bank import Bank
from backdoor.engines import (
    Ids,
    Lane,
    OnEpoch,
    classes_of,
    init_state,
    learning_rate_factor,
)
from backdoor.streams import stream

#: Numbers in 64 bytes of float32.
BLOCK = 16


def padded(x: torch.Tensor) -> torch.Tensor:
    """x (..., r, c) with zeros after its rows and columns, up to multiples of `BLOCK`."""
    rows, columns = (-size % BLOCK for size in x.shape[-2:])
    return functional.pad(x, (0, columns, 0, rows)) if rows or columns else x


class PackedModels:
    """Weights (K, inputs, outputs) and biases (K, 1, outputs) of every layer, float32, padded.

    sizes: inputs of every layer, then the outputs of the last, without padding.
    """

    def __init__(
        self,
        bank: Bank,
        sizes: list[int],
        weights: list[torch.Tensor],
        biases: list[torch.Tensor],
    ) -> None:
        self.bank, self.sizes, self.weights, self.biases = bank, sizes, weights, biases

    @property
    def classes(self) -> int:
        return self.sizes[-1]

    def predict(self, lane: int, rows: Ids) -> Ids:
        x = padded(self.bank.batch(torch.from_numpy(rows)).flatten(1))
        last = len(self.weights) - 1
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = torch.addmm(bias[lane], x, weight[lane])
            x = x if i == last else x.relu_()
        return classes_of(x[: len(rows), : self.classes])

    def state(self, lane: int) -> dict[str, torch.Tensor]:
        # Linear layers of Sequential(Flatten, Linear, ReLU, Linear, ...) stand at 1, 3, 5, ...
        state = {}
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            inputs, outputs = self.sizes[i : i + 2]
            state[f"{2 * i + 1}.weight"] = weight[lane, :inputs, :outputs].T.contiguous()
            state[f"{2 * i + 1}.bias"] = bias[lane, 0, :outputs].clone()
        return state


class Packed:
    """Stochastic gradient descent with momentum on K networks at once."""

    name: ClassVar[str] = "packed"
    version: ClassVar[int] = 2
    pack_invariant: ClassVar[bool] = True
    max_pack: ClassVar[int] = 64

    def train(
        self, lanes: Sequence[Lane], bank: Bank, classes: int, on_epoch: OnEpoch | None
    ) -> PackedModels:
        defences = [lane.config.defence for lane in lanes]
        training, epochs = lanes[0].config.training, defences[0].epochs
        models = _initial(lanes, bank, classes)
        step = _Step(models, lanes)
        device = bank.images.device
        rows = torch.from_numpy(np.stack([lane.train for lane in lanes])).to(device)
        labels = torch.from_numpy(np.stack([lane.train_labels for lane in lanes])).to(device)
        n, size = rows.shape[1], training.batch_size
        steps, done = -(-n // size) * epochs, 0
        for epoch in range(epochs):
            order = _orders(lanes, n, epoch).to(device)
            shuffled, shuffled_labels = rows.gather(1, order), labels.gather(1, order)
            for start in range(0, n, size):
                x = padded(bank.batch(shuffled[:, start : start + size]).flatten(2))
                factor = learning_rate_factor(done, steps, training.schedule)
                step(x, shuffled_labels[:, start : start + size], factor)
                done += 1
            if on_epoch is not None:
                on_epoch(epoch + 1, models)
        return models


def _initial(lanes: Sequence[Lane], bank: Bank, classes: int) -> PackedModels:
    states = [list(init_state(lane.config, bank.shape, classes).parameters()) for lane in lanes]
    layers = [torch.stack([p.detach() for p in column]) for column in zip(*states, strict=True)]
    device = bank.images.device
    weights = [padded(weight.transpose(1, 2)).contiguous().to(device) for weight in layers[0::2]]
    biases = [padded(bias[:, None, :])[:, :1].contiguous().to(device) for bias in layers[1::2]]
    return PackedModels(bank, [*(w.shape[2] for w in layers[0::2]), classes], weights, biases)


def _orders(lanes: Sequence[Lane], n: int, epoch: int) -> torch.Tensor:
    """(K, n) int64: each lane's order of its training images in this epoch."""
    drawn = {
        seed: stream("order", seed, n, epoch).permutation(n)
        for seed in {lane.config.seed for lane in lanes}
    }
    return torch.from_numpy(np.stack([drawn[lane.config.seed] for lane in lanes]))


def _column(values: Sequence[float], device: torch.device) -> torch.Tensor:
    """One value a lane, (K, 1, 1) float32."""
    return torch.tensor(values, dtype=torch.float32, device=device)[:, None, None]


class _Step:
    """One update of all lanes. Products and sums are separate operations throughout: fused ones
    round differently at the end of a vector register, and so by a lane's place in the pack."""

    def __init__(self, models: PackedModels, lanes: Sequence[Lane]) -> None:
        defences = [lane.config.defence for lane in lanes]
        self.weights, self.biases, self.classes = models.weights, models.biases, models.classes
        device = self.weights[0].device
        self.rate = _column([d.learning_rate for d in defences], device)
        self.momentum = _column([d.momentum for d in defences], device)
        self.decay = _column([d.weight_decay for d in defences], device)
        self.strength = _column([d.regularizer.weight for d in defences], device)
        self.regularizer = defences[0].regularizer
        self.penalised = bool(self.strength.any())
        self.velocity = [torch.zeros_like(p) for p in self.weights]
        self.bias_velocity = [torch.zeros_like(p) for p in self.biases]

    def __call__(self, x: torch.Tensor, labels: torch.Tensor, factor: float) -> None:
        """x: (K, b, inputs) float32, padded; labels: (K, b) int64; factor: of the learning rate.

        Rows and columns of padding have the gradient 0, so that padded weights stay 0.
        """
        activations = [x]
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            activations.append(torch.baddbmm(bias, activations[-1], weight).relu_())
        logits = torch.baddbmm(self.biases[-1], activations[-1], self.weights[-1])
        real = logits[:, : labels.shape[1], : self.classes].contiguous()
        gradient = padded(self._loss_gradient(real, labels))  # as the logits
        ones = x.new_ones(x.shape[0], 1, x.shape[1])
        rate = self.rate * factor
        for i in range(len(self.weights) - 1, -1, -1):
            inputs, weight = activations[i], self.weights[i]
            weight_gradient = torch.bmm(inputs.transpose(1, 2), gradient)
            bias_gradient = torch.bmm(ones, gradient)
            if i:
                gradient = torch.bmm(gradient, weight.transpose(1, 2)).mul_(inputs > 0)
            weight_gradient.add_(self.decay * weight)
            weight.sub_(self.velocity[i].mul_(self.momentum).add_(weight_gradient) * rate)
            velocity = self.bias_velocity[i].mul_(self.momentum).add_(bias_gradient)
            self.biases[i].sub_(velocity * rate)

    def _loss_gradient(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Of mean cross-entropy plus penalty with respect to the logits, (K, b, classes)."""
        batch = logits.shape[1]
        gradient = torch.softmax(logits, dim=2)
        gradient.scatter_add_(2, labels[..., None], gradient.new_full((*labels.shape, 1), -1.0))
        gradient.div_(batch)
        if self.penalised:
            free = logits.detach().requires_grad_()
            with torch.enable_grad():
                total = self.regularizer.unit_penalty(free, labels).sum()
            gradient.add_(torch.autograd.grad(total, free)[0] * self.strength)
        return gradient
