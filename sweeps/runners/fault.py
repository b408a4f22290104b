"""An exception as a `Failure`: one line, the place in the user's code, and the whole traceback.

It loads no torch: it also describes what is raised where torch cannot be imported. It raises
nothing itself, whatever the error of a user does when it is shown.
"""

from __future__ import annotations

import functools
import socket
import sys
import sysconfig
import traceback
from pathlib import Path
from types import FrameType

from backdoor.errors import shortened
from backdoor.memory_errors import LONGEST_CHAIN, cause_of, chained, out_of_memory
from backdoor.settings.outside import OURS
from backdoor.settings.source_files import is_installed
from backdoor.settings.users_errors import PACKAGES, without_copy
from sweeps.addresses import scrubbed
from sweeps.records.failure import MEMORY, OPEN, Failure

#: Characters kept of an error, and of a traceback, of which the middle is left out.
LONGEST_ERROR, LONGEST_TRACEBACK = 2000, 20_000
#: What is no file: code that was made while the program ran, and Python's own.
_NO_FILE = ("<string>", "<frozen ", "<stdin>", "<__array_function__")


def failure_of(error: BaseException) -> Failure:
    """What is known of a failure by the exception that it ended with, which must still have its
    traceback. cause: `memory` where memory was too small, else `open`. Without passwords."""
    return Failure(
        error=error_line(error),
        cause=MEMORY if out_of_memory(error) else OPEN,
        place=place_of(error),
        traceback=_whole(error),
        host=socket.gethostname(),
    )


def error_line(error: BaseException) -> str:
    """An exception as the one line that the ledger keeps, without passwords."""
    try:
        text = " ".join(str(error).split())
    except BaseException as second:  # of a user's own class
        text = f"its text cannot be shown ({type(second).__name__})"
    return shortened(_storable(f"{type(error).__name__}: {text}"), LONGEST_ERROR)


def place_of(error: BaseException) -> str | None:
    """`file:line` of the innermost call in code of the user; else of the innermost in ours; else of
    the innermost. Of a file that Python cannot read, the line that it says."""
    if (unread := _unread_place(error)) is not None:
        return _storable(unread)
    calls = [call for each in reversed(list(chained(error))) for call in reversed(_calls(each))]
    ours = next((call for call in calls if _is_ours(call[0])), None)
    found = _users_place(error) or ours or next(iter(calls), None)
    return (
        None
        if found is None
        else _storable(f"{without_copy(found[0].f_code.co_filename)}:{found[1]}")
    )


def _unread_place(error: BaseException) -> str | None:
    """The line of a file of which Python says that it is no Python."""
    step: BaseException | None = error
    for _ in range(LONGEST_CHAIN):
        if isinstance(step, SyntaxError) and step.filename and not step.filename.startswith("<"):
            return f"{step.filename}:{step.lineno or 1}"
        step = None if step is None else step.__cause__
    return None


_Call = tuple[FrameType, int]


def _users_place(error: BaseException, depth: int = 0) -> _Call | None:
    """The innermost call of the user's code. Where that is not what raised the error, such as where
    we name code of users that raised, the error that it was raised from says more."""
    calls = _calls(error)
    own = [call for call in calls if _is_users(call[0])]
    if own and own[-1] is calls[-1]:
        return own[-1]
    former, found = cause_of(error), None
    if former is not None and depth < LONGEST_CHAIN:
        found = _users_place(former, depth + 1)
    return found or (own[-1] if own else None)


def _is_users(called: FrameType) -> bool:
    """Whether a call is of code that is neither ours, nor Python's, nor of an installed package
    which defines none of the kinds that were built here."""
    name, file = str(called.f_globals.get("__name__", "")), called.f_code.co_filename
    if _is_ours(called) or file.startswith(_NO_FILE):
        return False
    if name.partition(".")[0] in PACKAGES or file.startswith("<"):  # the latter of notebooks
        return True
    return _is_outside(file)


@functools.lru_cache(maxsize=1024)
def _is_outside(file: str) -> bool:
    """Whether a file is not installed, nor a command that a package brings, such as `sweeps`."""
    scripts = Path(sysconfig.get_path("scripts"))
    script = Path(file).parent == scripts and not file.endswith(".py")
    return not script and not is_installed(Path(file))


def _is_ours(called: FrameType) -> bool:
    name = str(called.f_globals.get("__name__", ""))
    return f"{name}.".startswith(OURS)


def _calls(error: BaseException) -> list[_Call]:
    return list(traceback.walk_tb(error.__traceback__))


def _whole(error: BaseException) -> str | None:
    """The traceback as Python prints it; None where even that fails."""
    try:
        lines = traceback.format_exception(error)
    except BaseException as second:
        print(f"no traceback: {type(second).__name__}", file=sys.stderr)
        return None
    return without_middle(_storable("".join(lines)), LONGEST_TRACEBACK)


def without_middle(text: str, limit: int) -> str:
    """The text with whole lines of its middle left out, where it has more than `limit`
    characters; how many were left out is said."""
    if len(text) <= limit:
        return text
    head, tail = text[: limit // 3], text[-(limit - limit // 3) :]
    head, tail = head[: head.rfind("\n") + 1] or head, tail[tail.find("\n") + 1 :] or tail
    left_out = len(text) - len(head) - len(tail)
    return f"{head}... ({left_out:,} characters left out) ...\n{tail}"


def _storable(text: str) -> str:
    """Without passwords, and without what cannot be encoded, such as parts of odd file names."""
    return scrubbed(text.encode("utf-8", "replace").decode())
