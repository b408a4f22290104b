"""Whose fault a failure is: the trial's, the node's, or nobody knows yet. Pure.

A node that is broken fails whatever it gets, and fast, so that it gets most of the work. A trial
that is broken fails wherever it runs. One failure says neither; what else happened there does.

- A trial is at fault where it failed twice, each time on a node where other configurations have
  succeeded. It is recorded as failed. Since a node may break at any moment, something else must
  also have succeeded there after one of these failures. Where that has not come by itself, a
  worker that fails the trial again trains a reference trial.
- Until then it is open, and is tried again: after a success anywhere, or on another node.
- A pack of several trials is divided: those whose images were being made, if that is known, from
  the others; else into halves.
- Too little memory, no sign of life and the deadline count for themselves; a lost worker does
  not count, unless the trial was alone on three of them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from backdoor.config import measure_id
from backdoor.triggers import Trigger
from sweeps.packs.pack import Pack
from sweeps.packs.without_measures import without, without_broken
from sweeps.records.failure import HANG, MEMORY, OPEN, PREEMPTED, TIME, TRIAL, Failure

#: Failures after which a trial is at fault, and workers that it may lose while it is alone.
TWICE, LOSSES = 2, 3
#: Hangs, and deaths, in images of one trigger after which all trials with it are at fault, if none
#: with it has ever succeeded: each hang takes minutes, each death a new process.
TRIGGER_HANGS, TRIGGER_DEATHS = 2, 3
#: Different configurations that fail before a sweep ends in which nothing has succeeded.
GIVE_UP = 5


@dataclass(frozen=True)
class Verdict:
    """What is to happen with a failed pack.

    recorded: the failure as it is decided; guilty: the trials that are at fault. again: packs to be
    tried again at once; late: only after what is waiting. None of these: it waits until something
    succeeds.
    """

    recorded: Failure | None = None
    guilty: Pack | None = None
    again: tuple[Pack, ...] = ()
    late: tuple[Pack, ...] = ()


@dataclass
class _Node:
    """A node: which configurations have succeeded there since its last passed check, and when one
    did so last, in events of the judge."""

    succeeded: set[str] = field(default_factory=set)
    latest: int = 0


@dataclass(frozen=True)
class _Noted:
    """A failure, and when it was told, in events of the judge."""

    failure: Failure
    at: int


class FailureJudge:
    """Remembers what succeeded and failed where, and decides on packs that failed.

    Nodes have the names that Ray gives them; a failure without one is of the single node `None`.
    declared: whether the deadline is one that the user has declared, which is not tried twice.
    """

    def __init__(self, declared: bool = False) -> None:
        self._times = 1 if declared else TWICE
        self.succeeded_anywhere = False
        self._failures: dict[str, list[_Noted]] = defaultdict(list)  # by trial, each alone
        self._events = 0
        self._nodes: dict[str | None, _Node] = defaultdict(_Node)
        self._losses: Counter[str] = Counter()  # of packs that were alone, by their id
        #: Nodes where a process ended, by cause and the trigger whose images were being made.
        self._ended: dict[tuple[str, Trigger], list[str | None]] = defaultdict(list)
        self._proven: set[Trigger] = set()  # those with which some trial has ended
        #: Measures whose images cannot be made, and why: clean baselines go without them.
        self.broken_measures: dict[str, str] = {}
        self._measures: dict[str, list[_Noted]] = defaultdict(list)  # failures by measure

    # --- what happens -----------------------------------------------------------------------

    def succeeded(self, packs: Iterable[Pack], node: str | None) -> bool:
        """Trials of these packs have ended on this node. Whether they are the first ones there."""
        first = not self._nodes[node].succeeded
        self.succeeded_anywhere = True
        self._fit(node)
        for pack in packs:
            for trial in pack.trials:
                self._nodes[node].succeeded.add(trial.trial_id)
                self._failures.pop(trial.trial_id, None)
                if trial.attack is not None:
                    self._proven.add(trial.attack.trigger)
                    if self._measures:
                        self._forget_measure(measure_id(trial.attack.measure()))
        return first

    def _forget_measure(self, measure: str) -> None:
        self._measures.pop(measure, None)
        self.broken_measures.pop(measure, None)

    def reference_passed(self, node: str | None) -> None:
        """What has succeeded before succeeds on this node now."""
        self.succeeded_anywhere = True
        self._nodes[node].succeeded.add("")
        self._fit(node)

    def _fit(self, node: str | None) -> None:
        self._events += 1
        self._nodes[node].latest = self._events

    def check_failed(self, node: str | None) -> None:
        """What succeeded on this node before says nothing about it any more, and what failed there
        since then says nothing about the trials."""
        found = self._nodes[node]
        found.succeeded.clear()
        for known in (self._failures, self._measures):
            for key, own in list(known.items()):
                own[:] = [n for n in own if n.failure.node_id != node or n.at <= found.latest]
                if not own:
                    del known[key]
        self.broken_measures = {
            m: e for m, e in self.broken_measures.items() if m in self._measures
        }
        for nodes in self._ended.values():
            nodes[:] = [each for each in nodes if each != node]

    # --- verdicts ---------------------------------------------------------------------------

    def failed(self, pack: Pack, failure: Failure) -> Verdict:
        """A pack failed on the failure's node."""
        if self._trigger_at_fault(pack, failure):
            suspects, others = _apart(pack, failure.suspects)
            cause = failure if failure.cause == HANG else failure.because(TRIAL)
            return replace(self._guilty(suspects or pack, cause), again=others)
        if (less := self._without_measures(pack, failure)) is not None:
            return Verdict(again=(less,))
        if len(pack.trials) > 1:
            self._count_hang(pack, failure)
            return _divided(pack, failure)
        (trial,) = pack.trials
        own = self._note(trial.trial_id, failure)
        decided = self.decide(trial.trial_id)
        if decided is not None:
            return self._guilty(pack, decided)
        there = sum(each.failure.node_id == failure.node_id for each in own)
        return Verdict(late=(pack,)) if there < TWICE else Verdict()

    def _note(self, trial_id: str, failure: Failure) -> list[_Noted]:
        """Remembers the failure; all of this trial."""
        self._events += 1
        own = self._failures[trial_id]
        own.append(_Noted(failure, self._events))
        return own

    def failed_alone(self, trial_id: str) -> bool:
        """Whether a failure of this trial alone is known."""
        return trial_id in self._failures

    def failed_on(self, trial_id: str, node: str) -> bool:
        """Whether a failure of this trial alone on this node is known."""
        return any(n.failure.node_id == node for n in self._failures.get(trial_id, ()))

    def _count_hang(self, pack: Pack, failure: Failure) -> None:
        """A hang in what is made for one trial of a pack only counts as that trial's: each takes
        minutes, and one more while it is alone is enough."""
        suspects, others = _apart(pack, failure.suspects)
        only = suspects is not None and len(suspects.trials) == 1 and bool(others)
        if failure.cause == HANG and suspects is not None and only and not failure.measures:
            self._note(suspects.trials[0].trial_id, failure)

    def _guilty(self, pack: Pack, failure: Failure) -> Verdict:
        """The trials are at fault; clean baselines may still be measured with other triggers."""
        less = without_broken(pack, failure)
        if less is None:
            return Verdict(failure, pack)
        self.broken_measures |= dict(less.without)
        for trial in pack.trials:
            self._failures.pop(trial.trial_id, None)  # they were those of the measures
        return Verdict(late=(less,))

    def _without_measures(self, pack: Pack, failure: Failure) -> Pack | None:
        """The pack without measures whose images cannot be made; None where that is not why it
        failed, or not certain yet: the same is asked for as where a trial is at fault."""
        self._events += 1
        for measure in failure.measures:
            self._measures[measure].append(_Noted(failure, self._events))
            own = [n for n in self._measures[measure] if self._nodes[n.failure.node_id].succeeded]
            if len(own) >= TWICE and any(map(self._is_certain, own)):
                self.broken_measures[measure] = failure.error
        if not self.broken_measures.keys() & set(failure.measures):
            return None
        less = without(pack, self.broken_measures)
        return less if less.without != pack.without else None

    def lost(self, pack: Pack, failure: Failure, alone: bool) -> Verdict:
        """The worker that had this pack, or its node, was lost. alone: it had no other pack."""
        if not alone:
            return Verdict(again=(pack,))
        self._losses[pack.pack_id] += 1
        if self._losses[pack.pack_id] < LOSSES:
            return Verdict(again=(pack,))
        if len(pack.trials) > 1:
            return Verdict(again=pack.halves())
        if (less := self._without_unproven(pack, failure)) is not None:
            self._losses[pack.pack_id] = 0
            return Verdict(again=(less,))
        return Verdict(failure.because(PREEMPTED), pack)

    def _without_unproven(self, pack: Pack, failure: Failure) -> Pack | None:
        """A clean baseline without the measures of triggers with which nothing has ever ended: one
        of them may have ended its worker, which could not say it any more."""
        measures = () if pack.trials[0].attack is not None else pack.settings.measures
        unproven = [measure_id(m) for m in measures if m.trigger not in self._proven]
        less = without(pack, dict.fromkeys(unproven, failure.error))
        return less if len(less.without) > len(pack.without) else None

    def again(self, pack: Pack) -> Verdict:
        """What is to happen with a pack that waited, by all that is known now."""
        alone = len(pack.trials) == 1
        decided = self.decide(pack.trials[0].trial_id) if alone else None
        return Verdict(late=(pack,)) if decided is None else self._guilty(pack, decided)

    def decide(self, trial_id: str) -> Failure | None:
        """The failure for which the trial is at fault, by all that is known now; else None."""
        noted = self._failures.get(trial_id, [])
        own = [each.failure for each in noted]
        for cause, most in ((MEMORY, TWICE), (HANG, TWICE), (TIME, self._times)):
            alike = [each for each in own if each.cause == cause]
            if cause == HANG and len({each.node_id for each in alike}) < 2 < 1 + len(self._nodes):
                # All on one node, while there are others: perhaps everything hangs there.
                alike = [each for each in alike if self._others(each, trial_id)]
            if len(alike) >= most:
                return alike[-1]
        counted = [
            each
            for each in noted
            if each.failure.cause == OPEN and self._others(each.failure, trial_id)
        ]
        if len(counted) < TWICE or not any(map(self._is_certain, counted)):
            return None
        return counted[-1].failure.because(TRIAL)

    def believed(self, trial_id: str) -> list[str] | None:
        """Nodes on which another failure of a trial needs no comparison with a reference trial;
        None of a trial that has not failed."""
        own = self._failures.get(trial_id)
        if not own:
            return None
        if not any(map(self._is_certain, own)):
            return []
        return [name for name, node in self._nodes.items() if name is not None and node.succeeded]

    def _is_certain(self, noted: _Noted) -> bool:
        """Whether the node was fit when this failed: something succeeded there later. Where there
        is one node only, without a name, that is not asked for."""
        node = noted.failure.node_id
        return node is None or noted.at <= self._nodes[node].latest

    def hopeless(self) -> list[Failure]:
        """The latest failures of different configurations where so many failed that something else
        than they is at fault: nothing has succeeded anywhere. Else none."""
        if self.succeeded_anywhere or len(self._failures) < GIVE_UP:
            return []
        return [own[-1].failure for own in self._failures.values()]

    def _others(self, failure: Failure, trial_id: str) -> bool:
        """Whether another configuration has succeeded where this one failed."""
        return bool(self._nodes[failure.node_id].succeeded - {trial_id})

    def _trigger_at_fault(self, pack: Pack, failure: Failure) -> bool:
        """Whether the process always ends while it makes the images of this trigger."""
        limit = {HANG: TRIGGER_HANGS, OPEN: TRIGGER_DEATHS}.get(failure.cause)
        trigger = suspected_trigger(pack, failure)
        if not failure.died or limit is None or trigger is None or trigger in self._proven:
            return False
        nodes = self._ended[failure.cause, trigger]
        nodes.append(failure.node_id)
        fit = [each for each in nodes if self._nodes[each].succeeded]
        return failure.node_id in fit and len(fit) >= limit


