"""Rows of a CSV file: which columns have the paths and the labels, and what is wrong in which line.

Spaces around names of columns and around values do not count, nor do lines without any value.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from backdoor.errors import Mistake
from backdoor.reading.files import listed
from backdoor.reading.tables.csv_text import Lines, WrongTextError, read_text
from backdoor.reading.tables.named_files import counted, short
from backdoor.settings.user_file import EXTENSIONS

#: Columns that are taken if none is named; there must be only one of them.
IMAGE_NAMES = (
    *("path", "file", "filename", "file_name", "filepath", "file_path"),
    *("image", "image_path", "img"),
)
LABEL_NAMES = ("label", "class", "target", "category")
SPLIT_NAME = "split"
#: A line for one program, which says the delimiter.
SEPARATOR_LINE = re.compile(r"sep=.[ \t,;]*\r?\n", re.I)
#: Columns that a message names.
COLUMNS_SHOWN = 20
#: Delimiters by the names that a shell leaves as they are.
DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|"}


@dataclass(frozen=True)
class Columns:
    """Settings: the columns of paths and labels, None for a usual one; the delimiter, one
    character or a name in `DELIMITERS`."""

    image: str | None = None
    label: str | None = None
    delimiter: str = ","

    def delimiter_of(self, file: Path) -> str:
        """The character between cells; by default a comma, in `.tsv` files a tab."""
        if self.delimiter == "," and file.suffix.lower() == ".tsv":
            return "\t"
        return DELIMITERS.get(self.delimiter, self.delimiter)


@dataclass(frozen=True)
class Row:
    """A line of a CSV file. at: its place in messages. split: "" if there is no such column."""

    at: str
    path: str
    label: str
    split: str


@dataclass(frozen=True)
class Sheet:
    """What is in a file. image, label: names of the columns that were taken. split: whether there
    is a column `split`. unread: names of the other columns."""

    rows: list[Row]
    mistakes: list[Mistake]
    image: str = ""
    label: str = ""
    split: bool = False
    unread: tuple[str, ...] = ()


def read_sheet(file: Path, columns: Columns, alone: bool = False) -> Sheet:
    """All rows of a file, and all mistakes in it. alone: whether `root` is this file."""
    try:
        text = read_text(file)
    except WrongTextError as error:
        return Sheet([], [error.mistake])
    lines = Lines(file.name, text, columns.delimiter_of(file))
    names = [name.strip() for name in next(iter(lines), (0, []))[1]]
    if lines.mistakes or (mistakes := _wrong_names(file, names, columns, text, alone)):
        return Sheet([], lines.mistakes or mistakes)
    known = [name.casefold() for name in names]
    places = [known.index(name) for name in _chosen(names, columns)]
    split = known.index(SPLIT_NAME) if SPLIT_NAME in known else None
    used = {*places, *([] if split is None else [split])}
    unread = tuple(name for at, name in enumerate(names) if at not in used and name)
    rows, mistakes = _rows(file.name, lines, len(names), (*places, split))
    return Sheet(rows, mistakes, names[places[0]], names[places[1]], split is not None, unread)


def _usual(names: Sequence[str], given: str | None, usual: Sequence[str]) -> list[str]:
    """The columns that may be meant, in small letters."""
    known = [name.casefold() for name in names]
    return [name for name in ((given.strip().casefold(),) if given else usual) if name in known]


def _chosen(names: Sequence[str], columns: Columns) -> list[str]:
    image = _usual(names, columns.image, IMAGE_NAMES)
    return [*image[:1], *_usual(names, columns.label, LABEL_NAMES)[:1]]


def _wrong_names(
    file: Path, names: list[str], columns: Columns, text: str, alone: bool
) -> list[Mistake]:
    """What is wrong with the first row."""
    if not names:
        return [Mistake("root", "must hold rows", f"{file.name}: none", "Add rows, or remove it.")]
    if SEPARATOR_LINE.match(text):
        rule, remedy = "must have the names of columns in the first line", "Remove this line."
        return [Mistake("root", rule, f"{file.name}: {text.splitlines()[0]}", remedy)]
    counts = Counter(name.casefold() for name in names if name)
    if twice := [name for name, count in counts.items() if count > 1]:
        rule, remedy = "must have columns of different names", "Rename or remove one of them."
        return [Mistake("root", rule, f"{file.name}: {listed(twice)} twice", remedy)]
    asked = (
        ("image_column", columns.image, IMAGE_NAMES),
        ("label_column", columns.label, LABEL_NAMES),
    )
    found = {setting: _usual(names, given, usual) for setting, given, usual in asked}
    absent = [(s, given, usual) for s, given, usual in asked if not found[s]]
    if absent and (other := _other_delimiter(file, names, columns, text)):
        rule = "must have cells with the delimiter that `delimiter` says"
        value, remedy = f"{file.name}: {text.splitlines()[0][:60]}", f"--set data.delimiter={other}"
        return [Mistake("root", rule, value, f"Say which it is: {remedy}.")]
    mistakes = [_absent(file, names, alone, *each) for each in absent]
    for setting, several in found.items():
        if len(several) > 1:
            rule = f"must have one usual column, or `{setting}` must name one"
            remedy = f"Name it: --set data.{setting}={several[0]}."
            mistakes.append(Mistake("root", rule, f"{file.name}: {listed(several)}", remedy))
    return mistakes


def _absent(
    file: Path,
    names: list[str],
    alone: bool,
    setting: str,
    given: str | None,
    usual: Sequence[str],
) -> Mistake:
    rule = f"must have a column {given or ' or '.join(usual)}"
    near = _nearest(names, (given,) if given else usual)
    remedy = f"Name it: --set data.{setting}={near[0] if len(near) == 1 else 'NAME'}."
    if len(near) > 1:
        remedy += f" Most like it: {listed(near)}."
    if not alone:
        remedy += " One file alone: --set data.root=FILE.csv."
    if any(name.lower().endswith(EXTENSIONS) for name in names):
        remedy = "The first line must name the columns, such as `path,label`."
    value = listed([short(name) for name in names], COLUMNS_SHOWN)
    return Mistake("root", rule, f"{file.name}: {value}", remedy)


def _nearest(names: Sequence[str], asked: Sequence[str]) -> list[str]:
    """Columns that are called nearly so, without regard to case."""
    known = {name.casefold(): name for name in names}
    near = [found for name in asked for found in get_close_matches(name.casefold(), known)]
    return [known[name] for name in dict.fromkeys(near)]


def _other_delimiter(file: Path, names: list[str], columns: Columns, text: str) -> str | None:
    """The name of a delimiter by which the first row has both columns, or more than one cell."""
    now = columns.delimiter_of(file)
    more = []
    for word, delimiter in DELIMITERS.items():
        cells = next(iter(Lines("", text, delimiter)), (0, []))[1] if delimiter != now else []
        if len(_chosen([cell.strip() for cell in cells], columns)) == 2:
            return word
        more += [(len(cells), word)] if len(names) == 1 and len(cells) > 1 else []
    return max(more)[1] if more else None


def _rows(
    name: str, lines: Lines, width: int, places: tuple[int | None, ...]
) -> tuple[list[Row], list[Mistake]]:
    rows: list[Row] = []
    ragged: list[str] = []
    empty: list[str] = []
    for line, cells in lines:
        if len(cells) != width:
            ragged.append(f"line {line} has {len(cells)}")
            continue
        path, label, split = ("" if at is None else cells[at].strip() for at in places)
        if not path or not label or (places[2] is not None and not split):
            empty.append(f"line {line}")
        rows.append(Row(f"{name}, line {line}", path, label, split))
    mistakes = list(lines.mistakes)
    if ragged:
        rule = f"must have {width} cells in each line, as many as the first line"
        remedy = "Quote cells in which there is a delimiter; fill or remove the others."
        mistakes.append(Mistake("root", rule, f"{name}: {counted('line', ragged)}", remedy))
    if empty:
        rule, remedy = "must have a path and a label in each line", "Fill or remove these lines."
        mistakes.append(Mistake("root", rule, f"{name}: empty in {counted('line', empty)}", remedy))
    if not rows and not mistakes:
        mistakes.append(
            Mistake("root", "must hold rows", f"{name}: none", "Add rows, or remove it.")
        )
    return rows, mistakes
