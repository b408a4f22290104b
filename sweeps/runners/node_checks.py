"""The checks of a node: engines, files, threads, memory, a disk, the data and a GPU."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

from backdoor.config import TrialConfig
from backdoor.datasets.base import Dataset
from backdoor.datasets.source import Source, load_source, split
from backdoor.engines import engine_of
from backdoor.reading.cache import SomeImages
from backdoor.reading.cache_files import cache_folder
from backdoor.settings.user_file import UserFile, files_of
from sweeps.packs.pack import PackSettings
from sweeps.runners.node_lines import lines_of

#: Bytes that must be free on a disk, and in memory.
FREE_DISK, FREE_MEMORY = 16 * 2**20, 32 * 2**20
#: Rows and columns of the matrices that a GPU multiplies.
SIDE = 64


@dataclass(frozen=True)
class Needs:
    """What some packs need. data_fingerprint: of the data that the sweep began with, if known."""

    trials: tuple[TrialConfig, ...]
    settings: PackSettings
    data_fingerprint: str | None = None

    @cached_property
    def data(self) -> tuple[Dataset, ...]:
        """The distinct data sets."""
        return tuple({id(trial.data): trial.data for trial in self.trials}.values())


#: Yields a line for everything that the node lacks. It may raise anything.
Check = Callable[[Needs], Iterable[str]]


# --- engines and files --------------------------------------------------------------------------


def _engines(needs: Needs) -> Iterable[str]:
    for trial in {id(trial.defence): trial for trial in needs.trials}.values():
        engine_of(trial)
    return ()


def _files(needs: Needs) -> Iterator[str]:
    """Files that configurations name: there, and with the content of when the sweep began."""
    parts = [part for t in needs.trials for part in (t.data, t.defence, t.attack, t.training)]
    named = dict[str, str]()
    for part in {id(part): part for part in [*parts, *needs.settings.measures]}.values():
        named |= files_of(part)
    for digest, path in sorted(named.items()):
        yield from lines_of("cannot use a file", partial(_open, digest, path))


def _open(digest: str, path: str) -> Iterable[str]:
    if not os.path.lexists(path):
        return [f"cannot read {path}: no such file or folder"]
    UserFile(digest, path).open(path)
    return ()


# --- disk --------------------------------------------------------------------------------------


def _temporary(needs: Needs) -> Iterator[str]:
    given = (os.environ.get(name, "") for name in ("TMPDIR", "TEMP", "TMP"))
    folders = [*filter(None, given), "/tmp", "/var/tmp"]
    yield from _written(next(filter(os.path.isdir, folders), None) or tempfile.gettempdir())


def _written(folder: str | Path) -> Iterator[str]:
    """Writes a file, flushes it to the disk, reads it and removes it."""
    try:
        right = _write(Path(folder))
        free = os.statvfs(folder)
    except OSError as error:
        yield f"cannot write in {folder}: {(error.strerror or str(error)).lower()}"
        return
    if not right:
        yield f"cannot write in {folder}: what is read is not what was written"
    elif free.f_bavail * free.f_frsize < FREE_DISK:
        # Not how many: that differs from node to node.
        yield f"cannot write in {folder}: less than {FREE_DISK // 2**20} MB are free"


def _write(folder: Path) -> bool:
    content = os.urandom(4096)
    file = folder / f".backdoor-sweeps-check-{os.getpid()}-{content[:4].hex()}"
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, content)
        os.fsync(descriptor)
        return os.pread(descriptor, len(content), 0) == content
    finally:
        os.close(descriptor)
        os.unlink(file)


# --- data --------------------------------------------------------------------------------------


def _data(needs: Needs) -> Iterator[str]:
    """The data can be read, and are those of the sweep. They are kept for the first pack."""
    for data in needs.data:
        seed = next(trial.seed for trial in needs.trials if trial.data is data)
        before = needs.data_fingerprint
        yield from lines_of(f"cannot read the data{_at(data)}", partial(_read, data, seed, before))


def _at(data: Dataset) -> str:
    root = getattr(data, "root", None)
    return f" ({data.kind_name()})" if root is None else f" at {root}"


def _read(data: Dataset, seed: int, before: str | None) -> Iterator[str]:
    root = getattr(data, "root", None)
    if root is not None and not os.path.lexists(os.path.expanduser(str(root))):
        yield f"cannot read the data{_at(data)}: no such file or folder"
        return
    source = load_source(data)
    if before is not None and source.fingerprint != before:
        now = f"their fingerprint is {source.fingerprint}, not {before}"
        yield f"the data{_at(data)} are not those of the sweep: {now}"
        return
    split(data, source, seed)
    if _still_writes(source):
        yield from _written(cache_folder())


def _still_writes(source: Source) -> bool:
    """Whether images of other seeds are decoded into the cache when a trial needs them. Where all
    are there, the cache may be read-only."""
    return isinstance(source.images, SomeImages)


# --- memory and GPU ----------------------------------------------------------------------------


def _memory(needs: Needs) -> Iterable[str]:
    _ = b"\x01" * FREE_MEMORY  # zeros would need no memory
    return ()


def _threads(needs: Needs) -> Iterable[str]:
    ran = threading.Event()
    thread = threading.Thread(target=ran.set)
    thread.start()
    thread.join()
    return () if ran.is_set() else ["cannot start a thread: it did not run"]


def _cuda(needs: Needs) -> Iterator[str]:
    """A GPU is there and multiplies rightly; the driver's own message where it does not work."""
    if needs.settings.gpu <= 0:
        return
    import torch

    if not torch.cuda.device_count():
        torch.zeros(1, device="cuda")  # which says why
        yield "CUDA does not work: no GPU is visible"
        return
    # Small whole numbers: their products are exact in every precision that a GPU may use.
    own = (torch.arange(SIDE * SIDE) % 7).to(torch.float32).reshape(SIDE, SIDE)
    there = own.to("cuda")
    result = there @ there
    torch.cuda.synchronize()
    if not torch.equal(result.cpu(), own @ own):
        yield "CUDA does not work: the GPU multiplies two matrices otherwise than the CPU"


#: What cannot be done if a check raises → the check, the cheapest first.
CHECKS: dict[str, Check] = {
    "cannot load the engines": _engines,
    "cannot use the files of the trials": _files,
    "cannot start a thread": _threads,
    "cannot allocate memory": _memory,
    "cannot write temporary files": _temporary,
    "cannot read the data": _data,
    "CUDA does not work": _cuda,
}
