"""A section of a spec as a `Space`.

A list is a choice, a mapping `{log: [a, b]}` a range, a mapping with `kind` a component. This may
have factors of its own, which replace the section's.
"""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, get_args, get_origin

from backdoor.errors import Mistake, UserError
from backdoor.settings.aliases import same_name
from backdoor.settings.outside import TOGETHER
from backdoor.settings.registry import Family, Reading
from backdoor.settings.schema import hints_of, is_number, suggest
from sweeps.space import overlaps
from sweeps.space.space import Branch, Leaf, Range, Space, Value, comparable

SCALES = ("log", "uniform", "int")
#: Values of a range that a grid takes.
MOST_STEPS = 1_000_000
#: Values and ends of ranges that all combinations of kinds have together: each is checked.
MOST_CHOICES = 20_000


class SpaceParser:
    """Parses one section into a `Space`, collecting every mistake on the way.

    section: its name in the spec. cls: the dataclass whose fields are the factors. families: of
    the fields that are components. foreign: names that belong to another section, with a remedy.
    readings: factor → what turns its values, each with its place, into those that are used; it
    raises `UserError`. repeated: gets choices that repeat a value; by default `warn` does. note:
    gets what to know of choices that overlap.
    """

    def __init__(
        self,
        section: str,
        cls: type,
        families: Mapping[str, Family[Any]],
        foreign: Mapping[str, str],
        warn: Callable[[Mistake], None],
        readings: Mapping[str, Reading] | None = None,
        repeated: Callable[[Mistake], None] | None = None,
        note: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.section, self.families, self.foreign, self.warn = section, families, foreign, warn
        self.factors, self.cls = [f.name for f in fields(cls)], cls
        self.readings, self.repeated, self.note = readings or {}, repeated or warn, note

    def parse(self, given: Any) -> Space:
        if not isinstance(given, Mapping) or not given:
            self._wrong(
                self.section,
                "must be a mapping of factors",
                given,
                f"Known: {', '.join(self.factors)}.",
            )
            return Space(())
        plain: dict[str, Leaf] = {}
        slots: dict[str, list[_Component]] = {}
        for key, value in given.items():
            place = f"{self.section}.{key}"
            if key not in self.factors:
                self._unknown(place, str(key), value)
            elif key in self.families:
                slots[key] = self._components(place, key, value)
            else:
                self._add_leaf(plain, key, place, value, self.cls)
        if self._too_many(plain, slots):
            return Space(())
        combinations = itertools.product(*slots.values())
        space = Space(tuple(self._branch(list(slots), list(c), plain) for c in combinations))
        for note in overlaps.of_branches(self.section, space.branches, self._default):
            self.note(note)
        return space

    def _default(self, branch: Branch, name: str) -> Any:
        """The value of a factor that a branch leaves out."""
        slot, _, setting = name.partition(".")
        owner = self.families[slot].find(dict(branch.kinds)[slot]) if setting else self.cls
        return {f.name: f.default for f in fields(owner)}.get(setting or slot, overlaps.NOTHING)

    def _too_many(
        self, plain: Mapping[str, Leaf], slots: Mapping[str, Sequence[_Component]]
    ) -> bool:
        """Whether there are more values than can be checked one by one, which is a mistake."""
        combinations = math.prod(len(listed) for listed in slots.values())
        own = (sum(len(leaf.options) for leaf in each.leaves) for s in slots.values() for each in s)
        values = combinations * (1 + sum(len(leaf.options) for leaf in plain.values())) + sum(own)
        if values > MOST_CHOICES:
            rule = f"must list at most {MOST_CHOICES:,} values over all combinations of kinds"
            remedy = "Use a range with `steps` in place of a long list, or fewer kinds."
            self._wrong(self.section, rule, f"{values:,}", remedy)
        return values > MOST_CHOICES

    def _wrong(self, place: str, rule: str, value: Any, remedy: str) -> None:
        self.warn(Mistake(place, rule, value, remedy))

    def _unknown(self, place: str, name: str, value: Any, kind: str = "") -> None:
        if name in self.foreign:
            self._wrong(place, f"does not belong under `{self.section}`", value, self.foreign[name])
        else:
            of = f"{kind} or of `{self.section}`" if kind else f"`{self.section}`"
            remedy = suggest(name, self.factors)
            elsewhere = None if same_name(name, self.factors) else same_name(name, self.foreign)
            if elsewhere:
                remedy = f"Did you mean {elsewhere!r}? {self.foreign[elsewhere]}"
            self._wrong(place, f"is not a factor of {of}", value, remedy)

    def _branch(
        self, slots: list[str], chosen: list[_Component], plain: Mapping[str, Leaf]
    ) -> Branch:
        leaves, owner = dict(plain), dict[str, str]()
        for slot, component in zip(slots, chosen, strict=True):
            for name, leaf in component.settings.items():
                leaves[f"{slot}.{name}"] = leaf
            for name, leaf in component.factors.items():
                if name in owner:
                    self._set_twice(name, leaf, owner[name])
                leaves[name], owner[name] = leaf, leaf.place
        kinds = tuple((s, c.kind) for s, c in zip(slots, chosen, strict=True))
        return Branch(kinds, tuple(leaves.items()))

    def _components(self, place: str, slot: str, value: Any) -> list[_Component]:
        if not isinstance(value, list):
            return list(filter(None, [self._component(place, slot, value)]))
        if not value:
            self._wrong(place, "must not be an empty list", value, "Name at least one option.")
        self._refuse_repeated(place, value, [_written(entry) for entry in value])
        found = [self._component(f"{place}[{i}]", slot, entry) for i, entry in enumerate(value)]
        return list(filter(None, found))

    def _component(self, place: str, slot: str, value: Any) -> _Component | None:
        """One option of a component: a kind, or several that act together."""
        try:
            parts = self.families[slot].parts(value)
        except UserError as error:
            for mistake in error.inside(place).mistakes:
                self.warn(mistake)
            return None
        if parts is None:
            return self._kind(place, slot, value)
        if not parts:
            self._wrong(place, "must not be an empty list", value, "Name at least one kind.")
        listed = isinstance(value, list)
        places = [f"{place}[{i}]" if listed else place for i in range(len(parts))]
        found = [self._kind(at, slot, p) for at, p in zip(places, parts, strict=True)]
        known = [component for component in found if component is not None]
        return self._together(known) if known and len(known) == len(parts) else None

    def _together(self, parts: list[_Component]) -> _Component:
        if len(parts) == 1:
            return parts[0]
        parts = sorted(parts, key=lambda part: part.kind)
        whole = _Component(TOGETHER.join(part.kind for part in parts), {}, {})
        for part in parts:
            for name, leaf in part.settings.items():
                whole.settings[f"{part.kind}.{name}"] = leaf
            for name, leaf in part.factors.items():
                if name in whole.factors:
                    self._set_twice(name, leaf, whole.factors[name].place)
                whole.factors[name] = leaf
        return whole

    def _set_twice(self, name: str, leaf: Leaf, elsewhere: str) -> None:
        remedy = "Let one of the two components carry it."
        self._wrong(leaf.place, f"is also set by {elsewhere}", name, remedy)

    def _kind(self, place: str, slot: str, value: Any) -> _Component | None:
        family = self.families[slot]
        entry = {"kind": value} if value is None or isinstance(value, str) else value
        if not isinstance(entry, Mapping) or "kind" not in entry:
            self._wrong(
                place,
                f"must be the name of one {family.word}, or a mapping with `kind`",
                value,
                suggest("", family.kinds()),
            )
            return None
        try:
            cls = family.find(entry["kind"], place)
        except UserError as error:
            for mistake in error.mistakes:
                self.warn(mistake)
            return None
        own = {f.name for f in fields(cls)}
        component = _Component(str(entry["kind"]), {}, {})
        for key, inner in entry.items():
            if key == "kind":
                continue
            if key in own:
                self._add_leaf(component.settings, key, f"{place}.{key}", inner, cls)
            elif key in self.factors and key not in self.families:
                self._add_leaf(component.factors, key, f"{place}.{key}", inner, self.cls)
            elif key in self.foreign or not own:
                self._unknown(f"{place}.{key}", str(key), inner, f"`{entry['kind']}`")
            else:
                self._wrong(
                    f"{place}.{key}",
                    f"is not a setting of `{entry['kind']}`",
                    inner,
                    suggest(str(key), own),
                )
        return component

    def _add_leaf(
        self, into: dict[str, Leaf], name: str, place: str, value: Any, owner: type
    ) -> None:
        """Adds the factor `name` of the class `owner`, unless none of its options can be read."""
        if isinstance(value, list) and not value:
            self._wrong(place, "must not be an empty list", value, "Name at least one option.")
            return
        readings = self.readings if owner is self.cls else getattr(owner, "readings", {})
        reading = readings.get(name)
        parsed: list[Value | Range] = []
        given: list[Any] = []
        for index, option in enumerate(value if isinstance(value, list) else [value]):
            at = f"{place}[{index}]" if isinstance(value, list) else place
            with contextlib.suppress(_UnreadableError):
                parsed.append(self._option(at, option, reading))
                given.append(option)
        if parsed:
            remedy = "" if reading is None else _remedy(reading, given)
            takes_list = any(get_origin(each) is tuple for each in _parts_of(owner, name))
            self._refuse_repeated(place, given, parsed, name, takes_list, remedy)
            into[name] = Leaf(tuple(parsed), place)
            for note in overlaps.in_leaf(into[name]):
                self.note(note)

    def _refuse_repeated(
        self,
        place: str,
        given: Sequence[Any],
        parsed: Sequence[Any],
        name: str = "",
        takes_list: bool = False,
        also: str = "",
    ) -> None:
        """A value that is there twice makes no more trials: something else was meant.

        given: the choices as they are written. parsed: the same, as they are read. takes_list:
        whether one value of the setting `name` is a list. also: more to do about it.
        """
        seen: set[Any] = set()
        keys = [comparable(each) for each in parsed]
        twice = [i for i, key in enumerate(keys) if key in seen or seen.add(key)]  # type: ignore[func-returns-value]
        if not twice:
            return
        remedy = "A list is a choice, which names each value once."
        if takes_list:
            remedy += f" For one value that is a list, write {name}: {[list(given)]}."
        elif name:
            remedy += f" No list is one value of `{name}`." + (f" {also}" if also else "")
        rule = f"must not repeat a choice, which {given[twice[0]]!r} does"
        self.repeated(Mistake(place, rule, list(given), remedy))

    def _option(self, place: str, option: Any, reading: Reading | None) -> Value | Range:
        if reading is not None:
            try:
                option = reading(place, option)
            except UserError as error:
                for mistake in error.mistakes:
                    self.warn(mistake)
                raise _UnreadableError from None
        if option is None or isinstance(option, (str, int, float)):
            return option
        if isinstance(option, list) and option and all(map(_is_plain, option)):
            return tuple(option)  # a list among the options, such as source: [[1, 2], 3]
        scales = [key for key in option if key in SCALES] if isinstance(option, Mapping) else []
        if len(scales) != 1 or set(option) - {*SCALES, "steps"}:
            self._wrong(
                place,
                "must be a value, a list, or a range",
                option,
                "Write a range as {log: [0.001, 0.1]}, uniform or int, with `steps` for a grid.",
            )
            raise _UnreadableError
        return self._range(place, scales[0], option[scales[0]], option.get("steps"))

    def _range(self, place: str, scale: str, ends: Any, steps: Any) -> Range:
        def number(value: Any) -> bool:
            whole = isinstance(value, int) and not isinstance(value, bool)
            return whole or (scale != "int" and isinstance(value, float) and math.isfinite(value))

        what = "whole numbers" if scale == "int" else "numbers"
        if not isinstance(ends, list) or len(ends) != 2 or not all(map(number, ends)):
            self._wrong(
                place, f"must have two {what} as its ends", ends, f"Write {{{scale}: [low, high]}}."
            )
            raise _UnreadableError
        if not ends[0] < ends[1]:
            self._wrong(place, "must have `low < high`", ends, "Swap or change the ends.")
            raise _UnreadableError
        if scale == "log" and ends[0] <= 0:
            self._wrong(
                place,
                "must have `low > 0` on a log scale",
                ends,
                "Begin above 0; add 0 as a choice of its own: [0, {log: [0.001, 1]}].",
            )
            raise _UnreadableError
        return Range(ends[0], ends[1], scale, self._steps(f"{place}.steps", steps))

    def _steps(self, place: str, steps: Any) -> int | None:
        if steps is None:
            return None
        if isinstance(steps, float) and steps.is_integer():
            steps = int(steps)  # 1e3
        if isinstance(steps, bool) or not isinstance(steps, int) or steps < 2:
            self._wrong(place, "must be a whole number >= 2", steps, "Use at least 2 steps.")
            raise _UnreadableError
        if steps > MOST_STEPS:
            rule = f"must be at most {MOST_STEPS:,}"
            remedy = "Use fewer, or leave out `steps` and draw points: search: {kind: random, "
            self._wrong(place, rule, steps, f"{remedy}points: 1000}}.")
            raise _UnreadableError
        return steps


def _remedy(reading: Reading, given: list[Any]) -> str:
    """What to write where this list was meant as one value, by what reads the values."""
    try:
        reading("", given)
    except UserError as error:
        return error.mistakes[0].remedy
    return ""


def _is_plain(value: Any) -> bool:
    """Whether it is text or a number, as a setting that is a list may hold."""
    return isinstance(value, str) or is_number(value)


def _parts_of(owner: type, name: str) -> list[Any]:
    """The types that a field may have."""
    hint = hints_of(owner)[name]
    return [hint, *get_args(hint)]


def _written(entry: Any) -> Any:
    """A component as a mapping, also where it is only named."""
    return {"kind": entry} if isinstance(entry, str) else entry


class _UnreadableError(Exception):
    """An option was wrong and has been reported; the rest is still read."""


@dataclass(frozen=True)
class _Component:
    kind: str
    settings: dict[str, Leaf]
    factors: dict[str, Leaf]

    @property
    def leaves(self) -> list[Leaf]:
        return [*self.settings.values(), *self.factors.values()]
