"""Decoded images on disk, mapped into memory, so that all processes of a machine share them.

An entry lies in `$BACKDOOR_CACHE` (default ~/.cache/backdoor-sweeps), in a folder named by the hash
of its source's files. It is written beside and renamed when it is complete. It keeps the images
that trials use: where these are few of a large source, others are appended when a trial needs them.
What is read from it is compared with checksums, and made again if it is damaged.
"""

from __future__ import annotations

import io
import json
import logging
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from backdoor.errors import UserError
from backdoor.reading.cache_files import (
    PixelFile,
    cache_folder,
    checked,
    enough_room,
    locked,
    save,
    writable,
    write_at,
    writing,
)
from backdoor.reading.contents import Contents, Ids, Images
from backdoor.reading.files import wrong_root
from backdoor.reading.pixels import Decoded, ImageArray
from backdoor.reading.scan import Scan, as_rows, pixel_digest, reason, scan
from backdoor.reading.threads import in_threads

FORMAT = 4
META, TABLES, ROWS, PIXELS = "meta", "tables", "rows", "images"

#: What damaged or incomplete files of an entry raise.
DAMAGED = (OSError, ValueError, KeyError, TypeError, EOFError)


def entry_folder(fingerprint: str) -> Path:
    """Where the source of this fingerprint is kept."""
    return cache_folder() / f"v{FORMAT}-{fingerprint[:32]}"


