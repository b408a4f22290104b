"""From trials to packs: what one worker trains together. Pure."""

from __future__ import annotations

import functools
import itertools
from collections import Counter
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backdoor.config import Attack, TrialConfig
from backdoor.engines import engine_of, pack_key, split_evenly
from backdoor.probes import Probe
from backdoor.settings.digest import digest
from sweeps.early_stopping.limits import StoppingLimits
from sweeps.early_stopping.rules import may_stop

if TYPE_CHECKING:
    from sweeps.spec import SweepSpec


@dataclass(frozen=True)
class PackSettings:
    """What is the same for all packs of a sweep: what is measured, and with which resources.

    measures: attacks that a clean model is measured with. curve_every: epochs between two points
    of a curve, 0 for none. data_root: where the data lies, None where its settings say it. cpu,
    gpu: cores and GPUs of one pack, the latter also a fraction. stopping: whether Tune may end
    trials early. probes: run on every trained model. predicting: whether trials are stopped once
    their verdict is certain. time_limit: seconds that one trial may take, None without a limit.
    """

    measures: tuple[Attack, ...]
    curve_every: int = 0
    data_root: str | None = None
    cpu: int = 1
    gpu: float = 0.0
    stopping: bool = False
    probes: tuple[Probe, ...] = ()
    predicting: bool = False
    time_limit: float | None = None

    @classmethod
    def of(cls, spec: SweepSpec) -> PackSettings:
        """Those of a sweep."""
        return cls(
            measures=spec.measures,
            curve_every=spec.curve_every,
            data_root=spec.data_root,
            cpu=spec.resources.cpu,
            gpu=spec.resources.gpu,
            stopping=spec.stopped_by_tune,
            probes=spec.probes,
            predicting=spec.predicting,
            time_limit=spec.resources.time_limit,
        )


@dataclass(frozen=True)
class Pack:
    """Trials of equal shape that one worker trains together.

    limits: of each trial, where trials are stopped once their verdict is certain; else empty.
    without: (measure id, why) of what its clean baselines are not measured with, since those images
    could not be made (`sweeps.packs.without_measures`).
    """

    trials: tuple[TrialConfig, ...]
    settings: PackSettings
    limits: tuple[StoppingLimits | None, ...] = ()
    without: tuple[tuple[str, str], ...] = ()

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
        """Whether this is a single trial that Tune may end.

        Engines that train packs stop single trials themselves. A pack of theirs that happens to
        have one trial is not worth a report after each epoch.
        """
        first, settings = self.trials[0], self.settings
        single = settings.stopping or (settings.predicting and engine_of(first).max_pack == 1)
        return single and len(self.trials) == 1 and may_stop(first)

    def halves(self) -> tuple[Pack, Pack]:
        """The pack as two, to find the trial that breaks it."""
        middle = len(self.trials) // 2
        return self._part(self.trials[:middle]), self._part(self.trials[middle:])

    def _part(self, trials: Sequence[TrialConfig]) -> Pack:
        return Pack(tuple(trials), self.settings, without=self.without)

    def apart(self, trial_ids: Set[str]) -> tuple[Pack, ...]:
        """The trials with these ids, and the others, as packs; one of them may be missing."""
        chosen = tuple(trial for trial in self.trials if trial.trial_id in trial_ids)
        others = tuple(trial for trial in self.trials if trial.trial_id not in trial_ids)
        return tuple(self._part(own) for own in (chosen, others) if own)

    def parts(self, largest: int) -> list[Pack]:
        """The pack in as few parts as leave none with more than `largest` trials."""
        return self.into(-(-len(self.trials) // largest))

    def into(self, count: int) -> list[Pack]:
        """The pack as `count` packs of nearly equal length."""
        if count == 1:
            return [self]
        return [self._part(own) for own in split_evenly(self.trials, count)]


def make_packs(trials: Iterable[TrialConfig], settings: PackSettings) -> list[Pack]:
    """Packs of distinct trials: equal shape, evenly filled, equal training sets side by side.

    A trial that may be stopped has a pack to itself, since Tune stops packs as a whole.
    """
    distinct = {trial.trial_id: trial for trial in trials}.values()
    shapes = _Shapes(settings)
    keyed = sorted(
        (((shapes.of(t), t.seed, t.attack_id, t.trial_id), t) for t in distinct),
        key=lambda pair: pair[0],
    )
    packs = []
    for _, group in itertools.groupby(keyed, key=lambda pair: pair[0][0]):
        members = [trial for _, trial in group]
        alone = settings.stopping and may_stop(members[0])
        largest = 1 if alone else engine_of(members[0]).max_pack
        by_epochs = members[0].defence.architecture.trained_by_epochs
        for part in (evenly if by_epochs else by_training_set)(members, largest):
            packs.append(Pack(tuple(part), settings))
    return packs


class _Shapes:
    """Shapes of trials: those of equal shape may share a pack, or each have one."""

    def __init__(self, settings: PackSettings) -> None:
        self._settings = settings
        self._keys: dict[tuple[int, ...], str] = {}

    def of(self, trial: TrialConfig) -> tuple[str, bool]:
        # The key is a hash of long text; trials of one defence point have these parts in common.
        parts = id(trial.data), id(trial.defence), id(trial.training)
        if parts not in self._keys:
            self._keys[parts] = pack_key(trial)
        return self._keys[parts], self._settings.stopping and may_stop(trial)


def evenly(members: Sequence[TrialConfig], largest: int) -> list[Sequence[TrialConfig]]:
    """Consecutive runs of nearly equal length, none longer than `largest`."""
    return split_evenly(members, -(-len(members) // largest))


def by_training_set(members: Sequence[TrialConfig], largest: int) -> list[Sequence[TrialConfig]]:
    """Consecutive parts of whole training sets, since learners with a closed form share the work
    that depends on it. Only a training set with more than `largest` trials is split, evenly."""
    parts: list[list[TrialConfig]] = []
    for _, group in itertools.groupby(members, key=lambda trial: (trial.seed, trial.attack_id)):
        same_set = list(group)
        if parts and len(parts[-1]) + len(same_set) <= largest:
            parts[-1] += same_set
        else:
            parts.append(same_set)
    return [piece for part in parts for piece in evenly(part, largest)]


def count_by_engine(packs: Iterable[Pack]) -> dict[str, tuple[int, int]]:
    """Engine → (packs, trials)."""
    packs = list(packs)
    names = [engine_of(pack.trials[0]).name for pack in packs]
    trials: Counter[str] = Counter()
    for name, pack in zip(names, packs, strict=True):
        trials[name] += len(pack.trials)
    return {name: (count, trials[name]) for name, count in sorted(Counter(names).items())}
