"""Commands for people to copy: they work as they are printed."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path


def command(program: str, *arguments: object) -> str:
    """A shell line; a program beside our Python that is not on the PATH gets its whole path."""
    return shlex.join([_found(program), *map(str, arguments)])


def _found(program: str) -> str:
    beside = Path(sys.executable).parent / program
    if shutil.which(program) or not beside.exists():
        return program
    try:
        return os.path.relpath(beside) if beside.is_relative_to(Path.cwd()) else str(beside)
    except FileNotFoundError:  # the working directory was removed
        return str(beside)
