"""How long packs will take, measured in advance within a budget of seconds.

A pack takes `fixed + each * units` seconds. Where it is trained in steps, a unit is a step of all
its models, and what its training sets take, each with poisoned images of its own, is part of the
former; a closed form has trials as units. Packs that differ in the number of units only, such
as by their epochs, have one shape, and what is measured of one holds for all of them.

A short part of each shape is timed first. Then parts become longer, where most is uncertain, until
the budget is used: the longer a part, the less it matters how the short one was disturbed.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from sweeps.cost.pack_parts import part_of, train_images, units_of
from sweeps.ledger import Rows
from sweeps.packs.pack import Pack
from sweeps.runners import train_pack

#: A command may take so many seconds, or this share of what it predicts, whichever is more.
SECONDS, SHARE = 8.0, 0.2
#: Of the share, what is planned with: loading, printing and errors take the rest.
PLANNED = 0.8
#: Parts of a shape are long enough when they took so many seconds together.
LONG_ENOUGH = 2.0
#: Batches of the shortest part, and how many times longer each next part is.
BATCHES, LONGER = 4, 4

Clock = Callable[[], float]


@dataclass(frozen=True)
class Budget:
    """Measuring may take `least` seconds, or this share of what is predicted, whichever is more."""

    least: float = SECONDS
    share: float = SHARE


@dataclass(frozen=True)
class Line:
    """Seconds of a pack by its units."""

    fixed: float
    each: float

    def seconds(self, units: int) -> float:
        return self.fixed + self.each * units

    def times(self, factor: float) -> Line:
        """The line of a machine that is slower by this factor."""
        return Line(self.fixed * factor, self.each * factor)


@dataclass(frozen=True)
class Asked:
    """A pack to measure, which stands for all of its shape. together: the units of all of these;
    packs: how many there are."""

    pack: Pack
    together: int
    packs: int


@dataclass(frozen=True)
class Part:
    """A part that was trained. images: that each trial trained on. training: its seconds; other: of
    reading, poisoning and measuring, which grow with the images and not with the epochs."""

    units: int
    images: int
    training: float
    other: float

    @property
    def seconds(self) -> float:
        """Of all of it."""
        return self.training + self.other


def _trained(rows: Rows | None) -> float:
    """The share of training in the seconds of these rows; 1 where they do not say it."""
    if rows is None:
        return 1.0
    whole, training = (
        sum(seconds or 0.0 for seconds in rows[name].to_pylist())
        for name in ("seconds", "train_seconds")
    )
    return min(1.0, training / whole) if whole else 1.0


class Measured:
    """What parts of one shape took so far."""

    def __init__(self, asked: Asked, clock: Clock, timer: Clock) -> None:
        self.asked, self._clock, self._timer = asked, clock, timer
        self.passed, self.timed = 0.0, 0.0  # of all parts, by the clock and by the timer
        self._short = Part(0, 0, 0.0, 0.0)
        self._long: list[Part] = []

    @cached_property
    def units(self) -> int:
        """Of the whole pack."""
        return units_of(self.asked.pack)

    def begin(self) -> None:
        """Times the shortest part, after one that loads the data and the libraries."""
        self._time(BATCHES)
        self._short = self._time(BATCHES)
        self.longer()

    def longer(self) -> None:
        """Times the next part."""
        self._long.append(self._time(self._next))

    @property
    def _next(self) -> int:
        return min(self.units, LONGER * max(part.units for part in (self._short, *self._long)))

    def _time(self, units: int) -> Part:
        part = part_of(self.asked.pack, units)
        start, begun = self._clock(), self._timer()
        rows = train_pack(replace(part, settings=replace(part.settings, probes=())))
        took = self._timer() - begun
        self.passed += self._clock() - start
        self.timed += took
        training = took * (_trained(rows) if self._by_epochs else 1.0)
        images = train_images(part.trials[0])
        return Part(units_of(part), images, training, took - training)

    @property
    def _by_epochs(self) -> bool:
        return self.asked.pack.trials[0].defence.architecture.trained_by_epochs

    @property
    def enough(self) -> bool:
        """Whether a longer part would tell little more."""
        whole = any(part.units >= self.units for part in self._long)
        return whole or sum(part.seconds for part in self._long) >= LONG_ENOUGH

    @property
    def line(self) -> Line:
        """Through the shortest and the longest part, which took most of the time."""
        long = max(self._long, key=lambda part: (part.units, part.seconds))
        more = long.units - self._short.units
        if more <= 0:  # the shortest part is the whole pack
            return Line(0.0, long.seconds / long.units)
        each = max(0.0, long.training - self._short.training) / more
        return Line(max(0.0, long.training - each * long.units) + self._other(long), each)

    def _other(self, long: Part) -> float:
        """Seconds of the whole pack that are not training, in a line with its images."""
        more = long.images - self._short.images
        if more <= 0:
            return long.other
        by_image = max(0.0, long.other - self._short.other) / more
        return long.other + by_image * (train_images(self.asked.pack.trials[0]) - long.images)

    @property
    def next_seconds(self) -> float:
        """What the next part is expected to take, by the clock."""
        return self.line.seconds(self._next) * slowness([self])

    @property
    def total(self) -> float:
        """Seconds that all packs of the shape are expected to take."""
        return self.line.fixed * self.asked.packs + self.line.each * self.asked.together

    @property
    def uncertain(self) -> float:
        """How much a longer part may change the total."""
        known = sum(part.seconds for part in self._long)
        return self.total / math.sqrt(known + 1e-3)


def slowness(measured: Sequence[Measured]) -> float:
    """How many seconds of the clock passed for one of the timer."""
    timed = sum(one.timed for one in measured)
    return sum(one.passed for one in measured) / timed if timed else 1.0


def measure_shapes(
    asked: Sequence[Asked],
    spent: float = 0.0,
    parallel: float = 1.0,
    clock: Clock = time.perf_counter,
    budget: Budget | None = None,
    timer: Clock | None = None,
) -> list[Line | None]:
    """The line of each, None where there was no time to measure it; of each architecture one is
    measured whatever it takes.

    spent: seconds of the budget that are used already. parallel: by how many workers, per part that
    is asked for here, the packs will be trained. timer: times single parts, by default the clock.
    With the processor's time, what interrupts a part does not count for that part: all together
    are lengthened by how much more time passed meanwhile.
    """
    began, found, may = clock(), dict[int, Measured](), budget or Budget()

    def left() -> float:
        total = sum(measured.total for measured in found.values()) / parallel
        return max(may.least, PLANNED * may.share * total) - spent - (clock() - began)

    known = set[str]()
    for number in sorted(range(len(asked)), key=lambda n: -asked[n].together):
        kind = architecture_of(asked[number].pack)
        if kind not in known or left() > 0:
            known.add(kind)
            found[number] = Measured(asked[number], clock, timer or clock)
            found[number].begin()
    while open_ := [m for m in found.values() if not m.enough and m.next_seconds <= left()]:
        max(open_, key=lambda measured: measured.uncertain).longer()
    factor = slowness([*found.values()])
    return [found[n].line.times(factor) if n in found else None for n in range(len(asked))]


def architecture_of(pack: Pack) -> str:
    """Its kind."""
    return str(pack.trials[0].defence.architecture.identity()["kind"])


def filled(asked: Sequence[Asked], lines: Sequence[Line | None]) -> list[Line]:
    """The lines, with the mean of those of the same architecture for what was not measured."""
    pairs = list(zip(map(architecture_of, (one.pack for one in asked)), lines, strict=True))
    return [
        line or _mean(other for name, other in pairs if name == kind and other is not None)
        for kind, line in pairs
    ]


def _mean(lines: Iterable[Line]) -> Line:
    some = list(lines)
    fixed, each = (sum(getattr(line, of) for line in some) for of in ("fixed", "each"))
    return Line(fixed / len(some), each / len(some))


def mean_of(measured: Iterable[Sequence[Line | None]]) -> list[Line | None]:
    """Of what several processes measured of the same parts."""
    columns = (
        [line for line in column if line is not None] for column in zip(*measured, strict=True)
    )
    return [_mean(column) if column else None for column in columns]
