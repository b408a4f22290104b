"""Networks trained with their poisoned samples weighted by b, between clean and poisoned training.

Every sample's cross-entropy counts 1, or b where it is poisoned, and their sum is divided by the
size of the batch: b = 1 is the trial's ordinary training on poisoned data, b = 0 learns from the
clean samples alone, with the same steps, order and initial weights. `separate_means` is what the
code of *Backdoor Learning Curves* does: the mean over the clean samples of a batch plus b times
the mean over its poisoned ones, by which poisoned samples weigh more, the fewer they are.

Where batch normalisation is used, poisoned images of weight 0 are still among those that it
normalises with.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from backdoor.config import TrialConfig
from backdoor.engines import Ids, Member, classes_of, init_state, learning_rate_factor
from backdoor.engines.serial import EpochImages, _optimizer, _own_noise
from backdoor.errors import Mistake
from backdoor.probes.base import ProbedModel
from backdoor.probes.hessian import Batches
from backdoor.streams import stream

Weighting = Literal["batch", "separate_means"]
#: Images a batch of an evaluation or of a sum over the training set.
CHUNK = 500


def refuse_regularized(config: TrialConfig) -> Iterator[Mistake]:
    """A penalty on a whole batch has no weights of samples."""
    regularizer = config.defence.regularizer
    if any(term.switched_on for term in regularizer.terms):
        rule = "must be asked of networks without a regularizer: it weights single samples"
        remedy = "Give regularizer none a sweep of its own, or leave this probe out."
        yield Mistake("kind", rule, regularizer.identity()["kind"], remedy)


def train_weighted(model: ProbedModel, beta: float, weighting: Weighting = "batch") -> nn.Module:
    """A network trained as the trial's was, in float32, its poisoned samples weighted by beta."""
    with _own_noise(model.member, model.store.device):
        return _train(model, beta, weighting)


def _train(model: ProbedModel, beta: float, weighting: Weighting) -> nn.Module:
    member, store = model.member, model.store
    defence, training = member.config.defence, member.config.training
    module = init_state(member.config, store.shape, model.classes).to(store.device)
    module = module.to(memory_format=torch.channels_last)
    optimizer = _optimizer(module, member, fused=False)
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
            marked = poisoned[start : start + size].to(images.device)
            losses = functional.cross_entropy(module(images).float(), targets, reduction="none")
            optimizer.zero_grad(set_to_none=True)
            weighted_loss(losses, marked, beta, weighting).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            done += 1
    return module.eval()


def weighted_loss(
    losses: torch.Tensor, poisoned: torch.Tensor, beta: float, weighting: Weighting
) -> torch.Tensor:
    """The loss of a batch from those of its samples (b,), of which some are poisoned (b,) bool."""
    if weighting == "batch":
        return (losses * torch.where(poisoned, beta, 1.0)).sum() / len(losses)
    parts = ((losses[~poisoned], 1.0), (losses[poisoned], beta))
    return torch.stack([losses.sum() * 0, *(w * p.mean() for p, w in parts if len(p))]).sum()


def _poisoned_in_order(model: ProbedModel, epoch: int) -> torch.Tensor:
    """Which samples are poisoned, in the order in which the epoch meets them, (n,) bool."""
    member = model.member
    n = len(member.train)
    order = stream("order", member.config.seed, n, epoch).permutation(n)
    return torch.from_numpy(np.isin(order, attackers(member)))


def attackers(member: Member) -> Ids:
    """Positions of all that the attacker has marked, covers too, ascending, (m,) int64: they are
    the poisoned samples here, so that b = 0 knows nothing of the attacker."""
    return np.union1d(member.poison.positions, member.poison.covers)


# --- what a curve shows ------------------------------------------------------------------------


@dataclass(frozen=True)
class CurvePoint:
    """Mean cross-entropy (natural logarithm) and accuracy on clean test images with their labels,
    and on triggered ones with those that the attacker wants."""

    beta: float
    clean_loss: float
    clean_accuracy: float
    backdoor_loss: float
    backdoor_accuracy: float


def network_curve(
    model: ProbedModel, betas: Iterable[float], weighting: Weighting = "batch"
) -> list[CurvePoint]:
    """The backdoor learning curve of a poisoned trial's network: one training a beta. The fields
    of a point are the columns of the probe."""
    member = model.member
    (triggered,) = member.triggered
    points = []
    for beta in betas:
        module = train_weighted(model, beta, weighting)
        clean = _measured(model, module, member.test, member.test_labels)
        backdoor = _measured(model, module, triggered.rows, triggered.target_labels)
        points.append(CurvePoint(beta, *clean, *backdoor))
    return points


def _measured(model: ProbedModel, module: nn.Module, rows: Ids, labels: Ids) -> tuple[float, float]:
    """Mean loss, and the share of answers that are these labels; NaN on no images."""
    if not len(rows):
        return float("nan"), float("nan")
    loss, right = 0.0, 0
    with torch.no_grad():
        for images, target_labels in batches_of(model, rows, labels, torch.float32)():
            logits = module(images).float()
            loss += float(functional.cross_entropy(logits, target_labels, reduction="sum"))
            right += int((classes_of(logits) == target_labels.cpu().numpy()).sum())
    return loss / len(rows), right / len(rows)


def batches_of(model: ProbedModel, rows: Ids, labels: Ids, dtype: torch.dtype) -> Batches:
    """Network inputs and labels of these rows, in chunks."""

    def chunks() -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        for start in range(0, len(rows), CHUNK):
            images = model.store.batch(torch.from_numpy(rows[start : start + CHUNK]))
            target_labels = torch.from_numpy(labels[start : start + CHUNK]).to(images.device)
            yield images.to(dtype), target_labels

    return chunks
