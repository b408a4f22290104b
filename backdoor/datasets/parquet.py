"""Parquet files in the image layout of public dataset hubs.

A column `img` or `image` has structs of encoded `bytes` (PNG, JPEG, ...) and `path`, a column
`label` has whole numbers. Files whose names begin with `train` are the training pool; those that
begin with `test`, or else with `valid`, are the test set.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from backdoor.datasets.base import Dataset
from backdoor.datasets.files import content_hash, existing_folder, wrong_root
from backdoor.datasets.pixels import ImageArray, Resize, decode_all
from backdoor.datasets.raw import Raw
from backdoor.settings.schema import Count, location

IMAGE_COLUMNS = ("img", "image")


@dataclass(frozen=True, kw_only=True)
class Parquet(Dataset):
    """Images in Parquet files under the folder `root`.

    image_size: side in pixels to which every image is resized (bilinear); None keeps the sizes,
    which must then be equal. resize: `stretch` the image, or `crop` the square in its middle.
    label_column: the column of class numbers.
    """

    kind: ClassVar[str] = "parquet"
    cached = True

    root: str | None = location(None)
    image_size: Count | None = None
    label_column: str = "label"
    resize: Resize = "stretch"

    def inert(self) -> frozenset[str]:
        # Trials with stretched images keep the ids of before there was a choice.
        return frozenset({"resize"} if not self.image_size or self.resize == "stretch" else ())

    def fingerprint(self) -> str:
        how = [self.image_size, self.label_column]
        how += [] if "resize" in self.inert() else [self.resize]
        digest = hashlib.sha256(json.dumps(how).encode())
        for files in self._files():
            for file in files:
                digest.update(content_hash(file))
            digest.update(b"|")
        return digest.hexdigest()

    def read(self) -> Raw:
        train_files, test_files = self._files()
        try:
            train, train_labels = self._decode(train_files)
            test, test_labels = self._decode(test_files)
        except pa.ArrowException as error:
            rule = "must hold whole Parquet files"
            raise wrong_root(rule, self.root, f"Fetch them again ({error}).") from None
        if train.shape[1:] != test.shape[1:]:
            value = f"{train.shape[1:]} and {test.shape[1:]}"
            rule = "must hold training and test images of one shape"
            raise wrong_root(rule, value, "Give `image_size`, or check the files.")
        labels = np.concatenate([train_labels, test_labels])
        names = _class_names(train_files[0], self.label_column, int(labels.max()) + 1)
        return Raw(np.concatenate([train, test]), labels, names, len(train_labels))

    def _files(self) -> tuple[list[Path], list[Path]]:
        root = existing_folder(self.kind, self.root)
        found = sorted(root.rglob("*.parquet"))

        def named(prefix: str) -> list[Path]:
            return [file for file in found if file.name.lower().startswith(prefix)]

        train, test = named("train"), named("test") or named("valid")
        if not train or not test:
            remedy = f"Found: {', '.join(file.name for file in found) or 'no .parquet file'}."
            raise wrong_root("must hold train*.parquet and test*.parquet", self.root, remedy)
        return train, test

    def _decode(self, files: list[Path]) -> tuple[ImageArray, npt.NDArray[np.int64]]:
        images = decode_all(self._encoded(files), self.image_size, self.resize)
        columns = [pq.ParquetFile(file).read([self.label_column]).column(0) for file in files]
        for file, column in zip(files, columns, strict=True):
            self._check_labels(file, column)
        return images, np.concatenate([c.to_numpy() for c in columns]).astype(np.int64)

    def _check_images(self, file: Path, kind: pa.DataType) -> None:
        if not pa.types.is_struct(kind) or kind.get_field_index("bytes") < 0:
            rule = "must hold its images as a struct with encoded `bytes`"
            raise wrong_root(rule, f"{file.name}: {kind}", "Export them in the hubs' image layout.")

    def _check_labels(self, file: Path, column: pa.ChunkedArray) -> None:
        rule, remedy = "must hold whole numbers >= 0 as labels", "Leave out images without a label."
        if not pa.types.is_integer(column.type) or column.null_count:
            raise wrong_root(rule, f"{file.name}: {column.type}, {column.null_count} empty", remedy)
        lowest = min(column.to_pylist(), default=0)
        if lowest < 0:
            raise wrong_root(rule, f"{file.name}: {lowest}", remedy)

    def _encoded(self, files: list[Path]) -> Iterator[tuple[str, bytes]]:
        """Name and encoded bytes of every image."""
        for file in files:
            rows = itertools.count()
            with pq.ParquetFile(file) as parquet:
                column = self._image_column(file, parquet.schema_arrow)
                self._check_images(file, parquet.schema_arrow.field(column).type)
                for batch in parquet.iter_batches(1024, columns=[column]):
                    for cell in batch.column(column).field("bytes"):
                        yield f"{file.name}, row {next(rows)}", cell.as_py()

    def _image_column(self, file: Path, schema: pa.Schema) -> str:
        names = [name for name in IMAGE_COLUMNS if name in schema.names]
        if not names or self.label_column not in schema.names:
            columns = " or ".join(IMAGE_COLUMNS)
            rule = f"must have a column {columns} and a column {self.label_column}"
            value = f"{file.name}: {', '.join(schema.names)}"
            raise wrong_root(rule, value, "Rename the columns, or set data.label_column.")
        return names[0]


def _class_names(file: Path, column: str, count: int) -> tuple[str, ...]:
    """Names from the metadata of the hub if it has them, else the numbers."""
    metadata = pq.read_schema(file).metadata or {}
    try:
        features = json.loads(metadata[b"huggingface"])["info"]["features"]
        names = tuple(str(name) for name in features[column]["names"])
    except (KeyError, TypeError, ValueError):
        names = ()
    return names if len(names) >= count else tuple(str(i) for i in range(count))
