"""Files of a cache entry: written completely or not at all, checked when they are read, locked."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from filelock import FileLock

from backdoor.errors import Mistake, UserError
from backdoor.reading.contents import Ids
from backdoor.reading.pixels import ImageArray
from backdoor.reading.scan import Shape

#: Sources up to this size are kept as a whole, even if few of their images are in use.
SMALL_BYTES = 256 * 2**20
#: Bytes that stay free on the disk.
SPARE = 64 * 2**20


def cache_folder() -> Path:
    """The folder in which decoded sources are kept."""
    # A blank variable is as good as none.
    configured = os.environ.get("BACKDOOR_CACHE", "").strip()
    if "://" in configured:
        rule, remedy = "must be a path on this machine", "Name a folder of a disk."
        raise UserError(Mistake("BACKDOOR_CACHE", rule, configured, remedy))
    try:
        folder = Path(configured or "~/.cache/backdoor-sweeps").expanduser()
    except RuntimeError as error:  # ~ of a user who is not there
        rule, remedy = "must be a path on this machine", f"Check it ({error})."
        raise UserError(Mistake("BACKDOOR_CACHE", rule, configured or None, remedy)) from None
    return folder.absolute()


class PixelFile:
    """Writes the images to keep into a file, one after another, with channels last.

    rows: (n,) int32, the place of each image in the file, -1 for those that are not kept.
    """

    def __init__(self, file: Path, images: int, keep: Ids | None) -> None:
        """keep: numbers of the images to keep, None for all."""
        self.rows = np.arange(images, dtype=np.int32)
        self._path, self._keep, self._size = file, keep, 0

    def __enter__(self) -> PixelFile:
        with writing():
            self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o644)
        return self

    def __exit__(self, *_: object) -> None:
        # Nothing is flushed to the disk: what a power failure spoils is found by its checksum.
        with writing():
            os.close(self._file)

    def begin(self, shape: Shape) -> None:
        self._size, kept = int(np.prod(shape)), len(self.rows)
        if self._keep is not None and kept * self._size > SMALL_BYTES:
            kept = len(self._keep)
            self.rows[:] = -1
            self.rows[self._keep] = np.arange(kept, dtype=np.int32)
        enough_room(self._path.parent, kept, shape)

    def put(self, number: int, pixels: ImageArray) -> None:
        if (row := int(self.rows[number])) >= 0:
            write_at(self._file, pixels, row * self._size)


def write_at(file: int, pixels: ImageArray, place: int) -> None:
    """Writes one image, (h, w, c) uint8, contiguous, at this byte of an open file."""
    with writing():
        data = memoryview(pixels.data).cast("B")
        while data:
            written = os.pwrite(file, data, place)
            data, place = data[written:], place + written


def save(file: Path, content: bytes) -> None:
    """Writes a file with its checksum in front, completely or not at all."""
    beside = file.with_name(f".{file.name}")
    beside.write_bytes(hashlib.sha256(content).digest() + content)
    beside.replace(file)


def checked(file: Path) -> bytes:
    """The content of a file that `save` wrote; `ValueError` if it is damaged."""
    content = file.read_bytes()
    if hashlib.sha256(content[32:]).digest() != content[:32]:
        raise ValueError(f"{file.name} is damaged")
    return content[32:]


@contextlib.contextmanager
def writing() -> Iterator[None]:
    """Says what to do where the cache cannot be written."""
    try:
        yield
    except OSError as error:
        rule = "must be a folder for decoded images that can be written"
        why = f"{error.strerror}: {error.filename}" if error.filename else error.strerror
        remedy = f"Free space or choose another: BACKDOOR_CACHE=FOLDER ({why})."
        raise UserError(Mistake("BACKDOOR_CACHE", rule, str(cache_folder()), remedy)) from None


@contextlib.contextmanager
def writable(file: Path) -> Iterator[int]:
    """Opens an existing file to change it."""
    number = os.open(file, os.O_WRONLY)
    try:
        yield number
    finally:
        os.close(number)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """One process at a time; what was made for the lock is removed if no entry comes of it."""
    root = folder.parent
    made = [place for place in (root, *root.parents) if not place.exists()]
    with writing():
        root.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder.with_name(f".{folder.name}.lock"))
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
        if not folder.is_dir():
            Path(lock.lock_file).unlink(missing_ok=True)
            for place in made:
                with contextlib.suppress(OSError):  # others write there by now
                    place.rmdir()


def enough_room(folder: Path, images: int, shape: Shape) -> None:
    """Raises `UserError` where the disk has no room for so many images (c, h, w)."""
    c, h, w = shape
    needed, free = images * c * h * w, shutil.disk_usage(folder).free
    if needed > free - SPARE:
        rule = f"must have room for the decoded images, {gigabytes(needed)}"
        rule += f", and {gigabytes(SPARE)} more that stay free"
        value = f"{gigabytes(free)} free for {images} images of {h} x {w} pixels, {c} channels"
        remedy = (
            "Ask for fewer images (data.train, data.validation, data.test) or smaller ones "
            "(data.image_size), or choose another disk: BACKDOOR_CACHE=FOLDER."
        )
        raise UserError(Mistake("BACKDOOR_CACHE", rule, value, remedy))


def gigabytes(number: int) -> str:
    """A number of bytes for people."""
    return f"{number / 1e9:.1f} GB" if number >= 1e8 else f"{number / 1e6:.1f} MB"