def suspected_trigger(pack: Pack, failure: Failure) -> Trigger | None:
    """The trigger whose images were being made, if that was so."""
    for measure in pack.settings.measures:
        if measure_id(measure) in failure.measures:
            return measure.trigger
    suspects, _ = _apart(pack, failure.suspects)
    return None if suspects is None else _trigger_of(suspects)


def _apart(pack: Pack, trial_ids: Sequence[str]) -> tuple[Pack | None, tuple[Pack, ...]]:
    """The trials with these ids, and the others, if there are any."""
    parts = pack.apart(set(trial_ids))
    if len(parts) == 2:
        return parts[0], parts[1:]
    known = {trial.trial_id for trial in pack.trials} & set(trial_ids)
    return (pack, ()) if known else (None, (pack,))


def _divided(pack: Pack, failure: Failure) -> Verdict:
    """The pack in two: suspects, which come last, and the others; else halves, of which one comes
    at once. So what is fit succeeds soon, and then more is known of what is not. Of a pack that was
    too large nothing need be known: both halves come at once."""
    suspected, others = _apart(pack, failure.suspects)
    if suspected is not None and others:
        return Verdict(again=others, late=(suspected,))
    first, second = pack.halves()
    if failure.cause == MEMORY:
        return Verdict(again=(first, second))
    return Verdict(again=(first,), late=(second,))


def _trigger_of(pack: Pack) -> Trigger | None:
    """The trigger that all trials of a pack have; None where they differ, or have none."""
    found = {None if trial.attack is None else trial.attack.trigger for trial in pack.trials}
    return found.pop() if len(found) == 1 else None
