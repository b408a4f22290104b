"""Parquet files in the image layout of public dataset hubs.

A column `img` or `image` holds a struct of encoded `bytes` (PNG, JPEG, ...) and `path`, a column
`label` whole numbers. Files whose name begins with `train` are the training pool; `test`, or
else `valid...`, the test set.
"""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from backdoor.datasets import Dataset, Raw
from backdoor.errors import Mistake, UserError
from backdoor.schema import Count, location

IMAGE_COLUMNS = ("img", "image")


@dataclass(frozen=True, kw_only=True)
class Parquet(Dataset):
    """Images in Parquet files under the folder `root`.

    image_size: side in pixels to which every image is resized (bilinear); None leaves them, and
    then all must be of one size. label_column: the column of class numbers.
    """

    kind: ClassVar[str] = "parquet"
    cached = True

    root: str | None = location(None)
    image_size: Count | None = None
    label_column: str = "label"

    def fingerprint(self) -> str:
        digest = hashlib.sha256(json.dumps([self.image_size, self.label_column]).encode())
        for files in self._files():
            for file in files:
                with file.open("rb") as stream:
                    digest.update(hashlib.file_digest(stream, "sha256").digest())
            digest.update(b"|")
        return digest.hexdigest()

    def read(self) -> Raw:
        train_files, test_files = self._files()
        train, train_labels = self._decode(train_files)
        test, test_labels = self._decode(test_files)
        if not len(train_labels) or train.shape[1:] != test.shape[1:]:
            value = f"{train.shape[1:]} and {test.shape[1:]}"
            raise self._wrong(
                "must hold training and test images of one shape",
                value,
                "Give `image_size`, or check the files.",
            )
        labels = np.concatenate([train_labels, test_labels])
        names = _class_names(train_files[0], self.label_column, int(labels.max()) + 1)
        return Raw(np.concatenate([train, test]), labels, names, len(train_labels))

    def _wrong(self, rule: str, value: Any, remedy: str) -> UserError:
        return UserError(Mistake("root", rule, value, remedy))

    def _files(self) -> tuple[list[Path], list[Path]]:
        if self.root is None:
            raise self._wrong(
                "must be given for `parquet`", None, "Set it: --set data.root=FOLDER."
            )
        root = Path(self.root).expanduser()
        if not root.is_dir():
            raise self._wrong("must be a folder that exists", self.root, "Check the path.")
        found = sorted(root.rglob("*.parquet"))

        def named(prefix: str) -> list[Path]:
            return [file for file in found if file.name.lower().startswith(prefix)]

        train, test = named("train"), named("test") or named("valid")
        if not train or not test:
            raise self._wrong(
                "must hold train*.parquet and test*.parquet",
                self.root,
                f"Found: {', '.join(file.name for file in found) or 'no .parquet file'}.",
            )
        return train, test

    def _decode(self, files: list[Path]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
        images: list[npt.NDArray[np.uint8]] = []
        labels: list[npt.NDArray[np.int64]] = []
        for file in files:
            with pq.ParquetFile(file) as parquet:
                column = self._image_column(file, parquet.schema_arrow)
                for batch in parquet.iter_batches(1024, columns=[column, self.label_column]):
                    encoded = batch.column(column).field("bytes")
                    images.append(np.stack([self._pixels(cell.as_py()) for cell in encoded]))
                    labels.append(batch.column(self.label_column).to_numpy().astype(np.int64))
        return np.concatenate(images), np.concatenate(labels)

    def _image_column(self, file: Path, schema: pa.Schema) -> str:
        names = [name for name in IMAGE_COLUMNS if name in schema.names]
        if not names or self.label_column not in schema.names:
            rule = (
                f"must have a column {' or '.join(IMAGE_COLUMNS)} and a column {self.label_column}"
            )
            raise self._wrong(
                rule,
                f"{file.name}: {', '.join(schema.names)}",
                "Rename the columns, or set data.label_column.",
            )
        return names[0]

    def _pixels(self, encoded: bytes) -> npt.NDArray[np.uint8]:
        """One image as (c, h, w) uint8; c is 1 for grey images, else 3."""
        with Image.open(io.BytesIO(encoded)) as opened:
            image = opened.convert("L" if opened.mode in ("1", "L", "I;16") else "RGB")
        if self.image_size is not None:
            side = self.image_size
            image = image.resize((side, side), Image.Resampling.BILINEAR)
        pixels = np.asarray(image, dtype=np.uint8)
        return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def _class_names(file: Path, column: str, count: int) -> tuple[str, ...]:
    """Names from the hub's metadata where it carries them, else the numbers."""
    metadata = pq.read_schema(file).metadata or {}
    try:
        features = json.loads(metadata[b"huggingface"])["info"]["features"]
        names = tuple(str(name) for name in features[column]["names"])
    except (KeyError, TypeError, ValueError):
        names = ()
    return names if len(names) >= count else tuple(str(i) for i in range(count))
