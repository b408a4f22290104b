"""How long a backdoor lasts when its model is trained further on a small clean set.

Truong et al. 2020 (arXiv 2004.11514) find that few epochs on clean data can make it ineffective.
They do not publish steps or sizes; the defaults here are ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from backdoor.config import TrialConfig, measure_id
from backdoor.datasets.source import load_source, split
from backdoor.engines import Ids, classes_of, layer_noise
from backdoor.errors import Mistake
from backdoor.evaluate import attack_counts
from backdoor.poison import poison_count
from backdoor.probes.base import Probe, ProbedModel, ProbeResult
from backdoor.probes.network import module_of
from backdoor.probes.served import refuse_solved
from backdoor.settings.schema import Count, Range
from backdoor.streams import stream

EVALUATION_BATCH = 1000
Row = dict[str, float | int | str]


@dataclass(frozen=True)
class Persistence(Probe):
    """Attack success and clean accuracy while a copy is fine-tuned on few clean images.

    The clean images are validation images, `clean_fraction` times as many as there are training
    images. They are not poisoned, no model of the sweep has learned from them, and all trials of a
    seed get the same ones, whatever their attack, also the clean baseline. So fine-tuning of the
    baseline (the trial of equal defence point and seed) is a paired comparison. The images of a
    smaller fraction are a subset of those of a larger one.

    Stochastic gradient descent at a constant learning rate on the mean cross-entropy, without the
    trial's weight decay, regularizer and augmentation. An epoch has as few batches as possible, of
    nearly equal size and at most `batch_size` images. Figures are measured before the first step,
    after every `every` steps and after the last step, in float32: one row a step and trigger.
    """

    kind: ClassVar[str] = "persistence"
    clean_fraction: Annotated[float, Range(gt=0, le=1)] = 0.05
    epochs: Count = 5
    learning_rate: Annotated[float, Range(gt=0)] = 0.01
    momentum: Annotated[float, Range(ge=0, lt=1)] = 0.9
    batch_size: Count = 32
    every: Count = 5

    def suits(self, config: TrialConfig) -> Iterable[Mistake]:
        yield from refuse_solved(self.kind, config)
        parts = split(config.data, load_source(config.data), config.seed)
        needed, held = self._image_count(len(parts.train)), len(parts.validation)
        if not 1 <= needed <= held:
            rule = f"times the {len(parts.train)} training images must be 1 to {held} images, "
            rule += "the number of validation images"
            remedy = "Change it, or data.validation."
            yield Mistake("clean_fraction", rule, self.clean_fraction, remedy)

    def study(self, model: ProbedModel) -> ProbeResult | None:
        with layer_noise("probe-noise", model.config.seed, model.store.device):
            rows = list(self._rows(model))
        if not rows:
            return None  # a baseline of a panel without triggers
        return self.found(**{name: [row[name] for row in rows] for name in rows[0]})

    def _image_count(self, train: int) -> int:
        return poison_count(train, self.clean_fraction)

    def _rows(self, model: ProbedModel) -> Iterator[Row]:
        """The figures at each step that is measured."""
        module, member = module_of(model), model.member
        chosen = clean_set(model, self._image_count(len(member.train)))
        optimizer = torch.optim.SGD(module.parameters(), self.learning_rate, self.momentum)
        batches = list(self._batches(model.config.seed, len(chosen)))
        yield from _figures(model, module, 0, 0, len(chosen))
        seen = 0
        for step, batch in enumerate(batches, 1):
            positions = chosen[batch]
            images = model.store.batch(torch.from_numpy(member.validation[positions]))
            labels = torch.from_numpy(member.validation_labels[positions]).to(images.device)
            module.train()
            loss = functional.cross_entropy(module(images).float(), labels)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            seen += len(batch)
            if step % self.every == 0 or step == len(batches):
                yield from _figures(model, module, step, seen, len(chosen))

    def _batches(self, seed: int, images: int) -> Iterator[Ids]:
        """For every step, positions of its images in the clean set."""
        for epoch in range(self.epochs):
            order = stream("probe-order", seed, images, epoch).permutation(images)
            yield from np.array_split(order, -(-images // self.batch_size))


def clean_set(model: ProbedModel, images: int) -> Ids:
    """Positions of so many clean images in the validation set, ascending, (images,) int64."""
    held = len(model.member.validation)
    order = stream("probe-clean", model.config.seed, held).permutation(held)
    return np.sort(order[:images])


def _figures(
    model: ProbedModel, module: nn.Module, step: int, seen: int, images: int
) -> Iterator[Row]:
    """One row for every trigger that the model is measured with."""
    member = model.member
    correct = int((_predict(model, module, member.test) == member.test_labels).sum())
    total = len(member.test)
    for t in member.triggered:
        counts = attack_counts(_predict(model, module, t.rows), t.truth, t.target_labels)
        yield {
            "step": step,
            "images_seen": seen,
            "clean_images": images,
            "measure_id": measure_id(t.attack),
            "clean_accuracy": correct / total,
            "attack_success": counts.attack_success,
            "robust_accuracy": counts.robust_accuracy,
            "clean_correct": correct,
            "clean_total": total,
            "success": counts.success,
            "robust": counts.robust,
            "total": counts.total,
        }


def _predict(model: ProbedModel, module: nn.Module, rows: Ids) -> Ids:
    module.eval()
    with torch.no_grad():
        chunks = torch.split(torch.from_numpy(rows), EVALUATION_BATCH)
        return np.concatenate([classes_of(module(model.store.batch(c)).float()) for c in chunks])
