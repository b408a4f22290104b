"""Words for what was read: names of classes as they can be printed, and lists of them in short."""

from __future__ import annotations

from collections.abc import Sequence

from backdoor.errors import escaped

#: Characters of a name, of a list of names, and of any other text, that are shown.
NAME, NAMES, TEXT = 40, 60, 120
#: Entries of a list of texts that are shown.
ENTRIES = 6


def printable(text: str, limit: int = TEXT) -> str:
    """The text on one line, without what a terminal would obey, and not longer than `limit`."""
    clean = escaped(text)
    return clean if len(clean) <= limit else clean[: limit - 3] + "..."


def class_name(name: str) -> str:
    """The name of a class within a sentence: in quotes where it could be read as more than one."""
    shown = printable(name, NAME)
    return (
        f"'{shown}'" if not shown.strip() or set(shown) & set(",;()'\"") or " " in shown else shown
    )


def class_names(names: Sequence[str]) -> str:
    """`cat, dog, owl`, or of a long list `0, 1, 2, ..., 99`."""
    first: list[str] = []
    for name in names:
        if sum(map(len, first)) + 2 * len(first) + len(class_name(name)) > NAMES and first:
            break
        first.append(class_name(name))
    if len(first) == len(names):
        return ", ".join(first)
    between = ["..."] if len(names) > len(first[:3]) + 1 else []
    return ", ".join([*first[:3], *between, class_name(names[-1])])


def listed(texts: Sequence[str], all_of_them: bool = False) -> str:
    """`a; b; c`, or of a long list the first ones and how many more there are."""
    most = len(texts) if all_of_them else ENTRIES
    shown = [printable(text) for text in texts[:most]]
    more = [f"and {len(texts) - most:,} more"] if len(texts) > most else []
    return "; ".join([*shown, *more])
