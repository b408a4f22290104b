"""Shared by the kinds that read tables: image files that rows name, hashes, rows in messages."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path, PurePath

from backdoor.errors import Mistake, UserError
from backdoor.reading.files import SHOWN, content_hash, listed
from backdoor.reading.layout import Split, is_unlabelled, split_of, words_of

#: Threads that hash files: reading waits for the disk, and hashing frees the interpreter.
THREADS = 8
#: Files that a thread hashes at a time.
AT_ONCE = 64

#: Characters of a cell that a message shows.
LONGEST_CELL = 60

#: The row that names a file (for messages), the text that it has, and the file that is meant.
Named = tuple[str, str, Path]


def content_hashes(files: Sequence[Path]) -> Iterator[bytes]:
    """SHA-256 of each file's content, in order; `UserError` names all that cannot be read."""
    mistakes: list[Mistake] = []

    size = max(1, min(AT_ONCE, len(files) // THREADS))
    some = [files[start : start + size] for start in range(0, len(files), size)]
    with ThreadPoolExecutor(THREADS) as threads:
        for found in chain.from_iterable(threads.map(_hashes, some)):
            if isinstance(found, UserError):
                mistakes += found.mistakes
            else:
                yield found
    if mistakes:
        raise UserError(mistakes)


def _hashes(files: Sequence[Path]) -> list[bytes | UserError]:
    found: list[bytes | UserError] = []
    for file in files:
        try:
            found.append(content_hash(file))
        except UserError as error:
            found.append(error)
    return found


def short(text: str) -> str:
    """The text, or how it begins: cells of tables may be whole images."""
    return text if len(text) <= LONGEST_CELL else text[: LONGEST_CELL - 3] + "..."


def together(mistakes: Iterable[Mistake]) -> list[Mistake]:
    """One mistake for each rule: the same one in several files lists those."""
    by: dict[tuple[str, str, str], list[str]] = {}
    for each in mistakes:
        by.setdefault((each.place, each.rule, each.remedy), []).append(str(each.value))
    return [
        Mistake(place, rule, "; ".join(values[:SHOWN]) + _others(values), remedy)
        for (place, rule, remedy), values in by.items()
    ]


def _others(values: Sequence[str]) -> str:
    return f" and {len(values) - SHOWN} more files" if len(values) > SHOWN else ""


def counted(what: str, names: Sequence[str]) -> str:
    """How many there are, and the first few names."""
    return f"{len(names)} {what}{'s' * (len(names) != 1)}: {listed(names)}"


def split_in(text: str) -> tuple[Split | None, str]:
    """The split that a name says, by its first word or else by all, and what stands before it."""
    words = words_of(text)
    if not words or is_unlabelled(text):
        return None, text
    if split := split_of(words[0]):
        return split, ""
    if (split := split_of(text)) is None:
        return None, text
    number = next((at for at, word in enumerate(words) if split_of(word) == split), 0)
    starts = (at for at in range(len(text)) if text[at:].lower().startswith(words[number]))
    start = next((at for at in starts if words_of(text[:at]) == words[:number]), 0)
    return split, text[:start].rstrip("-_. ")


def beside(folder: Path, text: str) -> Path:
    """The file that a row names: paths begin at the folder of the table, also those of Windows."""
    file = folder / text
    return folder / text.replace("\\", "/") if "\\" in text and not file.exists() else file


def wrong_files(named: Sequence[Named], table: str) -> list[Mistake]:
    """Mistakes in rows whose image files do not exist, or are folders; table: CSV or Parquet."""
    state = {file: _state(file) for _, _, file in named}
    absent = [(row, text) for row, text, file in named if state[file] == "absent"]
    folders = [f"{row}: {short(text)}" for row, text, file in named if state[file] == "folder"]
    mistakes = []
    if absent:
        remedy = f"Paths begin at the folder of the {table} file. Correct them, or add the files."
        if any("://" in text for _, text in absent):
            remedy = "These are addresses: fetch the images, and name the files."
        value = counted("row", [f"{row}: {short(text)}" for row, text in absent])
        mistakes.append(Mistake("root", "must name image files that exist", value, remedy))
    if folders:
        rule, remedy = "must name an image file in each row, no folder", "Name the files in it."
        mistakes.append(Mistake("root", rule, counted("row", folders), remedy))
    return mistakes


def _state(file: PurePath) -> str:
    try:
        return "file" if os.path.isfile(file) else "folder" if os.path.isdir(file) else "absent"
    except ValueError:  # a zero byte in the text
        return "absent"
