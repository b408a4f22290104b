"""Parts of packs: fewer images and epochs, or fewer training sets, and in what they are counted."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

from backdoor.config import TrialConfig
from backdoor.datasets.source import load_source, split
from backdoor.engines import pack_key
from sweeps.packs.pack import Pack


def shape_of(pack: Pack) -> tuple[str, bool]:
    """Packs of one shape take the same time for each unit, if they have equally many trials. A pack
    that may be stopped has one of its own, estimated as if it ran to its end."""
    return pack_key(_with_epochs(pack.trials[0], 1)), pack.may_stop


def units_of(pack: Pack) -> int:
    """Steps of training, or trials of a closed form."""
    first = pack.trials[0]
    if not first.defence.architecture.trained_by_epochs:
        return len(pack.trials)
    return -(-train_images(first) // first.training.batch_size) * first.defence.epochs


def train_images(trial: TrialConfig) -> int:
    """How many images the trial trains on."""
    return len(split(trial.data, load_source(trial.data), trial.seed).train)


def part_of(pack: Pack, units: int) -> Pack:
    """The pack with about so many units: fewer images and epochs, or fewer training sets."""
    first = pack.trials[0]
    if units >= units_of(pack):
        return pack
    if not first.defence.architecture.trained_by_epochs:
        return replace(pack, trials=_some_sets(pack.trials, units), limits=())
    images, size = train_images(first), first.training.batch_size
    epochs = max(1, round(units / -(-images // size)))
    part = images if epochs > 1 else min(images, units * size)

    def shortened(trial: TrialConfig) -> TrialConfig:
        return _with_epochs(replace(trial, data=replace(trial.data, train=part)), epochs)

    return replace(pack, trials=tuple(map(shortened, pack.trials)), limits=())


def _with_epochs(trial: TrialConfig, epochs: int) -> TrialConfig:
    if not trial.defence.architecture.trained_by_epochs:
        return trial
    return replace(trial, defence=replace(trial.defence, epochs=epochs))


def _some_sets(trials: Sequence[TrialConfig], units: int) -> tuple[TrialConfig, ...]:
    """Whole training sets, at least one, since their trials share work."""
    found: list[TrialConfig] = []
    for _, own in itertools.groupby(trials, key=lambda trial: (trial.seed, trial.attack_id)):
        if found and len(found) >= units:
            break
        found += own
    return tuple(found)
