"""How large a YAML document may be, each alias counted with all that it stands for.

Nine lines of nested aliases stand for a billion values: what reads them later, such as a message
that shows a value, would have no end. The composer counts as it goes, so that such a document is
refused before it is built.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

import yaml

from backdoor.errors import Mistake, UserError
from backdoor.settings.limits import DEEPEST, MOST_VALUES

#: Characters of a document, and bytes of a file; ten thousand seeds have 70,000.
LONGEST = 1_000_000
#: Characters of text that count as much as one value.
PER_VALUE = 64
#: Digits of a whole number; no setting takes more than 16.
MOST_DIGITS = 300


class TooLargeError(Exception):
    """A document is too large, at a line counted from 1."""

    def __init__(self, line: int, mistake: Mistake) -> None:
        super().__init__(str(mistake))
        self.line, self.mistake = line, mistake


class ValueCount:
    """Counts the values and levels of the nodes that a composer has made."""

    def __init__(self) -> None:
        self._sizes: dict[int, tuple[int, int]] = {}  # of each node: values, levels

    def add(self, node: yaml.Node) -> None:
        """Counts a node whose children are counted already.

        Raises:
            TooLargeError: it stands for too many values, or for too many levels of them.
        """
        own, inner = 1, list[yaml.Node]()
        if isinstance(node, yaml.ScalarNode):
            own += len(node.value) // PER_VALUE
        elif isinstance(node, yaml.MappingNode):
            inner = [each for pair in node.value for each in pair]
        else:
            inner = node.value
        sizes = [self._sizes[id(each)] for each in inner]
        values = own + sum(count for count, _ in sizes)
        levels = 1 + max((levels for _, levels in sizes), default=-1)
        self._sizes[id(node)] = values, levels
        values = max(values, len(self._sizes))  # what is written counts before its end is read
        if values > MOST_VALUES:
            raise TooLargeError(node.start_mark.line + 1, too_many(values))
        self.check_depth(levels, node.start_mark)

    def check_depth(self, levels: int, mark: yaml.Mark) -> None:
        """Raises `TooLargeError` where so many levels are too many."""
        if levels > DEEPEST:
            raise TooLargeError(mark.line + 1, too_deep())


def too_many(count: int) -> Mistake:
    """The mistake of a document that stands for more values than anything reads."""
    rule = f"must hold at most {MOST_VALUES:,} values, an alias (*name) counted with all its own"
    remedy = "Use fewer aliases, or a range with `steps` in place of a long list."
    return Mistake("", rule, count, remedy)


def too_deep() -> Mistake:
    """The mistake of a document with too many levels."""
    rule = f"must have at most {DEEPEST} levels of lists and mappings"
    return Mistake("", rule, f"more than {DEEPEST}", "No setting has more than ten.")


def check_length(text: str, place: str) -> None:
    """Raises `UserError` where a document is too long to be read."""
    if len(text) > LONGEST:
        rule = f"must have at most {LONGEST:,} characters"
        remedy = "A range with `steps`, or `seeds: 100`, stands for a long list."
        raise UserError(Mistake(place, rule, len(text), remedy))


def is_there(name: str) -> bool:
    """Whether there is a file or folder of this name; text that can be no name is none."""
    try:
        return Path(name).exists()
    except (OSError, ValueError):
        return False


def read_yaml_file(path: Path, place: str) -> str:
    """The text of a YAML file.

    Raises:
        UserError: at `place`; it is no regular file, cannot be read, is too large, or is no UTF-8.
    """
    try:
        with open(path, "rb", opener=_without_waiting) as stream:
            if not stat.S_ISREG(_mode(stream.fileno())):
                rule, remedy = "must be a regular file", "Name a file with YAML text."
                raise UserError(Mistake(place, rule, str(path), remedy))
            content = stream.read(4 * LONGEST + 1)
        text = content.decode("utf-8-sig") if len(content) <= 4 * LONGEST else None
    except IsADirectoryError:
        rule, remedy = "must be a file", "It is a folder: name a file with YAML text."
        raise UserError(Mistake(place, rule, str(path), remedy)) from None
    except (OSError, UnicodeDecodeError) as error:
        rule, remedy = "must be readable UTF-8 text", "Check the file."
        raise UserError(Mistake(place, rule, str(error), remedy)) from None
    if text is None:
        rule, remedy = f"must have at most {LONGEST:,} characters", "Name a file with YAML text."
        raise UserError(Mistake(place, rule, f"{path.stat().st_size:,} bytes", remedy))
    check_length(text, place)
    return text


def _without_waiting(path: str, flags: int) -> int:
    """Opens a pipe without waiting for somebody who writes into it."""
    return os.open(path, flags | os.O_NONBLOCK)


def _mode(descriptor: int) -> int:
    return os.fstat(descriptor).st_mode
