"""running.json of a results folder: what one process trains just now.

If the process ends by that, nothing else says which trial it was. It is no record of results: that
it cannot be written or read is no error. Only the holder of the folder's lock writes it.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
#: Bytes of the largest such file that is read: a pack of some thousand trials.
LARGEST = 2**20


@dataclass(frozen=True)
class Running:
    """A pack that is being trained. triggers: kinds of its triggers, `clean` of clean baselines.
    seeds: of its trials. since: seconds since 1970. pid, host: of the process."""

    trial_ids: tuple[str, ...]
    triggers: tuple[str, ...]
    seeds: tuple[int, ...]
    since: float
    pid: int
    host: str


class RunningFile:
    """Writes running.json, one pack after the other.

    The file stays open and is written over in one call. That is whole or not at all as far as the
    end of this process is concerned, for a page of memory, which has some 200 trials; a reader
    takes what is cut off as nothing. A new file for each pack would cost packs of 10 ms several
    per cent. Nothing is made durable: after a power cut no trial is under suspicion.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._descriptor: int | None = None
        self._length = 0  # bytes that the file has

    def write(self, running: Running) -> None:
        """Replaces what it says. That the disk is full, or may not be written, is no error."""
        content = json.dumps(vars(running), separators=(",", ":")).encode()
        with contextlib.suppress(OSError):
            if self._descriptor is None:
                remove_running(self._file)  # a link too: nothing is written through links
                self._descriptor = os.open(self._file, _FLAGS, 0o600)
            # What is left of a longer one is blank, and still JSON.
            os.pwrite(self._descriptor, content.ljust(self._length), 0)
            self._length = max(self._length, len(content))

    def remove(self) -> None:
        """Removes it, where it is there."""
        remove_running(self._file)
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor, self._length = None, 0


def remove_running(file: Path) -> None:
    """Removes it, where it is there."""
    with contextlib.suppress(OSError):
        file.unlink()


def read_running(file: Path) -> Running | None:
    """What it says; None where it is not there, not ours, or damaged."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as stream:
            content = json.loads(stream.read(LARGEST))
        return _running(content)
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None


def _running(content: Mapping[str, Any]) -> Running:
    """Raises ValueError, TypeError or KeyError where this is none."""
    ids, triggers, seeds = content["trial_ids"], content["triggers"], content["seeds"]
    texts = isinstance(ids, list) and isinstance(triggers, list) and isinstance(seeds, list)
    if not texts or not ids or not all(isinstance(text, str) for text in (*ids, *triggers)):
        raise ValueError("no pack")
    since, pid, host = float(content["since"]), int(content["pid"]), str(content["host"])
    if not 0 <= since < 2**40:
        raise ValueError("no time")
    return Running(tuple(ids), tuple(triggers), tuple(map(int, seeds)), since, pid, host)
