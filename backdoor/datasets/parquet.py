"""Parquet files, as public hubs lay out sets of images or as other programs write them."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from backdoor.datasets.encoded import EncodedDataset
from backdoor.errors import UserError
from backdoor.reading.contents import Contents, EncodedImages
from backdoor.reading.files import existing_folder, given_root, listed, state_of, wrong_root
from backdoor.reading.other_kinds import other_kind
from backdoor.reading.tables.named_files import content_hashes
from backdoor.reading.tables.parquet_choice import image_column
from backdoor.reading.tables.parquet_files import Found, Part, find_parts, former_files, other_files
from backdoor.reading.tables.parquet_images import ImageColumn
from backdoor.reading.tables.parquet_labels import class_names, read_labels, same_names
from backdoor.reading.tables.parquet_tables import count_rows, open_tables
from backdoor.settings.schema import location


@dataclass(frozen=True, kw_only=True)
class Parquet(EncodedDataset):
    """Images in Parquet files under the folder `root`: one file or numbered shards for each split.

    image_column: the column of images, by default `img`, else `image`; its values are encoded bytes
    (PNG, JPEG, ...), structs with `bytes` or `path`, or paths that begin at the folder of the file.
    label_column: the column of labels: whole numbers, text or booleans. config: the configuration
    to read, where there are several.
    """

    kind: ClassVar[str] = "parquet"

    root: str | None = location(None)
    label_column: str = "label"
    image_column: str | None = None
    config: str | None = None

    def inert(self) -> frozenset[str]:
        # Trials of before there was a choice keep their ids.
        unset = {name for name in ("image_column", "config") if getattr(self, name) is None}
        return super().inert() | unset

    def fingerprint(self) -> str:
        found = self._found()
        own = self._digest([part.file for part in found.train], [part.file for part in found.test])
        files = self._images(found).files
        # Images in files of their own are content, too.
        return (
            hashlib.sha256(b"".join([own, *content_hashes(files)])).hexdigest()
            if files
            else own.hex()
        )

    def identity(self) -> dict[str, Any]:
        # Rows of before have `resize` behind the label column.
        found = super().identity()
        if "resize" in found:
            found["resize"] = found.pop("resize")
        return found

    def signature(self) -> Hashable:
        found = self._found()
        parts = [part.file for part in (*found.train, *found.test)]
        return state_of(parts), state_of(self._images(found).files)

    def former_fingerprints(self) -> Iterable[tuple[str, str]]:
        found = self._found()
        former = former_files(self._folder())
        now = ([part.file for part in found.train], [part.file for part in found.test])
        if former != now and all(former):
            yield self._digest(*former).hex(), "which Parquet files belong to a split"

    def open(self) -> Contents:
        found = self._found()
        images = self._images(found)
        tables, train = images.tables, len(found.train)
        if mistakes := same_names(tables, self.label_column):
            raise UserError(mistakes)
        labels = read_labels(tables[:train], tables[train:], self.label_column)
        left_out = (*found.left_out, *other_files(found.beside, images.files))
        return Contents(
            labels,
            EncodedImages(len(labels), images.read, self.decoding),
            class_names(tables[0], self.label_column, labels),
            sum(table.rows for table in tables[:train]),
            left_out=(*_validation(found.validation), *left_out),
            notes=(*found.notes, *images.notes),
        )

    def _folder(self) -> Path:
        root = given_root(self.kind, self.root)
        if os.path.isfile(root):
            remedy = f"Name the folder that it is in: --set data.root={root.parent}."
            remedy = other_kind(self.kind, root) or remedy
            raise wrong_root("must be a folder", self.root, remedy)
        return existing_folder(self.kind, self.root)

    def _found(self) -> Found:
        return find_parts(self._folder(), self.config)

    def _images(self, found: Found) -> ImageColumn:
        tables = open_tables([(part.name, part.file) for part in (*found.train, *found.test)])
        return image_column(tables, self.image_column, self.label_column)

    def _digest(self, train: Sequence[Path], test: Sequence[Path]) -> bytes:
        how: list[object] = [self.image_size, self.label_column, *self.how()]
        given = {"image_column": self.image_column, "config": self.config}
        how += [{name: value} for name, value in given.items() if value is not None]
        digest = hashlib.sha256(json.dumps(how).encode())
        for files in (train, test):
            for content in content_hashes(files):
                digest.update(content)
            digest.update(b"|")
        return digest.digest()


def _validation(parts: Sequence[Part]) -> list[str]:
    """The validation images that are left out, as far as their files can be read."""
    if not parts:
        return []
    counts = [count_rows(part.file) for part in parts]
    number = f"{sum(counts)} validation images" if all(counts) else "validation images"
    return [f"{number} ({listed([part.name for part in parts])})"]
