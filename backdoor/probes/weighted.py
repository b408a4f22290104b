"""Networks trained with their poisoned samples weighted by b, between clean and poisoned training.

The cross-entropy of a sample has weight 1, or b if it is poisoned, and the sum is divided by the
size of the batch. b = 1 is the ordinary training of the trial on poisoned data; b = 0 learns from
the clean samples only, with the same steps, order and initial weights. `separate_means` is what the
code of *Backdoor Learning Curves* does: the mean over the clean samples of a batch plus b times the
mean over its poisoned ones. The fewer poisoned samples there are, the more each of them weighs.

Batch normalization includes poisoned images, even those of weight 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from backdoor.engines import (
    Ids,
    Member,
    classes_of,
    init_state,
    layer_noise,
    learning_rate_factor,
)
from backdoor.engines.serial import EpochImages, sgd
from backdoor.probes.base import ProbedModel
from backdoor.probes.hessian import Batches
from backdoor.streams import stream

Weighting = Literal["batch", "separate_means"]
#: Images in a batch of an evaluation, or of a sum over the training set.
CHUNK = 500


def train_weighted(model: ProbedModel, beta: float, weighting: Weighting = "batch") -> nn.Module:
    """A network trained like the trial's, in float32, with poisoned samples of weight beta."""
    with layer_noise("noise", model.config.seed, model.store.device):
        return _train(model, beta, weighting)


def _train(model: ProbedModel, beta: float, weighting: Weighting) -> nn.Module:
    member, store = model.member, model.store
    defence, training = member.config.defence, member.config.training
    module = init_state(member.config, store.shape, model.classes).to(store.device)
    module = module.to(memory_format=torch.channels_last)
    optimizer = sgd(module, member, fused=False)
    n, size = len(member.train), training.batch_size
    steps, done = -(-n // size) * defence.epochs, 0
    for epoch in range(defence.epochs):
        module.train()
        inputs, poisoned = EpochImages(member, store, epoch), _poisoned_in_order(model, epoch)
        for start in range(0, n, size):
            factor = learning_rate_factor(done, steps, training.schedule)
            for group in optimizer.param_groups:
                group["lr"] = defence.learning_rate * factor
            images, targets = inputs.batch(start, start + size)
            weighted = poisoned[start : start + size].to(images.device)
            losses = functional.cross_entropy(module(images).float(), targets, reduction="none")
            optimizer.zero_grad(set_to_none=True)
            weighted_loss(losses, weighted, beta, weighting).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            done += 1
    return module.eval()


def weighted_loss(
    losses: torch.Tensor, poisoned: torch.Tensor, beta: float, weighting: Weighting
) -> torch.Tensor:
    """The loss of a batch, (), from the losses of its samples (b,); poisoned: (b,) bool."""
    if weighting == "batch":
        return (losses * torch.where(poisoned, beta, 1.0)).sum() / len(losses)
    parts = ((losses[~poisoned], 1.0), (losses[poisoned], beta))
    return torch.stack([losses.sum() * 0, *(w * p.mean() for p, w in parts if len(p))]).sum()


def _poisoned_in_order(model: ProbedModel, epoch: int) -> torch.Tensor:
    """Which samples are poisoned, in the order of this epoch, (n,) bool."""
    member = model.member
    n = len(member.train)
    order = stream("order", member.config.seed, n, epoch).permutation(n)
    return torch.from_numpy(np.isin(order, attacker_positions(member)))


def attacker_positions(member: Member) -> Ids:
    """Positions of all stamped images, poisoned or cover samples, ascending, (m,) int64. All of
    them count as poisoned here, so that b = 0 is a training without the attacker."""
    return np.union1d(member.poison.positions, member.poison.covers)


# --- learning curve ----------------------------------------------------------------------------


@dataclass(frozen=True)
class LearningCurvePoint:
    """Mean loss and accuracy in [0, 1] on clean test images with their labels, and on triggered
    ones with their target labels. The fields are the columns of the probe `learning_curve`."""

    beta: float
    clean_loss: float
    clean_accuracy: float
    backdoor_loss: float
    backdoor_accuracy: float


def network_curve(
    model: ProbedModel, betas: Iterable[float], weighting: Weighting = "batch"
) -> list[LearningCurvePoint]:
    """The backdoor learning curve of the network of a poisoned trial: one training for each beta.
    Losses are cross-entropies in nats."""
    member = model.member
    (triggered,) = member.triggered
    points = []
    for beta in betas:
        module = train_weighted(model, beta, weighting)
        clean = _measured(model, module, member.test, member.test_labels)
        backdoor = _measured(model, module, triggered.rows, triggered.target_labels)
        points.append(LearningCurvePoint(beta, *clean, *backdoor))
    return points


def _measured(model: ProbedModel, module: nn.Module, rows: Ids, labels: Ids) -> tuple[float, float]:
    """Mean loss, and the share of predictions that are these labels; NaN without images."""
    if not len(rows):
        return float("nan"), float("nan")
    loss, correct = 0.0, 0
    with torch.no_grad():
        for images, targets in batches_of(model, rows, labels, torch.float32)():
            logits = module(images).float()
            loss += float(functional.cross_entropy(logits, targets, reduction="sum"))
            correct += int((classes_of(logits) == targets.cpu().numpy()).sum())
    return loss / len(rows), correct / len(rows)


def batches_of(model: ProbedModel, rows: Ids, labels: Ids, dtype: torch.dtype) -> Batches:
    """Network inputs and labels of these rows, in chunks."""

    def chunks() -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        for start in range(0, len(rows), CHUNK):
            images = model.store.batch(torch.from_numpy(rows[start : start + CHUNK]))
            targets = torch.from_numpy(labels[start : start + CHUNK]).to(images.device)
            yield images.to(dtype), targets

    return chunks
