"""Files read as text, written whole or not at all, and a lock for one writer."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import stat
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TextIO

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


def read_versioned(
    path: Path, version: int, rule: str, remedy: str = RESTORE, oldest: int | None = None
) -> dict[str, Any]:
    """A JSON object of ours with this `schema_version`, or one from `oldest` on;
    `StoredDataError` by the rule otherwise."""
    try:
        content = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        broken = Mistake(str(path), "must be valid JSON", str(error), remedy)
        raise StoredDataError(broken) from None
    found = content.get("schema_version") if isinstance(content, dict) else content
    known = range(version if oldest is None else oldest, version + 1)
    if not isinstance(content, dict) or isinstance(found, bool) or found not in known:
        raise StoredDataError(Mistake(str(path), f"{rule} {version}", found, remedy))
    result: dict[str, Any] = content
    return result


def write_atomic(
    path: Path, content: bytes, *, follow: bool = True, mode: int | None = None
) -> None:
    """Writes the file whole or not at all, durable when it returns.

    follow: a symbolic link is followed, and a pipe or a device, such as /dev/stdout, is written to
    as it is: for files that a user names. Without it either is replaced: for files of a results
    folder, which may be a stranger's. mode: of a new file, by default what the umask leaves; one
    that only its owner may read stays so. An `OSError` names the file.
    """
    if follow:
        path = Path(os.path.realpath(path))
        if path.exists() and not path.is_file() and not path.is_dir():
            with naming(path):
                path.write_bytes(content)
            return
    with naming(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = _scratch(path)
        try:
            new = os.open(scratch, _NEW, _mode_of(path) if mode is None else mode)
            with open(new, "wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            scratch.replace(path)
        finally:
            scratch.unlink(missing_ok=True)
        sync_folder(path.parent)


def write_json(path: Path, value: Any, *, mode: int | None = None) -> None:
    """Writes plain values as indented JSON, whole or not at all; a link is replaced."""
    content = (json.dumps(value, indent=2, allow_nan=False) + "\n").encode()
    write_atomic(path, content, follow=False, mode=mode)


#: How files of ours are made: a link of the same name is not followed.
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
#: For the owner only.
PRIVATE = 0o600


def _mode_of(path: Path) -> int:
    """What a file of this name gets: it stays private if it was."""
    try:
        found = path.lstat().st_mode
    except OSError:
        return 0o666
    return PRIVATE if stat.S_ISREG(found) and not found & 0o077 else 0o666


def _scratch(path: Path) -> Path:
    """Beside `path`, hidden; its own name is short enough where that of `path` is."""
    return path.with_name(f".{path.name[:50]}.{uuid.uuid4().hex[:8]}.tmp")


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """An `OSError` says which file could not be written: a full disk names none, and the name of a
    scratch file tells nobody anything."""
    try:
        yield
    except OSError as error:
        if error.filename is None or str(error.filename).endswith(".tmp"):
            error.filename, error.filename2 = str(path), None
        raise


def new_private(path: Path) -> BinaryIO:
    """A new, empty file, in place of one of this name, that only its owner can read."""
    with naming(path):
        path.unlink(missing_ok=True)
        return open(os.open(path, _NEW | os.O_APPEND, PRIVATE), "ab")


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
    with naming(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        scratch = _scratch(folder)
        scratch.mkdir()
    try:
        yield scratch
        scratch.replace(folder)
        sync_folder(folder.parent)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


@contextmanager
def locked(lock: Path) -> Iterator[None]:
    """Locks the folder of the file `lock` for one writer. The lock ends with the process.

    Raises:
        UserError: another process has the lock, or the ledger is a link."""
    refuse_links(lock.parent, *LEDGERS)
    with _open_lock(lock) as stream:
        if not _locked_now(stream):
            raise UserError(
                Mistake(
                    "DIR",
                    f"is in use by {_owner(stream)}",
                    str(lock.parent),
                    "Wait for it, or stop it, and repeat the command.",
                )
            )
        with naming(lock):
            stream.truncate(0)
            stream.write(f"process {os.getpid()} on {os.uname().nodename}")
            stream.flush()
        yield


#: Folders in which only the holder of the lock writes.
LEDGERS = ("ledger", "ledger/probes")


def _open_lock(lock: Path) -> TextIO:
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
    refuse_links(lock.parent, lock.name)
    with naming(lock):
        return open(os.open(lock, flags, 0o666), "a+", encoding="utf-8", errors="replace")


def refuse_links(folder: Path, *names: str) -> None:
    """`UserError` where one of these is a link: whoever made the folder may have pointed it at
    files of yours. The folder itself may be a link, and lie on a path with links."""
    for name in names:
        if (path := folder / name).is_symlink():
            rule = "must not be a link: nothing is written through links in a results folder"
            remedy = "Remove it; to keep results on another disk, link the whole folder."
            raise UserError(Mistake(str(path), rule, os.readlink(path), remedy))


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
