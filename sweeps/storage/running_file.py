"""running.json of a results folder: what one process trains just now.

If the process ends by that, nothing else says which trial it was. It is no record of results: that
it cannot be written or read is no error. Only the holder of the folder's lock writes it.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
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


def write_running(file: Path, running: Running) -> None:
    """Replaces the file, whole or not at all as far as the end of this process is concerned.

    It is not made durable: packs of a few milliseconds would wait for the disk, and after a power
    cut no trial is under suspicion.
    """
    scratch = file.with_name(f".{file.name}.{os.getpid() % 2**32:08x}.tmp")
    content = json.dumps(asdict(running), separators=(",", ":")).encode()
    with contextlib.suppress(OSError):
        descriptor = os.open(scratch, _FLAGS, 0o600)
        try:
            whole = os.write(descriptor, content) == len(content)
        finally:
            os.close(descriptor)
        os.replace(scratch, file) if whole else os.unlink(scratch)


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
