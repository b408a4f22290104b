"""Any torch module, one trial after the other: the reference for the other engines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import nn

from backdoor.engines.base import (
    Ids,
    Member,
    OnEpoch,
    classes_of,
    init_state,
    layer_noise,
    learning_rate_factor,
)
from backdoor.image_store.augment import draw_views
from backdoor.image_store.store import ImageStore
from backdoor.regularizers import Regularizer
from backdoor.regularizers.contract import check_inputs, checked_penalty
from backdoor.regularizers.step import Draws, Network, Step
from backdoor.streams import stream

EVALUATION_BATCH = 1000


class SerialModels:
    """The modules trained so far, one for each member."""

    def __init__(self, store: ImageStore, modules: list[nn.Module]) -> None:
        self.store, self.modules = store, modules

    def predict(self, member: int, rows: Ids) -> Ids:
        return classes_of(self.scores(member, rows))

    def scores(self, member: int, rows: Ids) -> torch.Tensor:
        module = self.modules[member].eval()
        with torch.no_grad():
            chunks = torch.split(torch.from_numpy(rows), EVALUATION_BATCH)
            logits = [module(_on_device(self.store, chunk)) for chunk in chunks]
        return torch.cat(logits)

    def state(self, member: int) -> dict[str, torch.Tensor]:
        return {name: t.detach().clone() for name, t in self.modules[member].state_dict().items()}


class Serial:
    """Stochastic gradient descent with momentum on one network."""

    name: ClassVar[str] = "serial"
    version: ClassVar[int] = 1
    pack_invariant: ClassVar[bool] = True  # members are trained one by one
    max_pack: ClassVar[int] = 1

    def train(
        self, members: Sequence[Member], store: ImageStore, classes: int, on_epoch: OnEpoch | None
    ) -> SerialModels:
        modules: list[nn.Module] = []
        for member in members:
            module = init_state(member.config, store.shape, classes).to(store.device)
            modules.append(module.to(memory_format=torch.channels_last))
            epochs_seen = on_epoch if len(members) == 1 else None
            noise = layer_noise("noise", member.config.seed, store.device)
            with torch.enable_grad(), noise:
                _train_one(module, member, store, SerialModels(store, modules), epochs_seen)
        return SerialModels(store, modules)


def _train_one(
    module: nn.Module,
    member: Member,
    store: ImageStore,
    models: SerialModels,
    on_epoch: OnEpoch | None,
) -> None:
    """The loop never waits for a GPU: indices and labels are sent once for each epoch."""
    defence, training = member.config.defence, member.config.training
    cuda = store.device.type == "cuda"
    optimizer = sgd(module, member, fused=cuda)
    n, size = len(member.train), training.batch_size
    architecture, terms = defence.architecture, defence.regularizer.terms
    network = Network(module, architecture.hidden_layers(module), architecture.head(module))
    steps, done = -(-n // size) * defence.epochs, 0
    for epoch in range(defence.epochs):
        module.train()
        inputs = EpochImages(member, store, epoch)
        for start in range(0, n, size):
            factor = learning_rate_factor(done, steps, training.schedule)
            for group in optimizer.param_groups:
                group["lr"] = defence.learning_rate * factor
            draws = Draws(member.config.seed, n, epoch, start // size, store.device)
            step = Step(network, *inputs.batch(start, start + size), draws)
            loss = _loss(step, [term for term in terms if term.switched_on], cuda)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            done += 1
        if on_epoch is not None and on_epoch(epoch + 1, models):
            return


def _loss(step: Step, terms: Sequence[Regularizer], cuda: bool) -> torch.Tensor:
    """Mean cross-entropy and penalties of a batch, () float32, with these regularizers."""
    for term in terms:
        before = step.inputs
        term.prepare(step)
        check_inputs(term, before, step.inputs)
    with torch.autocast("cuda", dtype=torch.bfloat16, enabled=cuda):
        step.run(step.network.module)
    loss = step.cross_entropy()
    for term in terms:
        if term.weight:
            penalty = term.penalty(step)
            scalar = step.logits.shape[:-2]
            penalty = checked_penalty(term, "penalty", penalty, step.logits, scalar)
            loss = loss + term.weight * penalty
    return loss


class EpochImages:
    """The training images of a member in the order of an epoch, augmented."""

    def __init__(self, member: Member, store: ImageStore, epoch: int) -> None:
        self.store, self.training = store, member.config.training
        device, n, seed = store.device, len(member.train), member.config.seed
        order = torch.from_numpy(stream("order", seed, n, epoch).permutation(n))
        rows = torch.from_numpy(member.train)[order]
        # To stamp images after augmentation, rows are needed on the CPU.
        self.rows = rows if self.training.stamp == "after" else rows.to(device)
        self.labels = torch.from_numpy(member.train_labels)[order].to(device)
        self.views: torch.Tensor | None = None
        if self.training.augmentation != "none":
            self.views = draw_views(seed, n, epoch)[order].to(device)

    def batch(self, start: int, stop: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Network inputs (b, c, h, w) float32 in channels-last order, and labels (b,) int64."""
        rows, labels = self.rows[start:stop], self.labels[start:stop]
        if self.views is None:
            return _on_device(self.store, rows), labels
        images = self.store.augmented(rows, self.views[start:stop], self.training.stamp)
        return images.contiguous(memory_format=torch.channels_last), labels


def sgd(module: nn.Module, member: Member, fused: bool) -> torch.optim.SGD:
    """Weights are decayed; biases and normalization scales, which have one dimension, are not."""
    defence = member.config.defence
    weights = [p for p in module.parameters() if p.ndim > 1]
    others = [p for p in module.parameters() if p.ndim <= 1]
    groups: list[dict[str, Any]] = [
        {"params": weights, "weight_decay": defence.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    how = {"fused": True} if fused else {"foreach": True}
    return torch.optim.SGD(groups, lr=defence.learning_rate, momentum=defence.momentum, **how)


def _on_device(store: ImageStore, rows: torch.Tensor) -> torch.Tensor:
    return store.batch(rows).contiguous(memory_format=torch.channels_last)
