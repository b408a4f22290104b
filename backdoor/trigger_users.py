"""Which trials of a pack each of its triggers is stamped for: they are to blame if that fails."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from backdoor.config import Attack, TrialConfig, measure_id
from backdoor.settings.digest import digest
from backdoor.triggers import Trigger
from backdoor.working_on import working_on


@dataclass(frozen=True)
class StampedTrials:
    """Ids of the trials, and of the measures where only clean baselines are stamped for."""

    trials: tuple[str, ...] = ()
    measures: tuple[str, ...] = ()

    def merged(self, other: StampedTrials) -> StampedTrials:
        """Of both; poisoned trials alone where some are."""
        both = [self, other]
        poisoned = [users for users in both if users.trials and not users.measures]
        trials = [name for users in poisoned or both for name in users.trials]
        measures = [] if poisoned else [name for users in both for name in users.measures]
        return StampedTrials(tuple(dict.fromkeys(trials)), tuple(dict.fromkeys(measures)))


class TriggerUsers:
    """Of the trials of a pack, those that each trigger is stamped for.

    These are the trials that are poisoned with it, at any rate and seed. Clean baselines are
    measured with the triggers of all attacks: they count where no trial is poisoned with a trigger,
    so that the trials of a trigger that fails are found first and the baselines go on without them.
    """

    def __init__(self, configs: Sequence[TrialConfig], measures: Sequence[Attack]) -> None:
        self._names: dict[int, tuple[Attack, str]] = {}  # an attack is kept, so its id stays
        self._by_form: dict[Trigger, StampedTrials] = {}
        poisoned, measured = dict[str, list[str]](), dict[str, list[str]]()
        for config in configs:
            if config.attack is not None:
                poisoned.setdefault(self._name(config.attack), []).append(config.trial_id)
        clean = tuple(config.trial_id for config in configs if config.attack is None)
        for measure in measures if clean else ():
            measured.setdefault(self._name(measure), []).append(measure_id(measure))
        self._users = {name: StampedTrials(clean, tuple(ids)) for name, ids in measured.items()}
        self._users |= {name: StampedTrials(tuple(ids)) for name, ids in poisoned.items()}

    def _name(self, attack: Attack) -> str:
        known = self._names.get(id(attack))
        if known is None:
            known = attack, digest("trigger", attack.trigger.identity())
            self._names[id(attack)] = known
        return known[1]

    def working_for(self, attack: Attack) -> AbstractContextManager[None]:
        """Around code of the attack's trigger."""
        return _working(self._users.get(self._name(attack), StampedTrials()))

    def note(self, attack: Attack, trigger: Trigger) -> None:
        """Notes a form of the attack's trigger that is stamped later."""
        users = self._users.get(self._name(attack), StampedTrials())
        known = self._by_form.setdefault(trigger, users)
        if known is not users:  # two triggers may have the same form for test images
            self._by_form[trigger] = known.merged(users)

    def stamping(self, trigger: Trigger) -> AbstractContextManager[None]:
        """Around a stamp of one of these forms."""
        return _working(self._by_form.get(trigger, StampedTrials()))


def _working(users: StampedTrials) -> AbstractContextManager[None]:
    return working_on(users.trials, users.measures)
