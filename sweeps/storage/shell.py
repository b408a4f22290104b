"""Commands for people to copy: they work as they are printed."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path


def command(program: str, *arguments: object) -> str:
    """A shell line; a program beside our Python that is not on the PATH gets its whole path."""
    return line_of([_found(program), *map(str, arguments)])


def line_of(words: Sequence[str]) -> str:
    """Words as one line of a shell; control characters as `$'\\n'`, which bash and zsh read."""
    return " ".join(shlex.quote(word) if word.isprintable() else _spelt(word) for word in words)


def _spelt(word: str) -> str:
    shown = ""
    for character in word:
        if character.isprintable():
            shown += f"\\{character}" if character in "\\'" else character
        elif 0xDC80 <= ord(character) <= 0xDCFF:  # a byte of a file's name that is no text
            shown += f"\\x{ord(character) - 0xDC00:02x}"
        else:
            shown += character.encode("unicode_escape").decode("ascii")
    return f"$'{shown}'"


def _found(program: str) -> str:
    beside = Path(sys.executable).parent / program
    if shutil.which(program) or not beside.exists():
        return program
    try:
        return os.path.relpath(beside) if beside.is_relative_to(Path.cwd()) else str(beside)
    except FileNotFoundError:  # the working directory was removed
        return str(beside)
