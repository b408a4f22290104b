"""Fully connected networks, a whole pack at once, by batched matrix products.

Each member has its own weights, batches, learning rate, momentum, decay and penalty strength. The
backward pass is written out: it is five lines, and an order of magnitude faster than one model
after the other (`tests/benchmarks`). All tensors are (member, feature, image), so that
images, of which there are most, are adjacent in memory.

The weights of a member are bitwise the same in every pack. Every sum is within one member, and
every block of a member is padded with zeros to multiples of 16 numbers: a product rounds
differently for a block that does not begin on a 64-byte boundary, and where a block begins would
otherwise depend on the members before it. For the same reason a pack is trained by one thread: a
product or a sum that threads divide rounds differently. Use more cores for more workers instead.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import torch

from backdoor.engines.base import (
    Ids,
    Member,
    OnEpoch,
    classes_of,
    init_state,
    learning_rate_factor,
    threads,
)
from backdoor.engines.inputs import Batch, Inputs, OwnInputs, SharedInputs, padded, padded_size
from backdoor.image_store.store import ImageStore
from backdoor.regularizers.contract import checked_penalty

#: Images with more numbers than this are gathered once for all members that share their order.
WIDE = 256
#: Products of fewer rows than this round differently.
FEWEST = 4
#: For more weights of a member than this, one pass over memory saves more than its calls cost.
LARGE = 8192
EVALUATION_BATCH = 4096


class PackedModels:
    """Weights (K, outputs, inputs) and biases (K, outputs, 1) of every layer, float32, padded.

    sizes: inputs of every layer, then the outputs of the last, without padding.
    slots: member → its index in the tensors.
    """

    def __init__(
        self,
        store: ImageStore,
        sizes: list[int],
        slots: dict[int, int],
        weights: list[torch.Tensor],
        biases: list[torch.Tensor],
    ) -> None:
        self.store, self.sizes, self.slots = store, sizes, slots
        self.weights, self.biases = weights, biases

    def predict(self, member: int, rows: Ids) -> Ids:
        return classes_of(self.scores(member, rows))

    def scores(self, member: int, rows: Ids) -> torch.Tensor:
        chunks = torch.split(torch.from_numpy(rows), EVALUATION_BATCH)
        return torch.cat([self._logits(self.slots[member], chunk) for chunk in chunks])

    def _logits(self, slot: int, rows: torch.Tensor) -> torch.Tensor:
        """(m, classes) float32."""
        x = padded(self.store.batch(rows).flatten(1)).T
        last = len(self.weights) - 1
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = torch.addmm(bias[slot], weight[slot], x)
            x = x if i == last else x.relu_()
        return x[: self.sizes[-1], : len(rows)].T

    def state(self, member: int) -> dict[str, torch.Tensor]:
        # Linear layers of Sequential(Flatten, Linear, ReLU, Linear, ...) stand at 1, 3, 5, ...
        state, slot = {}, self.slots[member]
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            inputs, outputs = self.sizes[i : i + 2]
            state[f"{2 * i + 1}.weight"] = weight[slot, :outputs, :inputs].clone()
            state[f"{2 * i + 1}.bias"] = bias[slot, :outputs, 0].clone()
        return state


class Packed:
    """Stochastic gradient descent with momentum on K networks at once."""

    name: ClassVar[str] = "packed"
    version: ClassVar[int] = 3
    pack_invariant: ClassVar[bool] = True
    max_pack: ClassVar[int] = 64

    def train(
        self, members: Sequence[Member], store: ImageStore, classes: int, on_epoch: OnEpoch | None
    ) -> PackedModels:
        wide = math.prod(store.shape) > WIDE and store.device.type == "cpu"
        wide = wide and members[0].config.training.augmentation == "none"
        with threads(1), torch.no_grad():
            inputs: Inputs = (SharedInputs if wide else OwnInputs)(members, store)
            return _train(members, store, inputs, classes, on_epoch)


def _train(
    members: Sequence[Member],
    store: ImageStore,
    inputs: Inputs,
    classes: int,
    on_epoch: OnEpoch | None,
) -> PackedModels:
    training, epochs = members[0].config.training, members[0].config.defence.epochs
    placed = [members[index] for index in inputs.placed]
    models = _initial(placed, store, classes, _slots(inputs.placed))
    step = _Step(models, placed)
    n, size = len(members[0].train), training.batch_size
    steps, done = -(-n // size) * epochs, 0
    for epoch in range(epochs):
        inputs.shuffle(epoch)
        for start in range(0, n, size):
            factor = learning_rate_factor(done, steps, training.schedule)
            step(inputs.batch(start, min(start + size, n)), factor)
            done += 1
        if on_epoch is not None and (dropped := on_epoch(epoch + 1, models)):
            left = [number for number in models.slots if number not in dropped]
            if not left:
                break
            inputs, step = _without(members, left, store, inputs, step, models)
    return models


def _slots(placed: Sequence[int]) -> dict[int, int]:
    """Member → its index, for members in the order of the tensors."""
    return {number: slot for slot, number in enumerate(placed)}


def _without(
    members: Sequence[Member], left: Sequence[int], store: ImageStore, inputs: Inputs, step: _Step,
    models: PackedModels,
) -> tuple[Inputs, _Step]:  # fmt: skip
    """Inputs and step of the members that are `left`; models keep only these."""
    left = sorted(left)
    inputs = type(inputs)([members[number] for number in left], store)
    numbers = [left[index] for index in inputs.placed]
    chosen = torch.tensor([models.slots[number] for number in numbers], device=store.device)
    models.weights[:] = [weight[chosen] for weight in models.weights]
    models.biases[:] = [bias[chosen] for bias in models.biases]
    models.slots = _slots(numbers)
    fewer = _Step(models, [members[number] for number in numbers])
    fewer.velocity = [velocity[chosen] for velocity in step.velocity]
    fewer.bias_velocity = [velocity[chosen] for velocity in step.bias_velocity]
    return inputs, fewer


def _initial(
    placed: Sequence[Member], store: ImageStore, classes: int, slots: dict[int, int]
) -> PackedModels:
    states = [
        list(init_state(member.config, store.shape, classes).parameters()) for member in placed
    ]
    layers = [torch.stack([p.detach() for p in column]) for column in zip(*states, strict=True)]
    sizes = [*(w.shape[2] for w in layers[0::2]), classes]
    device, last = store.device, len(layers) // 2 - 1
    weights, biases = [], []
    for i, (weight, bias) in enumerate(zip(layers[0::2], layers[1::2], strict=True)):
        # Outputs of a hidden layer are inputs of the next one, which are padded.
        outputs = max(classes, FEWEST) if i == last else padded_size(sizes[i + 1])
        weights.append(padded(weight, outputs).to(device))
        biases.append(padded(bias[..., None], outputs, 1).to(device))
    # For softmax, and so for every gradient, outputs beyond the classes do not exist.
    biases[-1][:, classes:] = -torch.inf
    return PackedModels(store, sizes, slots, weights, biases)


def _column(values: Sequence[float], device: torch.device) -> torch.Tensor:
    """One value for each member, (K, 1, 1) float32."""
    return torch.tensor(values, dtype=torch.float32, device=device)[:, None, None]


class _Step:
    """One update of all members."""

    def __init__(self, models: PackedModels, placed: Sequence[Member]) -> None:
        self.defences = [member.config.defence for member in placed]
        self.weights, self.biases, self.classes = models.weights, models.biases, models.sizes[-1]
        device = self.weights[0].device
        self.rate = _column([d.learning_rate for d in self.defences], device)
        self.momentum = _column([d.momentum for d in self.defences], device)
        self.decay = _column([d.weight_decay for d in self.defences], device)
        terms_of_members = zip(*(d.regularizer.terms for d in self.defences), strict=True)
        self.terms = [
            (terms[0], _column([term.weight for term in terms], device))
            for terms in terms_of_members
            if any(term.weight for term in terms)
        ]
        self.velocity = [torch.zeros_like(p) for p in self.weights]
        self.bias_velocity = [torch.zeros_like(p) for p in self.biases]

    def __call__(self, batch: Batch, factor: float) -> None:
        """factor: of the learning rate.

        Padding has the gradient 0, so that padded weights stay 0.
        """
        outputs = [batch.product(self.weights[0]).add_(self.biases[0])]
        for weight, bias in zip(self.weights[1:], self.biases[1:], strict=True):
            outputs.append(torch.baddbmm(bias, weight, outputs[-1].relu_()))
        gradient = self._loss_gradient(outputs[-1], batch)  # as the logits
        for i in range(len(self.weights) - 1, 0, -1):
            inputs, weight = outputs[i - 1], self.weights[i]
            bias_gradient = gradient.sum(2, keepdim=True)
            weight_gradient = torch.bmm(gradient, inputs.transpose(1, 2))
            gradient = torch.bmm(weight.transpose(1, 2), gradient)
            gradient = torch.ops.aten.threshold_backward(gradient, inputs, 0)
            self._update(i, weight_gradient, bias_gradient, factor)
        bias_gradient = gradient.sum(2, keepdim=True)
        self._update(0, batch.weight_gradient(gradient), bias_gradient, factor)

    def _loss_gradient(self, logits: torch.Tensor, batch: Batch) -> torch.Tensor:
        """Gradient of mean cross-entropy plus penalty by the logits, (K, outputs, b padded)."""
        size = batch.labels.shape[1]
        gradient = torch.softmax(logits, dim=1)
        target = gradient.new_full((), -1.0).expand(len(logits), 1, size)
        gradient.scatter_add_(1, batch.labels[:, None], target).div_(size)
        if gradient.shape[2] > size:
            gradient[:, :, size:] = 0
        for term, strength in self.terms:
            real = logits[:, : self.classes, :size]
            free = real.transpose(1, 2).contiguous().requires_grad_()
            with torch.enable_grad():
                penalties = term.unit_penalty(free, batch.labels)
                total = checked_penalty(term, "unit_penalty", penalties, free, free.shape[:1]).sum()
            penalty = torch.autograd.grad(total, free)[0].mul_(strength)
            gradient[:, : self.classes, :size].add_(penalty.transpose(1, 2))
        return gradient

    def _update(
        self, i: int, gradient: torch.Tensor, bias_gradient: torch.Tensor, factor: float
    ) -> None:
        """Momentum and decay. Products and sums are separate operations: fused ones round
        differently at the end of a vector register, depending on the member's place in the pack."""
        rate = self.rate * factor
        velocity = self.bias_velocity[i].mul_(self.momentum).add_(bias_gradient)
        self.biases[i].sub_(velocity * rate)
        weight, velocity = self.weights[i], self.velocity[i]
        if weight.device.type == "cpu" and weight[0].numel() > LARGE:
            return self._update_one_by_one(weight, velocity, gradient, factor)
        scratch = weight * self.decay
        velocity.mul_(self.momentum).add_(gradient.add_(scratch))
        weight.sub_(torch.mul(velocity, rate, out=scratch))

    def _update_one_by_one(
        self, weight: torch.Tensor, velocity: torch.Tensor, gradient: torch.Tensor, factor: float
    ) -> None:
        """The same with one pass over memory for each member."""
        for member, defence in enumerate(self.defences):
            torch._fused_sgd_(
                [weight[member]], [gradient[member]], [velocity[member]] if defence.momentum else
                [], weight_decay=defence.weight_decay, momentum=defence.momentum,
                lr=defence.learning_rate * factor, dampening=0.0, nesterov=False, maximize=False,
                is_first_step=False,
            )  # fmt: skip
