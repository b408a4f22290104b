"""Names of classes, and the numbers that they stand for.

In `target`, `source` and `classes` text is the name of a class and a whole number is its number.
Where the numeric labels of a source were renumbered, a whole number could be a label or a class
number: it is refused, with both readings.
"""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from backdoor.datasets.base import Dataset
from backdoor.datasets.source import Source, load_source
from backdoor.errors import Mistake, UserError
from backdoor.reading.labels import classes_of
from backdoor.settings.schema import is_number

#: How many names a remedy lists, where there are more.
SHOWN = 20
#: Characters that a shell reads within double quotes.
UNSAFE = frozenset('"$`\\!')
#: Factors of an attack that are classes.
CLASS_FACTORS = ("target", "source")


@dataclass(frozen=True)
class ClassNames:
    """The classes of a source, by number.

    names: of the classes. labels: for each the whole number that the source writes for it, where
    those are not the class numbers; None where they are, or where classes are written as text.
    """

    names: tuple[str, ...]
    labels: tuple[int, ...] | None = None

    @classmethod
    def of(cls, source: Source) -> ClassNames:
        """The classes of a loaded source."""
        return cls(source.class_names, source.label_numbers if source.renumbered else None)

    def read(self, place: str, given: Any) -> Any:
        """`given` with class numbers in place of names, in a list too; other values as they are.

        Raises:
            UserError: at `place`, with all unknown names, and all numbers that could be labels.
        """
        if not isinstance(given, (list, tuple)):
            return self._one(place, given)
        found, mistakes = list[Any](), list[Mistake]()
        for index, each in enumerate(given):
            try:
                found.append(self._one(f"{place}[{index}]", each))
            except UserError as error:
                mistakes += error.mistakes
        if mistakes:
            raise UserError(mistakes)
        return found

    def read_attack(self, given: Mapping[str, Any], place: str = "") -> dict[str, Any]:
        """A mapping of an attack's settings with class numbers in place of names.

        Raises:
            UserError: with all mistakes, inside `place`.
        """
        plain, mistakes = dict(given), list[Mistake]()
        for key in CLASS_FACTORS:
            try:
                plain[key] = self.read(f"{place}.{key}" if place else key, given[key])
            except KeyError:
                continue
            except UserError as error:
                mistakes += error.mistakes
        if mistakes:
            raise UserError(mistakes)
        return plain

    def _one(self, place: str, given: Any) -> Any:
        if isinstance(given, str):
            return self._number(place, given)
        if isinstance(given, bool) or (isinstance(given, float) and not given.is_integer()):
            remedy = f"If a class has this name, put it in quotes: '{str(given).lower()}'."
            remedy += _in_shell(place, str(given).lower())
            raise UserError(Mistake(place, "must be the number or name of a class", given, remedy))
        if self.labels is not None and is_number(given):
            raise UserError(self._ambiguous(place, given, self.labels))
        if self.labels is not None and isinstance(given, Mapping):
            rule = "must be names of classes, since numeric labels were renumbered"
            raise UserError(Mistake(place, rule, given, f"List them. {self.known()}"))
        return given

    def _number(self, place: str, name: str) -> int:
        found = [number for number, each in enumerate(self.names) if each == name]
        if len(found) == 1:
            return found[0]
        if not found:
            raise UserError(Mistake(place, "must be the name of a class", name, self.known(name)))
        rule = f"must be the name of a single class, but {len(found)} classes have it"
        remedy = f"Write the class number: {' or '.join(map(str, found))}."
        raise UserError(Mistake(place, rule, name, remedy))

    def known(self, name: str = "") -> str:
        """A remedy for an unknown name: the nearest one, if any, and the names that there are."""
        small = name.casefold()
        near = [each for each in self.names if name and each.casefold().startswith(small)]
        near = near or difflib.get_close_matches(name, self.names, n=1, cutoff=0.6)
        said = f"Did you mean {near[0]!r}? " if near else ""
        if name.isdecimal() and self.labels is None and int(name) < len(self.names):
            said += f"A class number has no quotes: {int(name)}. "
        more = f", ... ({len(self.names)} in all)" if len(self.names) > SHOWN else ""
        return f"{said}Known: {', '.join(self.names[:SHOWN])}{more}."

    def _ambiguous(self, place: str, given: float, labels: Sequence[int]) -> Mistake:
        """An explicit number where labels were renumbered, with all that it could mean."""
        rule = "must name a class, since numeric labels were renumbered"
        readings: list[tuple[str, str]] = []
        if given in labels:
            number = labels.index(int(given))
            readings.append((self.names[number], f"the label {given}, which is number {number}"))
        if 0 <= given < len(self.names) and float(given).is_integer():
            readings.append((self.names[int(given)], f"the class number {given}"))
        if not readings:
            what = f"No label and no class number is {given}."
            return Mistake(place, rule, given, f"{what} {self.known()}")
        said = " or ".join(f"class {quoted(name)} ({how})" for name, how in readings)
        said = f"It {'could mean' if len(readings) > 1 else 'only means'} {said}"
        key = place.rpartition(".")[2].partition("[")[0]
        names = dict.fromkeys(name for name, _ in readings)
        listed = "[{}]" if key == "classes" else "{}"
        written = " or ".join(f"{key}: {listed.format(quoted(name))}" for name in names)
        return Mistake(place, rule, given, f"{said}: write {written}.")


def quoted(name: str) -> str:
    """A name as YAML text, in quotes, so that it is never read as a number."""
    return "'" + name.replace("'", "''") + "'"


def set_option(key: str, name: str) -> str:
    """`--set "attack.target='1'"`: sets the name of a class, as a shell takes it."""
    text = f"{key}={quoted(name)}"
    return f"--set {shlex.quote(text) if set(text) & UNSAFE else f'{chr(34)}{text}{chr(34)}'}"


def _in_shell(place: str, name: str) -> str:
    """More of a remedy, where `--set` leads to the place."""
    if place not in ("attack.target", "attack.source"):
        return ""
    return f" On the command line: {set_option(place, name)}."


def numbered(dataset: Dataset) -> Dataset:
    """The data set with `classes` as class numbers; reads its labels where `classes` is given.

    Raises:
        UserError: as `ClassNames.read`, or where the data cannot be read.
    """
    if dataset.classes is None:
        return dataset
    quick = dataset.quick_open or not dataset.cached
    entry = None if quick else load_source(dataset).entry
    found = classes_of(dataset.open() if entry is None else entry.contents())
    whole = ClassNames(found.names, found.numbers or None)
    return replace(dataset, classes=tuple(whole.read("classes", dataset.classes)))


def has_names(given: Iterable[object] | None) -> bool:
    """Whether some of these classes are given by name."""
    return any(isinstance(each, str) for each in given or ())
