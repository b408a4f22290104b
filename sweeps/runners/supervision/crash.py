"""What a trainer's output says of a process that ended: where it was. Pure."""

from __future__ import annotations

import re
from itertools import pairwise

#: A line of Python's `faulthandler`, the innermost call first, or of a traceback.
_DUMPED = re.compile(r'^ *File "(?P<file>[^"]+)", line (?P<line>\d+) in ', re.MULTILINE)
_THREADS = re.compile(r"^(?:Current thread|Thread) ", re.MULTILINE)
#: Parts of paths of the standard library, of installed packages, and of this project.
_INSTALLED = ("/site-packages/", "/dist-packages/", "/lib/python3", "<frozen ")
_OURS = ("/backdoor/", "/sweeps/")


def crashed_at(output: str) -> str | None:
    """`file:line` where a process was that `faulthandler` described, the innermost call of the
    user's code before ours; None where the output does not say."""
    for thread in _threads(output):
        calls = [(found["file"], found["line"]) for found in _DUMPED.finditer(thread)]
        for strange in (_INSTALLED + _OURS, _INSTALLED):
            theirs = (each for each in calls if not any(part in each[0] for part in strange))
            if (call := next(theirs, None)) is not None:
                return ":".join(call)
    return None


def _threads(output: str) -> list[str]:
    """The threads of a dump, the one that trains first: that is the main thread, the last one."""
    begins = [found.start() for found in _THREADS.finditer(output)]
    parts = [output[a:b] for a, b in pairwise([*begins, len(output)])]
    current = [part for part in parts if part.startswith("Current")]
    return [*current, *(part for part in reversed(parts) if part not in current)]
