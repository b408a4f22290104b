"""Tables of text, cut to the width of a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

#: Columns that a shortened column keeps at least, and what lies between two columns.
LEAST, BETWEEN = 16, "  "
#: What stands for what is left out, and the letters that a shortened name keeps at least.
DOTS, NAME = "\N{HORIZONTAL ELLIPSIS}", 3


def table(head: Sequence[str], rows: Iterable[Sequence[str]], width: int | None = None) -> str:
    """Columns of equal width, the first line their names.

    width: how many characters a line may have; None leaves all whole. Wide columns are shortened
    first, then the last ones are left out; a line below the table says so.
    """
    lines = [list(head), *map(list, rows)]
    widths = natural_widths(lines)
    kept = len(widths) if width is None else _fitting(widths, width)
    told = []
    if width is not None and kept < len(head):
        more = ", ".join(head[kept:])
        told = [f"(left out, as the terminal is narrow: {more}; --json has all)"]
    shown = widths[:kept] if width is None else _shortened(widths[:kept], width)
    return "\n".join([*(_line(line[:kept], shown) for line in lines), *told])


def natural_widths(lines: Sequence[Sequence[str]]) -> list[int]:
    """The width of each column that leaves all whole."""
    return [max(map(len, column)) for column in zip(*lines, strict=True)]


def total(widths: Sequence[int]) -> int:
    """How long a line is."""
    return sum(widths) + len(BETWEEN) * (len(widths) - 1)


def fits(lines: Sequence[Sequence[str]], width: int) -> bool:
    """Whether all columns fit a line of this width, wide ones shortened."""
    return total([min(each, LEAST) for each in natural_widths(lines)]) <= width


def _fitting(widths: Sequence[int], width: int) -> int:
    """How many columns fit, each as narrow as it may become; at least one."""
    least = [min(each, LEAST) for each in widths]
    return next((n for n in range(len(widths), 1, -1) if total(least[:n]) <= width), 1)


def _shortened(widths: Sequence[int], width: int) -> list[int]:
    """The widths with the widest ones lowered until a line fits, or none may be lowered further."""
    shown = list(widths)
    while total(shown) > width and (widest := max(shown)) > LEAST:
        shown[shown.index(widest)] -= 1
    return shown


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    pairs = zip(cells, widths, strict=True)
    return BETWEEN.join(_cut(cell, width).ljust(width) for cell, width in pairs).rstrip()


def _cut(text: str, width: int) -> str:
    """The text, with words shortened to their beginnings where it is too long, as names matter
    less than values; then without its middle, as names differ at their ends."""
    words = text.split(" ")
    while len(" ".join(words)) > width:
        longest = max(range(len(words)), key=lambda i: _spare(words[i]))
        if _spare(words[longest]) <= 0:
            break
        words[longest] = words[longest].rstrip(DOTS)[:-1].rstrip("_") + DOTS
    shorter = " ".join(words)
    if len(shorter) <= width:
        return shorter
    front = (width - 1) // 2
    return f"{shorter[:front]}{DOTS}{shorter[front + 1 - width :]}"


def _spare(word: str) -> int:
    """How many letters a name may still lose; numbers and what is in brackets keep all."""
    plain = word.rstrip(DOTS)
    return len(plain) - NAME if plain.replace("_", "").isalpha() else 0
