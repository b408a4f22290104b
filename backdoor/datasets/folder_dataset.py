"""Shared by the kinds whose images are files in folders: their content, and what names it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Hashable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from backdoor.datasets.encoded import EncodedDataset
from backdoor.errors import UserError
from backdoor.reading.contents import Contents, EncodedImages, Ids
from backdoor.reading.files import content_hash, existing_folder, listed, wrong_root
from backdoor.reading.folders.classes import Classes, Found
from backdoor.reading.folders.listing import shown
from backdoor.reading.folders.signature import signature
from backdoor.settings.schema import location

#: Files that one thread hashes at a time.
BLOCK = 64


@dataclass(frozen=True, kw_only=True)
class FolderDataset(EncodedDataset):
    """Image files under `root`. A kind says which are read: `found`."""

    root: str | None = location(None)

    def found(self) -> Found:
        """The files of each class, and what is left out; `UserError` says what is wrong."""
        raise NotImplementedError

    def fingerprint(self) -> str:
        return fingerprint_of([self.kind, self.image_size, *self.how()], self.found().parts)

    def signature(self) -> Hashable:
        return signature(self._folder())

    def open(self) -> Contents:
        found = self.found()
        files = [file for part in found.parts for images in part.values() for file in images]
        counts = [len(images) for part in found.parts for images in part.values()]
        numbers = np.concatenate([np.arange(len(part), dtype=np.int64) for part in found.parts])
        images = EncodedImages(len(files), _Files(self._folder(), files).read, self.decoding)
        names = self._names(found.parts[0])
        n_train = sum(map(len, found.parts[0].values()))
        test_from = n_train if len(found.parts) > 1 else None
        return Contents(
            np.repeat(numbers, counts),
            images,
            names,
            test_from,
            left_out=found.left.texts(),
            notes=tuple(found.notes),
            warnings=(*found.left.warnings(), *found.warnings),
        )

    def _folder(self) -> Path:
        """The folder that contains everything."""
        return readable_folder(self.kind, self.root)

    def _names(self, classes: Classes) -> tuple[str, ...]:
        """Names of the classes."""
        return tuple(classes)


@dataclass(frozen=True)
class _Files:
    """Files under `root`, numbered from 0."""

    root: Path
    files: Sequence[Path]

    def read(self, ids: Ids) -> Iterator[tuple[str, Path]]:
        for number in ids.tolist():
            file = self.files[number]
            yield shown(str(file.relative_to(self.root))), file


def readable_folder(kind: str, root: str | None) -> Path:
    """`root` as a folder; `UserError` if it does not exist or cannot be reached."""
    try:
        return existing_folder(kind, root)
    except (OSError, RuntimeError) as error:  # no permission, or ~ of a user who is not there
        remedy = f"Check the path ({error})."
        raise wrong_root("must be a folder that can be read", root, remedy) from None


def fingerprint_of(how: list[object], parts: Sequence[Classes]) -> str:
    """Hex digest of how files are decoded, of the classes, and of the content of their files.

    Raises:
        UserError: with the names of all files that cannot be read.
    """
    digest = hashlib.sha256(json.dumps(how).encode())
    hashes = _hashes([file for part in parts for files in part.values() for file in files])
    for part in parts:
        for name, files in part.items():
            digest.update(json.dumps([name, len(files)]).encode())
            for _ in files:
                digest.update(next(hashes))
        digest.update(b"|")
    return digest.hexdigest()


def _hashes(files: Sequence[Path]) -> Iterator[bytes]:
    """The hash of each file's content, in order; files are read by several threads."""
    blocks = [files[start : start + BLOCK] for start in range(0, len(files), BLOCK)]
    with ThreadPoolExecutor() as threads:
        hashes = [each for block in threads.map(_hash_block, blocks) for each in block]
    if wrong := [each for each in hashes if isinstance(each, UserError)]:
        names = [shown(str(error.mistakes[0].value)) for error in wrong]
        first = wrong[0].mistakes[0]
        raise wrong_root(first.rule, listed(names), first.remedy)
    return iter([each for each in hashes if isinstance(each, bytes)])


def _hash_block(files: Sequence[Path]) -> list[bytes | UserError]:
    return [_hash(file) for file in files]


def _hash(file: Path) -> bytes | UserError:
    try:
        return content_hash(file)
    except UserError as error:
        return error