@dataclass(frozen=True, eq=False)
class SomeImages:
    """Images of a source of which only those that were asked for are decoded.

    It stands for an array (n, c, h, w) uint8 and is indexed by numbers of images.
    """

    entry: Entry

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(n, c, h, w)."""
        return len(self), *self.entry.scan.shape

    @property
    def dtype(self) -> np.dtype[np.uint8]:
        """uint8."""
        return np.dtype(np.uint8)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def stored(self) -> ImageArray:
        """The images that are decoded, (rows, c, h, w) uint8, memory-mapped."""
        return self.entry.stored

    @property
    def rows(self) -> npt.NDArray[np.int32]:
        """The row of each image in `stored`, (n,); -1 for those that are not decoded."""
        return self.entry.rows

    def __getitem__(self, ids: Any) -> ImageArray:
        rows = self.rows[ids]
        if np.any(rows < 0):
            raise LookupError("only images of a split that was drawn are decoded")
        chosen: ImageArray = self.stored[rows]
        return chosen


class Entry:
    """The decoded images of one source.

    scan: what the pass over all images found. labels, names, ...: see `Contents`. rows: (n,) int32,
    the place of each image among those that are kept, -1 for the others. stored: (rows, c, h, w)
    uint8, mapped.
    """

    def __init__(self, folder: Path, images: Callable[[], Images]) -> None:
        """Opens a complete entry. images: the source's images, to decode more of them.

        Raises:
            OSError, ValueError, KeyError, TypeError, EOFError: it is missing or damaged.
        """
        self.folder, self._images = folder, images
        meta = json.loads(checked(folder / META))
        with np.load(io.BytesIO(checked(folder / TABLES)), allow_pickle=False) as found:
            self._tables = dict(found.items())
        c, h, w = meta["shape"]
        self._meta = meta
        digests, constant, counts = (self._tables[n] for n in ("digests", "constant", "counts"))
        self.scan = Scan((c, h, w), digests, constant, counts, meta["traits"])
        self._checked = np.zeros(len(self.scan.digests), bool)
        self._mutex = threading.RLock()
        self._map()

    @property
    def images(self) -> ImageArray | SomeImages:
        """(n, c, h, w) uint8, indexed by numbers of images."""
        whole = np.array_equal(self.rows, np.arange(len(self.rows)))
        return self.stored if whole else SomeImages(self)

    def contents(self) -> Contents:
        """The source as it was when the entry was made."""
        meta, tables = self._meta, self._tables
        return Contents(
            tables["labels"],
            _Later(len(self.rows), self._images),
            tuple(meta["names"]),
            meta["test_from"],
            tables.get("poisoned"),
            tuple(meta["left_out"]),
            tuple(meta["notes"]),
            tuple(meta["warnings"]),
        )

    def require(self, ids: Ids) -> None:
        """Sees to it that these images are decoded and undamaged.

        Raises:
            UserError: the source's files are not there to decode them, or have changed.
        """
        with self._mutex:
            new = np.unique(ids[~self._checked[ids]])
            if len(wrong := self._wrong(new)):
                with locked(self.folder):
                    self._map()
                    self._decode(self._wrong(wrong))
                    self._map()
            self._checked[new] = True

    def _map(self) -> None:
        """Maps the images that are kept by now."""
        c, h, w = self.scan.shape
        rows = np.frombuffer(checked(self.folder / ROWS), np.int32)
        count, size = int(rows.max(initial=-1)) + 1, (self.folder / PIXELS).stat().st_size
        if rows.shape != self.scan.digests.shape or size < count * c * h * w:
            raise ValueError(f"{ROWS} or {PIXELS} is damaged")
        self.rows = rows
        # They are stored with channels last, and read as (n, c, h, w).
        kept: ImageArray = np.empty((0, h, w, c), np.uint8)
        if count:  # an empty file cannot be mapped
            kept = np.memmap(self.folder / PIXELS, np.uint8, "r", shape=(count, h, w, c))
        self.stored: ImageArray = kept.transpose(0, 3, 1, 2)

    def _wrong(self, ids: Ids) -> Ids:
        """Those of the images that are not kept, or damaged."""
        rows, digests = self.rows[ids], self.scan.digests[ids]
        kept = self.stored.transpose(0, 2, 3, 1)
        right = [
            row >= 0 and pixel_digest(kept[row]) == digest
            for row, digest in zip(rows.tolist(), digests.tolist(), strict=True)
        ]
        wrong: Ids = ids[~np.array(right, bool)]
        return wrong

    def _decode(self, ids: Ids) -> None:
        """Decodes images again into their places, and others into new places."""
        rows, after = self.rows.copy(), int(self.rows.max(initial=-1)) + 1
        absent = ids[rows[ids] < 0]
        if damaged := len(ids) - len(absent):
            logging.getLogger(__name__).warning(
                "%d images in %s were damaged and are decoded again", damaged, self.folder
            )
        rows[absent] = after + np.arange(len(absent))
        size = int(np.prod(self.scan.shape))
        enough_room(self.folder, len(absent), self.scan.shape)
        with writable(self.folder / PIXELS) as file:

            def keep(number: int, decoded: Decoded) -> int:
                pixels = as_rows(decoded.pixels, self.scan.shape[0])
                write_at(file, pixels, int(rows[number]) * size)
                return pixel_digest(pixels)

            found = in_threads(self._images(), ids, keep)
            for number, (name, digest) in zip(ids.tolist(), found, strict=True):
                if digest != int(self.scan.digests[number]):
                    why = reason(digest) if isinstance(digest, Exception) else "other pixels"
                    raise changed(f"{name} ({why})")
        with writing():
            save(self.folder / ROWS, rows.tobytes())


@dataclass(frozen=True)
class _Later:
    """Images that are opened when the first is asked for."""

    count: int
    opened: Callable[[], Images]

    def __len__(self) -> int:
        return self.count

    def items(self, ids: Ids) -> Iterator[Any]:
        return self.opened().items(ids)


def changed(what: str) -> UserError:
    """An error about files that are not what they were a moment ago."""
    rule = "must stay as it is while it is read"
    return wrong_root(rule, what, "Begin again when nothing writes to it any more.")


def open_entry(
    fingerprint: str,
    images: Callable[[], Images],
    make: Callable[[], tuple[Contents, Ids, Ids | None]],
    unchanged: Callable[[], None],
) -> Entry:
    """The entry of a source; if there is none, or it is damaged, a new one.

    images: opens the source's images. make: the contents of the source, the class numbers (n,) of
    its images, and the numbers (m,) of those to keep; None for all. unchanged: raises `UserError`
    if the files are not what they were when the fingerprint was taken.

    Raises:
        UserError: an image cannot be decoded, or there is no room for them.
    """
    folder = entry_folder(fingerprint)
    entry = _opened(folder, images)
    if entry is not None:
        return entry
    contents, labels, keep = make()
    with locked(folder):
        # Another process may have made it meanwhile.
        entry = _opened(folder, images, say=False)
        if entry is None:
            _make(folder, contents, labels, keep, unchanged)
            entry = Entry(folder, images)
    return entry


def _opened(folder: Path, images: Callable[[], Images], say: bool = True) -> Entry | None:
    if not folder.is_dir():
        return None
    try:
        return Entry(folder, images)
    except DAMAGED as error:
        if say:
            text = "%s is damaged and is made again (%s)"
            logging.getLogger(__name__).warning(text, folder, reason(error))
        return None


def _make(
    folder: Path,
    contents: Contents,
    labels: Ids,
    keep: Ids | None,
    unchanged: Callable[[], None],
) -> None:
    """Writes an entry completely or not at all."""
    scratch = folder.with_name(f".writing-{folder.name}")
    shutil.rmtree(scratch, ignore_errors=True)  # of a process that was killed
    pool = len(labels) if contents.test_from is None else contents.test_from
    try:
        with writing():
            scratch.mkdir()
        with PixelFile(scratch / PIXELS, len(labels), keep) as sink:
            found = scan(contents.images, labels, pool, sink)
        unchanged()
        with writing():
            save(scratch / ROWS, sink.rows.tobytes())
            _save_tables(scratch, contents, found)
            shutil.rmtree(folder, ignore_errors=True)  # a damaged one
            scratch.rename(folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _save_tables(folder: Path, contents: Contents, found: Scan) -> None:
    tables: dict[str, npt.NDArray[Any]] = {
        "labels": np.asarray(contents.labels),
        "digests": found.digests,
        "constant": found.constant,
        "counts": found.counts,
    }
    if contents.poisoned is not None:
        tables["poisoned"] = contents.poisoned
    stream = io.BytesIO()
    np.savez(stream, allow_pickle=False, **tables)
    save(folder / TABLES, stream.getvalue())
    meta = {
        "shape": list(found.shape),
        "traits": found.traits,
        "names": list(contents.names),
        "test_from": contents.test_from,
        "left_out": list(contents.left_out),
        "notes": list(contents.notes),
        "warnings": list(contents.warnings),
    }
    save(folder / META, json.dumps(meta).encode())
