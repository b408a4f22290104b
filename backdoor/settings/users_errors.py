"""What code of users raises: named with its class, method, file and line, wherever it is called.

Their code runs in the middle of a training: a stamp, a penalty, a forward pass. It may raise
anything, `SystemExit` too, which would end a worker or the whole command without a word.
"""

from __future__ import annotations

import contextlib
import dis
import re
import traceback
from collections.abc import Iterator
from types import CodeType, FrameType

from backdoor.errors import Mistake, UserError
from backdoor.memory_errors import out_of_memory
from backdoor.settings.outside import OURS, is_ours

#: Top-level packages of the kinds of users that were built in this process.
PACKAGES: set[str] = set()


@contextlib.contextmanager
def naming_users_code() -> Iterator[None]:
    """Whatever code of users raises inside becomes a `UserError` that names it; other errors, lack
    of memory, and a Ctrl-C are as they were."""
    try:
        yield
    except BaseException as error:
        mistake = raised_by_users(error)
        if mistake is None:
            raise
        raise UserError(mistake) from error


def raised_by_users(error: BaseException) -> Mistake | None:
    """The mistake of a kind of users that raised this error; None where no code of theirs took
    part, and for mistakes that it reports itself."""
    if isinstance(error, (UserError, GeneratorExit)):
        return None
    calls = list(traceback.walk_tb(error.__traceback__))
    theirs = [(called, line) for called, line in calls if _of_users(called)]
    if not theirs or (isinstance(error, KeyboardInterrupt) and not _raised_by_statement(error)):
        return None
    if out_of_memory(error):
        return None  # which is known by its own words where packs are made smaller
    called, line = theirs[-1]
    kinds = [kind for each, _ in theirs if (kind := _kind_of(each)) is not None]
    place = f"{called.f_globals.get('__name__')}:{_qualified(called.f_code)}"
    if kinds and not place.startswith(f"{kinds[-1]}."):
        place = f"{kinds[-1]}: {place}"
    text = " ".join(str(error).split())
    value = type(error).__name__ + (f": {text}" if text else "")
    remedy = f"Correct {without_copy(called.f_code.co_filename)}, line {line}."
    return Mistake(place, "must not raise", value, remedy)


#: Folders in which Ray keeps what it was sent, on each node.
_COPY = re.compile(r"^.*/(?:_ray_pkg_[0-9a-f]+|working_dir_files/[^/]+)/")


def without_copy(file: str) -> str:
    """A path; of a copy that Ray has sent to a node, the part that its original has too."""
    return _COPY.sub("", file)


def _of_users(called: FrameType) -> bool:
    package = str(called.f_globals.get("__name__", "")).partition(".")[0]
    return package in PACKAGES or _kind_of(called) is not None


def _kind_of(called: FrameType) -> str | None:
    """The kind of users whose method this is."""
    own = called.f_locals.get("self") if "self" in called.f_code.co_varnames else None
    name = getattr(type(own), "kind_name", None)
    inside = is_ours(own) or str(called.f_globals.get("__name__", "")).startswith("backdoor.")
    return None if name is None or inside else str(name())


def _qualified(code: CodeType) -> str:
    return code.co_qualname.replace(".<locals>", "")


def _raised_by_statement(error: BaseException) -> bool:
    """Whether a `raise` outside our code raised it, and no signal while code of users ran."""
    step = error.__traceback__
    assert step is not None
    while step.tb_next is not None:
        step = step.tb_next
    called = step.tb_frame
    ours = str(called.f_globals.get("__name__", "")).startswith((*OURS, "ray."))
    return called.f_code.co_code[step.tb_lasti] == dis.opmap["RAISE_VARARGS"] and not ours
