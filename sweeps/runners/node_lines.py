"""What a check of a node found, in lines that can be counted: the same cause gives the same line on
every node, without process ids, addresses in memory and names of temporary files.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from backdoor.errors import UserError
from backdoor.memory_errors import out_of_memory
from sweeps.runners.fault import error_line

#: Characters of a line.
LONGEST = 500


def lines_of(what: str, check: Callable[[], Iterable[str]]) -> list[str]:
    """The lines of a check. What it raises is one as well: `what: ValueError: ...`."""
    found = list[str]()
    try:
        found += check()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        found += [f"{what}: {cause}" for cause in _causes(error)]
    return [_comparable(line) for line in found]


def _causes(error: BaseException) -> list[str]:
    """An error in words; all mistakes of a `UserError`."""
    if isinstance(error, UserError):
        return [str(mistake) for mistake in error.mistakes]
    if isinstance(error, OSError) and error.strerror and type(error).__module__ == "builtins":
        return [error.strerror.lower() + (f": {error.filename}" if error.filename else "")]
    line = error_line(error).removesuffix(": ")
    # What follows are amounts, which differ from node to node.
    return [line.partition(". ")[0]] if out_of_memory(error) else [line]


#: What differs from process to process: addresses, process ids, names of temporary files.
_OWN = (
    (re.compile(r"\b0x[0-9a-f]{4,}\b", re.I), "0x..."),
    (re.compile(r"\b(pid|process|thread)([ =:]+)\d+", re.I), r"\1\2..."),
    (re.compile(r"\btmp[a-z0-9_]{8}\b"), "tmp..."),
)


def _comparable(line: str) -> str:
    """The line as every process would write it."""
    for pattern, put in _OWN:
        line = pattern.sub(put, line)
    return " ".join(line.split())[:LONGEST]
