"""How many packs a spec plans, by engine, without making its trials."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from backdoor.config import Attack, Defence, TrialConfig
from backdoor.engines import engine_of, pack_key
from sweeps.early_stopping.rules import may_stop
from sweeps.packs.pack import PackSettings
from sweeps.spec import SweepSpec


@dataclass(frozen=True)
class PackCount:
    """Distinct defence points and trials, packs, and for each engine its trials and packs."""

    points: int
    trials: int
    packs: int
    engines: dict[str, tuple[int, int]]


def count_packs(spec: SweepSpec, points: Iterable[Defence]) -> PackCount:
    """What `make_packs` makes of these distinct points, each against the whole panel with every
    seed, if it is given all trials at once."""
    settings = PackSettings.of(spec)
    known: dict[tuple[object, ...], str] = {}
    first: dict[str, Defence] = {}
    shapes: Counter[str] = Counter()
    for point in points:
        # What the key of a point follows from: hashing its long text takes a while.
        parts = point.architecture, point.regularizer, point.epochs
        if parts not in known:
            known[parts] = pack_key(spec.trial(point, None, spec.seeds[0]))
            first.setdefault(known[parts], point)
        shapes[known[parts]] += 1
    trials, packs = Counter[str](), Counter[str]()
    for key, count in shapes.items():
        point = first[key]
        for attacks in _groups(spec, settings.stopping and point.architecture.trained_by_epochs):
            trial = spec.trial(point, attacks[0], spec.seeds[0])
            engine = engine_of(trial).name
            sets = len(attacks) * len(spec.seeds)
            trials[engine] += count * sets
            packs[engine] += _packs_of(trial, settings, count, sets)
    engines = {name: (trials[name], packs[name]) for name in sorted(trials)}
    return PackCount(shapes.total(), trials.total(), packs.total(), engines)


def _groups(spec: SweepSpec, stopping: bool) -> list[Sequence[Attack | None]]:
    """Attacks whose trials may share a pack: rules that stop trials never stop clean ones."""
    apart = stopping and spec.baseline
    return [[None], spec.panel] if apart else [spec.attacks]


def _packs_of(trial: TrialConfig, settings: PackSettings, points: int, sets: int) -> int:
    """Packs of so many points of one shape, each with so many training sets."""
    alone = settings.stopping and may_stop(trial)
    largest = 1 if alone else engine_of(trial).max_pack
    if trial.defence.architecture.trained_by_epochs:
        return -(-points * sets // largest)
    together = largest // points  # whole training sets in one pack
    return -(-sets // together) if together else sets * -(-points // largest)
