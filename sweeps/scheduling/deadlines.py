"""How long a pack may take before it is ended. Pure.

With `resources.time_limit`: that of one trial, times the trials of the pack. A pack trains them
together, in at most the time that they would take one after the other.

Without: 20 times the median of packs like it, at least 10 minutes. A row of the ledger has a
trial's share of the seconds of its pack, so that the rows of a pack add up to what the pack took.
Packs of other sizes count by the longest that they can mean for this one: a pack takes no less time
than a part of it, and no more time for each trial than a smaller pack, in which trials share less.
So `seconds * max(1, trials / trials of the other)`.

Where nothing exactly like it has ended, others of its kind of architecture count, by the longest
that they can mean too: training is in proportion to the epochs, and grows at most with the square
of a number of the architecture, such as its width. Data and `training` are one for all trials.

Where none of its kind has ended, nothing is measured in advance: that takes seconds for each shape
of pack, more than a small sweep. No deadline is shorter than 10 minutes, so it is early enough to
ask what `sweeps check --time` would predict when a pack has run that long (`ran`). Until somebody
knows more the deadline is a day: it is no estimate, but the only thing that is worse than a
training that hangs for a day is one that is ended wrongly again and again. A training that does
nothing at all is seen much earlier, by its signs of life.

A deadline may become shorter while a pack runs, as others like it end: ask again.
"""

from __future__ import annotations

import json
import math
import statistics
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from backdoor.settings.registry import ARCHITECTURES
from sweeps.ledger import Rows
from sweeps.ledger.recorded_packs import recorded_packs
from sweeps.packs.pack import Pack
from sweeps.spec.durations import in_words

#: A pack is ended after so many times what is expected, but not before so many seconds; where
#: nothing is known, after a day.
FACTOR, LEAST, UNKNOWN = 20.0, 600.0, 86400.0
#: So many of the latest packs of a kind are remembered.
LATEST = 200

#: What `sweeps check --time` predicts for a pack in seconds; None where it is not known (yet).
Predicted = Callable[[Pack], float | None]


@dataclass(frozen=True)
class _Shape:
    """What the time of a pack depends on. key: all of it. kind: resources, architecture and
    regularizer, without numbers. numbers: of the architecture, by name. epochs: 0 of a closed
    form."""

    key: str
    kind: str
    numbers: Mapping[str, float]
    epochs: int

    @classmethod
    def of(
        cls, defence: Mapping[str, Any], cpu: float, gpu: float, axes: Collection[str]
    ) -> _Shape:
        """defence: as in a trial's canonical form. axes: in which trials of a pack may differ."""
        found = defence["architecture"]
        settings = found if isinstance(found, dict) else {"kind": found}
        own = {name: value for name, value in settings.items() if name not in axes}
        numbers = {name: float(value) for name, value in own.items() if _is_number(value)}
        words = {name: value for name, value in own.items() if name not in numbers}
        regularizer = defence.get("regularizer")
        kind = regularizer.get("kind") if isinstance(regularizer, dict) else regularizer
        text = json.dumps([float(cpu), float(gpu), words, kind], sort_keys=True, default=str)
        epochs = int(defence.get("epochs") or 0)
        return cls(f"{text} {sorted(numbers.items())} {epochs}", text, numbers, epochs)

    def work(self, other: _Shape) -> float:
        """How many times the work of `other` this is at most, at least 1."""
        work = max(1.0, self.epochs / max(1, other.epochs))
        for name, value in self.numbers.items():
            base = abs(other.numbers.get(name, value))
            work *= max(1.0, abs(value) / base if base else 1.0) ** 2
        return work


@dataclass(frozen=True)
class _Ended:
    """A pack that has ended, with the seconds of all of it."""

    shape: _Shape
    trials: int
    seconds: float


@dataclass(frozen=True)
class _Expected:
    """packs: on which it is based, 0 for a prediction. alike: whether these have its very shape."""

    seconds: float
    packs: int
    alike: bool


