"""What a worker reports of a pack that failed, and where its process was by its output. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from backdoor.settings.users_errors import without_copy
from sweeps.addresses import scrubbed
from sweeps.records.failure import Failure
from sweeps.runners.fault import error_line

#: A line of Python's `faulthandler`, the innermost call first, or of a traceback.
_DUMPED = re.compile(r'^ *File "(?P<file>[^"]+)", line (?P<line>\d+) in ', re.MULTILINE)
_THREADS = re.compile(r"^(?:Current thread|Thread) ", re.MULTILINE)
#: Parts of paths of the standard library, of installed packages, and of this project.
_INSTALLED = ("/site-packages/", "/dist-packages/", "/lib/python3", "<frozen ", "<string>")
#: The folder of this project on the machine that wrote it: the trainer is in every main thread.
_ROOT = re.compile(r'File "(?P<root>[^"]*)/sweeps/runners/supervision/trainer\.py"')


def reported_failure(found: Mapping[str, Any]) -> Failure:
    """A worker's failure, without passwords, and with the place that its output names if it has
    none. One that cannot be read, of a worker with another version, is a failure as well."""
    try:
        texts = {k: scrubbed(v) if isinstance(v, str) else v for k, v in found.items()}
        place = texts.get("place") or crashed_at(str(texts.get("log") or ""))
        return Failure.from_plain({**texts, "place": place})
    except Exception as error:
        return Failure(f"unreadable report: {error_line(error)}")


def crashed_at(output: str) -> str | None:
    """`file:line` where a process was that `faulthandler` described, the innermost call of the
    user's code before ours; None where the output does not say."""
    root = _ROOT.search(output)
    ours = () if root is None else (f"{root['root']}/backdoor/", f"{root['root']}/sweeps/")
    for thread in _threads(output):
        calls = [(found["file"], found["line"]) for found in _DUMPED.finditer(thread)]
        calls = [call for call in calls if not any(part in call[0] for part in _INSTALLED)]
        for strange in (ours, ()):
            call = next((each for each in calls if not each[0].startswith(strange)), None)
            if call is not None:
                return f"{without_copy(call[0])}:{call[1]}"
    return None


def _threads(output: str) -> list[str]:
    """The threads of a dump, the one that trains first: that is the main thread, the last one."""
    begins = [found.start() for found in _THREADS.finditer(output)]
    parts = [output[a:b] for a, b in pairwise([*begins, len(output)])]
    current = [part for part in parts if part.startswith("Current")]
    return [*current, *(part for part in reversed(parts) if part not in current)]
