"""Any torch module, one trial after the other: the reference for all other engines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import nn
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

EVALUATION_BATCH = 1000


class SerialModels:
    """The modules trained so far, one a lane."""

    def __init__(self, bank: Bank, modules: list[nn.Module]) -> None:
        self.bank, self.modules = bank, modules

    def predict(self, lane: int, rows: Ids) -> Ids:
        module = self.modules[lane].eval()
        with torch.no_grad():
            chunks = torch.split(torch.from_numpy(rows), EVALUATION_BATCH)
            logits = [module(_on_device(self.bank, chunk)) for chunk in chunks]
        return classes_of(torch.cat(logits))

    def state(self, lane: int) -> dict[str, torch.Tensor]:
        return {name: t.detach().clone() for name, t in self.modules[lane].state_dict().items()}


class Serial:
    """Stochastic gradient descent with momentum on one network."""

    name: ClassVar[str] = "serial"
    version: ClassVar[int] = 1
    pack_invariant: ClassVar[bool] = True  # lanes are trained apart, in the same way in any pack
    max_pack: ClassVar[int] = 1

    def train(
        self, lanes: Sequence[Lane], bank: Bank, classes: int, on_epoch: OnEpoch | None
    ) -> SerialModels:
        modules: list[nn.Module] = []
        for lane in lanes:
            module = init_state(lane.config, bank.shape, classes).to(bank.images.device)
            modules.append(module.to(memory_format=torch.channels_last))
            epochs_seen = on_epoch if len(lanes) == 1 else None
            _train_one(module, lane, bank, SerialModels(bank, modules), epochs_seen)
        return SerialModels(bank, modules)


def _train_one(
    module: nn.Module, lane: Lane, bank: Bank, models: SerialModels, on_epoch: OnEpoch | None
) -> None:
    defence, training = lane.config.defence, lane.config.training
    optimizer = _optimizer(module, lane)
    rows, labels = torch.from_numpy(lane.train), torch.from_numpy(lane.train_labels)
    n, size = len(rows), training.batch_size
    steps, done = -(-n // size) * defence.epochs, 0
    for epoch in range(defence.epochs):
        module.train()
        order = torch.from_numpy(stream("order", lane.config.seed, n, epoch).permutation(n))
        for chosen in torch.split(order, size):
            factor = learning_rate_factor(done, steps, training.schedule)
            for group in optimizer.param_groups:
                group["lr"] = defence.learning_rate * factor
            logits = module(_on_device(bank, rows[chosen]))
            targets = labels[chosen].to(logits.device)
            loss = functional.cross_entropy(logits, targets)
            if defence.regularizer.weight:
                penalty = defence.regularizer.unit_penalty(logits, targets)
                loss = loss + defence.regularizer.weight * penalty
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            done += 1
        if on_epoch is not None:
            on_epoch(epoch + 1, models)


def _optimizer(module: nn.Module, lane: Lane) -> torch.optim.SGD:
    """Weights are decayed; biases and normalisation scales, which have one dimension, are not."""
    defence = lane.config.defence
    weights = [p for p in module.parameters() if p.ndim > 1]
    others = [p for p in module.parameters() if p.ndim <= 1]
    groups: list[dict[str, Any]] = [
        {"params": weights, "weight_decay": defence.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.SGD(
        groups, lr=defence.learning_rate, momentum=defence.momentum, foreach=True
    )


def _on_device(bank: Bank, rows: torch.Tensor) -> torch.Tensor:
    return bank.batch(rows).contiguous(memory_format=torch.channels_last)