class Deadlines:
    """Deadlines of packs, by the spec or by packs that have ended.

    time_limit: seconds that one trial may take, None without a limit. predicted: see `Predicted`;
    it is asked only where nothing is known of packs like it, and must not keep the caller waiting.
    """

    def __init__(self, time_limit: float | None, predicted: Predicted | None = None) -> None:
        self.time_limit, self._predicted = time_limit, predicted
        self._ended: dict[str, deque[_Ended]] = {}  # by the kind of their shape
        self._medians: dict[tuple[str, int], _Expected] = {}  # until more is learned

    @property
    def is_declared(self) -> bool:
        """Whether the spec says it."""
        return self.time_limit is not None

    def learn(
        self,
        packs: Iterable[Pack],
        seconds: Mapping[str, float | None],
        stopped: Collection[str] = (),
    ) -> None:
        """Learns from the seconds of trials, by id; None where they are not known. stopped: trials
        that were ended early: they say nothing about how long one takes to its end."""
        for pack in packs:
            known = [seconds.get(t.trial_id) for t in pack.trials if t.trial_id not in stopped]
            self._note(_shape(pack), len(pack.trials), known)

    def learn_rows(self, table: Rows) -> None:
        """Learns from rows of the ledger, by the latest packs of them."""
        axes = _pack_axes()
        for found in recorded_packs(table):
            own = axes.get(_kind_name(found.defence), frozenset())
            shape = _Shape.of(found.defence, found.cpus, found.gpus, own)
            self._note(shape, found.trials, [found.seconds / found.trials])

    def _note(self, shape: _Shape, trials: int, shares: Iterable[float | None]) -> None:
        known = [s for s in shares if s is not None and math.isfinite(s) and s >= 0]
        if known:
            whole = sum(known) / len(known) * trials
            ended = self._ended.setdefault(shape.kind, deque(maxlen=LATEST))
            ended.append(_Ended(shape, trials, whole))
            self._medians.clear()

    def seconds(self, pack: Pack, ran: float = 0.0) -> float:
        """Seconds after which the pack is ended, at least 1. ran: how many it has been running;
        from `LEAST` on a prediction is asked for where nothing else is known."""
        if self.time_limit is not None:
            return self.time_limit * len(pack.trials)
        expected = self._expected(pack, ran)
        return UNKNOWN if expected is None else max(LEAST, FACTOR * expected.seconds)

    def why(self, pack: Pack, ran: float = math.inf) -> str:
        """What the deadline is and why, such as `10 minutes: 20 times the median of 37 packs like
        it (1.5 seconds), at least 10 minutes`. It goes after "longer than"."""
        limit, count = in_words(self.seconds(pack, ran)), len(pack.trials)
        if self.time_limit is not None:
            each = "resources.time_limit"
            if count == 1:
                return f"{each}, {limit}"
            of = f"{each} is {in_words(self.time_limit)} a trial"
            return f"{limit}: {of}, and {count} are trained together"
        return f"{limit}: {_reason(self._expected(pack, ran))}"

    def _expected(self, pack: Pack, ran: float) -> _Expected | None:
        shape, trials = _shape(pack), len(pack.trials)
        if shape.kind in self._ended:
            if (shape.key, trials) not in self._medians:
                self._medians[shape.key, trials] = self._by_others(shape, trials)
            return self._medians[shape.key, trials]
        known = self._predicted(pack) if self._predicted is not None and ran >= LEAST else None
        if known is None or not math.isfinite(known) or known < 0:
            return None
        return _Expected(known, 0, False)

    def _by_others(self, shape: _Shape, trials: int) -> _Expected:
        of_kind = self._ended[shape.kind]
        alike = [each for each in of_kind if each.shape.key == shape.key]
        return _Expected(
            _median(alike or of_kind, shape, trials), len(alike or of_kind), bool(alike)
        )


def _median(ended: Iterable[_Ended], shape: _Shape, trials: int) -> float:
    """Of the longest that each of these can mean for a pack of this shape and size."""
    return statistics.median(
        each.seconds * max(1.0, trials / each.trials) * shape.work(each.shape) for each in ended
    )


def _reason(expected: _Expected | None) -> str:
    if expected is None:
        return "nothing like it has ended yet, and the spec has no resources.time_limit"
    seconds = f"({in_words(expected.seconds)})"
    if not expected.packs:
        what = f"what short trainings predict {seconds}"
    elif expected.packs == 1:
        what = f"what the one pack {'like it' if expected.alike else 'of its kind'} took {seconds}"
    elif expected.alike:
        what = f"the median of {expected.packs:,} packs like it {seconds}"
    else:
        what = f"the median of {expected.packs:,} packs of its kind, scaled {seconds}"
    return f"{FACTOR:g} times {what}, at least {in_words(LEAST)}"


def _shape(pack: Pack) -> _Shape:
    first, settings = pack.trials[0], pack.settings
    axes = first.defence.architecture.pack_axes
    return _Shape.of(first.canonical["defence"], settings.cpu, settings.gpu, axes)


def _pack_axes() -> dict[str, Collection[str]]:
    """In which settings trials of a pack may differ, by architecture; without kinds of users, whose
    packs then count as less alike than they are."""
    return {name: kind.pack_axes for name, kind in ARCHITECTURES.kinds().items()}


def _kind_name(defence: Mapping[str, Any]) -> str:
    found = defence["architecture"]
    return str(found["kind"] if isinstance(found, dict) else found)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
