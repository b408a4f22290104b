"""From trials to packs: what one worker trains together. Pure."""

from __future__ import annotations

import functools
import itertools
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from backdoor.config import Attack, TrialConfig
from backdoor.engines import engine_of, pack_key, split_evenly
from backdoor.probes import Probe
from backdoor.settings.digest import digest
from sweeps.early_stopping.limits import StoppingLimits
from sweeps.early_stopping.rules import may_stop


@dataclass(frozen=True)
class Job:
    """What is the same for all packs of a sweep. `stopping`: whether Tune may end trials early.
    `probes`: studies of every trained model. `predicting`: whether trials are dropped whose
    verdict is certain."""

    measures: tuple[Attack, ...]
    curve_every: int = 0
    data_root: str | None = None
    cpu: int = 1
    gpu: float = 0.0
    stopping: bool = False
    probes: tuple[Probe, ...] = ()
    predicting: bool = False


@dataclass(frozen=True)
class Pack:
    """Trials of equal shape that one worker trains together. limits: of each trial, where trials
    are dropped whose verdict is certain."""

    trials: tuple[TrialConfig, ...]
    job: Job
    limits: tuple[StoppingLimits | None, ...] = ()

    @functools.cached_property
    def pack_id(self) -> str:
        """Twelve hex digits that follow from the trials."""
        return digest("pack-of", [trial.trial_id for trial in self.trials])[:12]

    @functools.cached_property
    def key(self) -> str:
        """What its trials have in common, see `pack_key`."""
        return pack_key(self.trials[0])

    @property
    def may_stop(self) -> bool:
        """Whether this is a single trial that Tune may end. One that only for now is single, and
        drops itself where its verdict is certain, is not worth a report an epoch."""
        first = self.trials[0]
        alone = self.job.stopping or (self.job.predicting and engine_of(first).max_pack == 1)
        return alone and len(self.trials) == 1 and may_stop(first)

    def halves(self) -> tuple[Pack, Pack]:
        """The pack as two, to find the member that breaks it."""
        middle = len(self.trials) // 2
        return Pack(self.trials[:middle], self.job), Pack(self.trials[middle:], self.job)

    def parts(self, largest: int) -> list[Pack]:
        """The pack, or as many as it takes for none to have more than `largest` trials."""
        return self.into(-(-len(self.trials) // largest))

    def into(self, count: int) -> list[Pack]:
        """The pack as so many of nearly equal length."""
        if count == 1:
            return [self]
        return [Pack(tuple(chunk), self.job) for chunk in split_evenly(self.trials, count)]


def make_packs(trials: Iterable[TrialConfig], job: Job) -> list[Pack]:
    """Packs of distinct trials: equal shape, evenly filled, equal training sets side by side.

    A trial that may be stopped has a pack to itself, since Tune stops packs as a whole.
    """
    distinct = {trial.trial_id: trial for trial in trials}.values()
    shapes = _Shapes(job)
    keyed = sorted(
        (((shapes.of(t), t.seed, t.attack_id, t.trial_id), t) for t in distinct),
        key=lambda pair: pair[0],
    )
    packs = []
    for _, group in itertools.groupby(keyed, key=lambda pair: pair[0][0]):
        members = [trial for _, trial in group]
        alone = job.stopping and may_stop(members[0])
        largest = 1 if alone else engine_of(members[0]).max_pack
        by_epochs = members[0].defence.architecture.trained_by_epochs
        for chunk in (evenly if by_epochs else by_training_set)(members, largest):
            packs.append(Pack(tuple(chunk), job))
    return packs


class _Shapes:
    """Shapes of trials: those of equal shape may share a pack, or each have one."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._keys: dict[tuple[int, ...], str] = {}

    def of(self, trial: TrialConfig) -> tuple[str, bool]:
        # The key is a hash of long text; trials of one defence point have these parts in common.
        parts = id(trial.data), id(trial.defence), id(trial.training)
        if parts not in self._keys:
            self._keys[parts] = pack_key(trial)
        return self._keys[parts], self._job.stopping and may_stop(trial)


def evenly(members: Sequence[TrialConfig], largest: int) -> list[Sequence[TrialConfig]]:
    """Consecutive chunks of nearly equal length, none longer than `largest`."""
    return split_evenly(members, -(-len(members) // largest))


def by_training_set(members: Sequence[TrialConfig], largest: int) -> list[Sequence[TrialConfig]]:
    """Consecutive chunks of whole training sets, as learners that are solved share the work of
    one; only what is longer than `largest` by itself is cut, evenly."""
    chunks: list[list[TrialConfig]] = []
    for _, group in itertools.groupby(members, key=lambda trial: (trial.seed, trial.attack_id)):
        path = list(group)
        if chunks and len(chunks[-1]) + len(path) <= largest:
            chunks[-1] += path
        else:
            chunks.append(path)
    return [part for chunk in chunks for part in evenly(chunk, largest)]


def count_by_engine(packs: Iterable[Pack]) -> dict[str, tuple[int, int]]:
    """Engine → (packs, trials)."""
    packs = list(packs)
    names = [engine_of(pack.trials[0]).name for pack in packs]
    trials: Counter[str] = Counter()
    for name, pack in zip(names, packs, strict=True):
        trials[name] += len(pack.trials)
    return {name: (count, trials[name]) for name, count in sorted(Counter(names).items())}
