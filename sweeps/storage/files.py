"""Files read as text, written whole or not at all, and a lock for one writer."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from backdoor.errors import Mistake, StoredDataError, UserError


def read_text(path: Path) -> str:
    """The text of a stored file; `StoredDataError` where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        remedy = "Restore it from a copy of the results folder."
        raise StoredDataError(
            Mistake(str(path), "must be readable text", str(error), remedy)
        ) from None


#: What helps where a stored file is damaged or too new, unless it can be written again.
RESTORE = "Restore it, or use the release of backdoor-sweeps that wrote it."


def read_versioned(path: Path, version: int, rule: str, remedy: str = RESTORE) -> dict[str, Any]:
    """A JSON object of ours with this `schema_version`; `StoredDataError` by the rule otherwise."""
    try:
        content = json.loads(read_text(path))
    except ValueError as error:
        broken = Mistake(str(path), "must be valid JSON", str(error), remedy)
        raise StoredDataError(broken) from None
    found = content.get("schema_version") if isinstance(content, dict) else content
    if found != version:
        raise StoredDataError(Mistake(str(path), f"{rule} {version}", found, remedy))
    result: dict[str, Any] = content
    return result


def write_atomic(path: Path, content: bytes) -> None:
    """Writes the file whole or not at all, durable when it returns.

    A symbolic link is followed. A pipe or a device, such as /dev/stdout, is written to as it is.
    """
    path = Path(os.path.realpath(path))
    if path.exists() and not path.is_file() and not path.is_dir():
        path.write_bytes(content)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        with scratch.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)
    sync_folder(path.parent)


def write_json(path: Path, value: Any) -> None:
    """Writes plain values as indented JSON, whole or not at all."""
    write_atomic(path, (json.dumps(value, indent=2, allow_nan=False) + "\n").encode())


def sync_folder(folder: Path) -> None:
    """Makes renames and removals in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """A scratch folder beside `folder` that is renamed to `folder` on success, else removed.

    It is made at once, so that a place that cannot be written is reported before anything is
    computed.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}.tmp")
    scratch.mkdir()
    try:
        yield scratch
        scratch.replace(folder)
        sync_folder(folder.parent)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


@contextmanager
def locked(lock: Path, again: str = "sweeps resume") -> Iterator[None]:
    """Locks the folder of the file `lock` for one writer. The lock ends with the process.

    again: the command that continues what the folder holds.
    Raises:
        UserError: another process has the lock."""
    with lock.open("a+") as stream:
        if not _locked_now(stream):
            raise UserError(
                Mistake(
                    "DIR",
                    f"is in use by {_owner(stream)}",
                    str(lock.parent),
                    f"Wait for it, or stop it; then use `{again}`.",
                )
            )
        stream.truncate(0)
        stream.write(f"process {os.getpid()} on {os.uname().nodename}")
        stream.flush()
        yield


def lock_holder(lock: Path) -> str | None:
    """`process 12 on host` where a process holds the lock, else None. It writes nothing.

    It asks for the lock together with others for a moment, which a process that is about to take it
    waits for (`locked`)."""
    try:
        with lock.open("r") as stream:
            return None if _locked_now(stream, fcntl.LOCK_SH) else _owner(stream)
    except FileNotFoundError:  # nothing has run here yet
        return None


#: Seconds and times that `locked` waits for processes that only look whether it is taken.
LOOK, LOOKS = 0.01, 50


def _locked_now(stream: TextIO, how: int = fcntl.LOCK_EX) -> bool:
    """Takes the lock, to write or to look; False where a writer has it."""
    for _ in range(LOOKS):
        try:
            fcntl.flock(stream, how | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if how == fcntl.LOCK_SH or not _only_looked_at(stream):
                return False
        time.sleep(LOOK)
    return False


def _only_looked_at(stream: TextIO) -> bool:
    """Whether all that have the lock only look."""
    looked_at = _locked_now(stream, fcntl.LOCK_SH)
    fcntl.flock(stream, fcntl.LOCK_UN)
    return looked_at


def _owner(stream: TextIO) -> str:
    stream.seek(0)
    return stream.read().strip() or "another process"
