"""Arrays of an .npz file, read by name; large ones row by row."""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from backdoor.errors import UserError
from backdoor.reading.files import wrong_root

#: What numpy and zipfile raise over files that are damaged, pickled, or no .npz at all.
UNREADABLE = (
    *(OSError, ValueError, EOFError, TypeError, RuntimeError, KeyError),
    *(zipfile.BadZipFile, zlib.error),
)

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Header:
    """What an array is, before its values are read."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran: bool


class NpzMembers:
    """The arrays of one .npz file.

    headers: name → what the array is. Pickled objects are never opened.

    Raises:
        UserError: the file is damaged, or no .npz file, or has pickled objects.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        try:
            with zipfile.ZipFile(file) as archive:
                names = [name for name in archive.namelist() if name.endswith(".npy")]
                if not names:
                    raise ValueError("no array")
                self.headers = {n.removesuffix(".npy"): _header_in(archive, n) for n in names}
        except UNREADABLE:
            raise self._damaged() from None
        if any(header.dtype.hasobject for header in self.headers.values()):
            raise self._damaged()

    def __contains__(self, name: str) -> bool:
        return name in self.headers

    def array(self, name: str) -> Array:
        """The whole array."""
        try:
            # Opened here: numpy leaves a file open that it cannot read.
            with self.file.open("rb") as stream, np.load(stream, allow_pickle=False) as opened:
                return np.asarray(opened[name])
        except UNREADABLE:
            raise self._damaged() from None

    def rows(self, name: str, numbers: list[int]) -> Iterator[Array]:
        """Rows of an array by number, ascending; one at a time is in memory."""
        header = self.headers[name]
        if header.fortran:
            yield from self.array(name)[numbers]
            return
        size = int(np.prod(header.shape[1:])) * header.dtype.itemsize
        try:
            with zipfile.ZipFile(self.file) as archive, archive.open(f"{name}.npy") as stream:
                _header(stream)
                at = 0
                for number in numbers:
                    _skip(stream, (number - at) * size)
                    content = stream.read(size)
                    if len(content) != size:
                        raise EOFError
                    yield np.frombuffer(content, header.dtype).reshape(header.shape[1:])
                    at = number + 1
        except UserError:
            raise
        except UNREADABLE:
            raise self._damaged() from None

    def _damaged(self) -> UserError:
        rule = "must be an undamaged .npz file of plain arrays, without pickled objects"
        remedy = "Write it with numpy.savez(FILE, images=..., labels=...)."
        return wrong_root(rule, str(self.file), remedy)


def _header_in(archive: zipfile.ZipFile, name: str) -> Header:
    with archive.open(name) as stream:
        header, size = _header(stream), stream.tell()
    values = math.prod(header.shape) * header.dtype.itemsize
    # Memory is taken for what the header claims, before values are read.
    if not header.dtype.hasobject and size + values != archive.getinfo(name).file_size:
        raise ValueError("has not as many values as it claims")
    return header


def _header(stream: IO[bytes]) -> Header:
    version = np.lib.format.read_magic(stream)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }[version]
    shape, fortran, dtype = read(stream)
    return Header(shape, dtype, fortran)


def _skip(stream: IO[bytes], count: int) -> None:
    while count:
        passed = len(stream.read(min(count, 2**20)))
        if not passed:
            raise EOFError
        count -= passed
