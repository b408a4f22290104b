"""What the probes of a sweep will take, measured beforehand on short trainings.

A study of a network takes `a + images * (b + c * epochs)`: probes look at images, and some train
anew. The three follow from three short trainings, after one that is not counted. Those of convex
learners are made as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from backdoor.config import TrialConfig
from backdoor.datasets.source import load_source, split
from backdoor.engines import pack_key
from backdoor.trial import run_pack
from sweeps.packs.pack import Job, Pack

#: Epochs of the longer ones of the short trainings; batches of the shorter ones' images.
LONGER, BATCHES = 3, 4

ProbedModel = Callable[[TrialConfig, Job], float]


@dataclass(frozen=True)
class Example:
    """A trial whose studies cost what those of all trials of its kind do."""

    trial: TrialConfig
    job: Job


def kind_of(trial: TrialConfig) -> tuple[str, bool]:
    """Trials of equal kind have equally costly studies: many probes leave clean ones out."""
    return pack_key(trial), trial.attack is None


def examples(packs: Iterable[Pack]) -> dict[tuple[str, bool], Example]:
    """One trial of each kind; none where nobody asks for probes."""
    found: dict[tuple[str, bool], Example] = {}
    for pack in packs:
        for trial in pack.trials if pack.job.probes else ():
            found.setdefault(kind_of(trial), Example(trial, pack.job))
    return found


def probe_seconds(example: Example, studied: ProbedModel | None = None) -> float:
    """Seconds that the studies of this trial will take."""
    trial, job, measure = example.trial, example.job, studied or _studied
    images = len(split(trial.data, load_source(trial.data), trial.seed).train)
    few = min(images, BATCHES * trial.training.batch_size)
    measure(_short(trial, few, 1), job)  # what libraries load at their first use is loaded
    if not trial.defence.architecture.trained_by_epochs:
        return measure(trial, job)
    epochs = trial.defence.epochs
    many = min(images, LONGER * few)
    once, longer = (measure(_short(trial, few, n), job) for n in (1, LONGER))
    by_epoch = max(0.0, longer - once) / (LONGER - 1) / few
    by_image = 0.0
    if many > few:
        more = measure(_short(trial, many, 1), job)
        by_image = max(0.0, (more - once) / (many - few) - by_epoch)
    fixed = max(0.0, once - few * (by_image + by_epoch))
    return fixed + images * (by_image + by_epoch * epochs)


def _short(trial: TrialConfig, images: int, epochs: int) -> TrialConfig:
    data, defence = replace(trial.data, train=images), replace(trial.defence, epochs=epochs)
    return replace(trial, data=data, defence=defence)


def _studied(trial: TrialConfig, job: Job) -> float:
    """Seconds of all its studies; one that fails on so few images counts as far as it came."""
    device = "cuda" if job.gpu > 0 else "cpu"
    (result,) = run_pack([trial], job.measures, device=device, threads=job.cpu, probes=job.probes)
    return sum(record.seconds for record in result.studies)
