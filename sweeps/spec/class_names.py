"""Names of classes in a spec as class numbers, and where the names come from.

A sweep that has begun keeps its numbers: they come from sweep.json, also where the data are not at
hand. For a new one they come from the data. A spec that is sent to where the data are is checked
without: there any name may be right.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from backdoor.datasets import Dataset
from backdoor.datasets.class_names import CLASS_FACTORS, ClassNames, has_names, numbered, quoted
from backdoor.datasets.source import Source
from backdoor.errors import Mistake, UserError
from backdoor.reading.printed_names import class_name
from backdoor.settings.registry import Reading
from sweeps.panels import named_panel
from sweeps.space.yaml_loader import load_yaml

#: Stands for the first class whose number is not known here: more than any class number.
UNKNOWN = 10**9
#: What a number begins with.
NUMERIC = tuple("+-.0123456789")


@dataclass(frozen=True)
class RecordedClasses:
    """What a sweep that has begun reads its spec by, as sweep.json has it.

    names: of its classes, by class number. selected: the numbers of the same classes in the whole
    data set, where `data.classes` names them; None where it gives numbers, or is not given. former:
    whether a release began it that lacked settings of triggers (`Trigger.former`).
    """

    names: tuple[str, ...]
    selected: tuple[int, ...] | None = None
    former: bool = False

    @classmethod
    def of(cls, sweep: Mapping[str, Any]) -> RecordedClasses:
        """From what sweep.json says."""
        selected = sweep.get("class_numbers")
        names, numbers = tuple(sweep["class_names"]), None if selected is None else tuple(selected)
        return cls(names, numbers, "defaults" not in sweep)


@dataclass(frozen=True)
class NameSources:
    """Where names of classes may be looked up: in the data, or in a sweep that has begun.

    later: whether names that cannot be looked up are fine, as they are looked up elsewhere.
    """

    against_data: bool
    begun: RecordedClasses | None = None
    later: bool = False

    def data(self, data: Dataset) -> Dataset:
        """The data set with `classes` as numbers, as far as they can be known here.

        Raises:
            UserError: a name is not known, or the data cannot be read.
        """
        if self.against_data and self.begun is None:
            return numbered(data)
        if self.later or not has_names(data.classes):
            return data
        if self.begun is not None:
            return replace(data, classes=self._selected(data))
        raise UserError(_not_known("classes", list(data.classes or ())))

    def _selected(self, data: Dataset) -> tuple[int, ...]:
        recorded = self.begun.selected if self.begun is not None else None
        if recorded is None or len(recorded) != len(data.classes or ()):
            rule = "must be the classes that the sweep began with"
            remedy = "Restore spec.yaml, or begin a new sweep."
            raise UserError(Mistake("classes", rule, list(data.classes or ()), remedy))
        return recorded

    def attack(self, section: Any, source: Source | None) -> Mapping[str, Reading]:
        """What reads each factor of an `attack` section that is a class. source: the data's, None
        where it is not known. A panel's own numbers are no labels, so that they stay as they are.
        """
        use = named_panel(section)
        written = CLASS_FACTORS if use is None else use.changed
        reading = self._reading(source)
        return {name: reading for name in CLASS_FACTORS if name in written}

    def known(self, source: Source | None) -> tuple[str, ...]:
        """Names by class number; none where they are not known here."""
        if self.begun is not None:
            return self.begun.names
        return () if source is None else source.class_names

    def _reading(self, source: Source | None) -> Reading:
        if self.begun is not None:
            return ClassNames(self.begun.names).read
        if source is not None:
            return ClassNames.of(source).read
        # What is wrong with data that cannot be read is said once.
        return _any_number() if self.later or self.against_data else _numbers_only


def with_names(mistake: Mistake, attack: Mapping[str, Any], names: Sequence[str]) -> Mistake:
    """A mistake of an attack whose source has the target class, with names where they are known."""
    target, given = attack.get("target", 0), mistake.value
    numbers = [target, *given] if isinstance(given, list) else []
    if mistake.place != "source" or not mistake.rule.startswith("must be classes"):
        return mistake
    if not numbers or not all(isinstance(n, int) and 0 <= n < len(names) for n in numbers):
        return mistake
    if all(names[number] == str(number) for number in numbers):
        return mistake
    rule = f"must be classes without the target class {target} ({class_name(names[target])})"
    classes = [names[number] for number in numbers[1:]]
    return replace(mistake, rule=rule, value=classes)


def number_notes(section: Any, names: Sequence[str]) -> Iterator[str]:
    """What to know of numbers of classes where another class has the number as its name.

    section: `attack`. names: by class number, of labels that were not renumbered.
    """
    if not isinstance(section, Mapping):
        return
    named = {_read(name): (number, name) for number, name in reversed(list(enumerate(names)))}
    for key in CLASS_FACTORS:
        for given in dict.fromkeys(_numbers(section.get(key))):
            number, name = named.get(given, (given, ""))
            if number == given or not 0 <= given < len(names) or _read(names[given]) == given:
                continue
            yield (
                f"attack.{key}: {given} is the class number {given}, {quoted(names[given])}; the "
                f"class {quoted(name)} has number {number}: write {key}: {quoted(name)} for it"
            )


def _numbers(given: Any) -> Iterator[int]:
    for each in given if isinstance(given, list) else [given]:
        if isinstance(each, list):
            yield from _numbers(each)
        elif isinstance(each, (int, float)) and not isinstance(each, bool) and each == int(each):
            yield int(each)


def _read(name: str) -> float | None:
    """The number that YAML reads in a name, if it is one."""
    try:
        value = load_yaml(name, lambda _: None) if name[:1] in NUMERIC else None
    except UserError:
        return None
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _any_number() -> Reading:
    """Gives each name some number of its own."""
    numbers: dict[str, int] = {}

    def number(given: Any) -> Any:
        named = isinstance(given, str)
        return numbers.setdefault(given, UNKNOWN + len(numbers)) if named else given

    def read(place: str, given: Any) -> Any:
        return [number(each) for each in given] if isinstance(given, list) else number(given)

    return read


def _numbers_only(place: str, given: Any) -> Any:
    if has_names(given if isinstance(given, list) else [given]):
        raise UserError(_not_known(place, given))
    return given


def _not_known(place: str, given: Any) -> Mistake:
    rule = "must be given by class number where the data are not read, which have the names"
    return Mistake(place, rule, given, "Write numbers, or read the spec where the data are.")
