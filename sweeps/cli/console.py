"""Exit codes, what is said on stderr, and texts that fit a terminal."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import sys
import textwrap
from typing import TextIO

from backdoor.errors import escaped

#: Exit codes: fine; failed trials or checks; wrong spec or usage; interrupted.
FINE, FAILURES, WRONG, INTERRUPTED = 0, 1, 2, 130


def say(text: str) -> None:
    """Progress and remarks, on stderr."""
    print(text, file=sys.stderr, flush=True)


def terminal_width(stream: TextIO | None = None) -> int | None:
    """Columns of the terminal that stdout (or another stream) is; None where it is a file or a
    pipe, whose lines are never cut."""
    stream = sys.stdout if stream is None else stream
    try:
        shown = stream is not None and stream.isatty()
    except ValueError:  # it is closed
        shown = False
    return max(20, shutil.get_terminal_size().columns) if shown else None


def show(text: str) -> None:
    """The answer of a command, on stdout; on a terminal, lines end between words."""
    width = terminal_width()
    lines = text.split("\n")
    print("\n".join(lines if width is None else (wrapped(line, width) for line in lines)))


def show_path(path: object) -> None:
    """The path of what was written, on stdout; a terminal gets no character that it would obey."""
    print(path if terminal_width() is None else escaped(str(path)))


def wrapped(line: str, width: int | None, indent: int | None = None) -> str:
    """The line in several of `width` columns at most; those after the first begin `indent` columns
    in, by default two more than the line itself. None leaves it whole. Words are never cut."""
    if width is None or len(line) <= width:
        return line
    own = len(line) - len(line.lstrip())
    behind = " " * (own + 2 if indent is None else indent)
    return "\n".join(
        textwrap.wrap(
            line,
            width,
            subsequent_indent=behind,
            break_long_words=False,
            break_on_hyphens=False,
        )
    )


def print_anything() -> None:
    """Lets stdout and stderr print characters that their encoding lacks, as `\\xe4`."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")


def drop_output() -> None:
    """Sends what is still to be printed nowhere, as the reader of stdout or stderr has ended."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            place = stream.fileno()
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, place)
            os.close(nowhere)
