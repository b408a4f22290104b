"""How long the probes of a sweep will take, measured in advance on short trainings.

The probes of a network take `a + images * (b + c * epochs)` seconds: they look at images, and some
train again. The three follow from three short trainings, after one that is not counted. Probes of
learners without epochs are run as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from backdoor.config import TrialConfig
from backdoor.datasets.source import load_source, split
from backdoor.engines import pack_key
from backdoor.trial import run_pack
from sweeps.packs.pack import Pack, PackSettings

#: Epochs of the longer ones of the short trainings; batches of images in the shorter ones.
LONGER, BATCHES = 3, 4

#: Trains a trial and probes its model: the seconds that the probes took.
ProbeTimer = Callable[[TrialConfig, PackSettings], float]


@dataclass(frozen=True)
class Example:
    """A trial whose probes take as long as those of all trials of its kind."""

    trial: TrialConfig
    settings: PackSettings


def kind_of(trial: TrialConfig) -> tuple[str, bool]:
    """Trials of equal kind have equally expensive probes: many probes leave clean ones out."""
    return pack_key(trial), trial.attack is None


def examples(packs: Iterable[Pack]) -> dict[tuple[str, bool], Example]:
    """One trial of each kind; none where no probes are asked for."""
    found: dict[tuple[str, bool], Example] = {}
    for pack in packs:
        for trial in pack.trials if pack.settings.probes else ():
            found.setdefault(kind_of(trial), Example(trial, pack.settings))
    return found


def probe_seconds(example: Example, timer: ProbeTimer | None = None) -> float:
    """Seconds that the probes of this trial will take."""
    trial, settings, measure = example.trial, example.settings, timer or _timed
    images = len(split(trial.data, load_source(trial.data), trial.seed).train)
    few = min(images, BATCHES * trial.training.batch_size)
    measure(_short(trial, few, 1), settings)  # loads what libraries load at their first use
    if not trial.defence.architecture.trained_by_epochs:
        return measure(trial, settings)
    epochs = trial.defence.epochs
    many = min(images, LONGER * few)
    once, longer = (measure(_short(trial, few, n), settings) for n in (1, LONGER))
    by_epoch = max(0.0, longer - once) / (LONGER - 1) / few
    by_image = 0.0
    if many > few:
        more = measure(_short(trial, many, 1), settings)
        by_image = max(0.0, (more - once) / (many - few) - by_epoch)
    fixed = max(0.0, once - few * (by_image + by_epoch))
    return fixed + images * (by_image + by_epoch * epochs)


def _short(trial: TrialConfig, images: int, epochs: int) -> TrialConfig:
    data, defence = replace(trial.data, train=images), replace(trial.defence, epochs=epochs)
    return replace(trial, data=data, defence=defence)


def _timed(trial: TrialConfig, settings: PackSettings) -> float:
    """Seconds of all its probes; one that fails on so few images counts until it failed."""
    (result,) = run_pack(
        [trial],
        settings.measures,
        device="cuda" if settings.gpu > 0 else "cpu",
        threads=settings.cpu,
        probes=settings.probes,
    )
    return sum(record.seconds for record in result.studies)
