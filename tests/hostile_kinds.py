"""Kinds of data set as users write them, for the contract test: they return whatever a file holds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from backdoor.datasets.base import Dataset, Raw
from backdoor.reading.contents import Contents, EncodedImages
from backdoor.reading.pixels import Decoding
from backdoor.settings.schema import location


@dataclass(frozen=True, kw_only=True)
class OwnRead(Dataset):
    """Returns the arrays of the file `root` from `read`, unchecked."""

    root: str | None = location(None)

    def fingerprint(self) -> str:
        return hashlib.sha256(Path(str(self.root)).read_bytes()).hexdigest()

    def read(self) -> Raw:
        with np.load(str(self.root), allow_pickle=True) as opened:
            found: dict[str, Any] = {name: opened[name] for name in opened.files}
        names = tuple(str(name) for name in found["class_names"])
        test_from = int(found["test_from"]) if "test_from" in found else None
        return Raw(found["images"], found["labels"], names, test_from, found.get("poisoned"))


@dataclass(frozen=True, kw_only=True)
class OwnOpen(Dataset):
    """Returns what the folder `root` holds from `open`, before anything is decoded."""

    cached = True

    root: str | None = location(None)

    def fingerprint(self) -> str:
        content = [file.read_bytes() for file in sorted(Path(str(self.root)).iterdir())]
        return hashlib.sha256(b"|".join(content)).hexdigest()

    def open(self) -> Contents:
        folder = Path(str(self.root))
        stated = json.loads((folder / "stated.json").read_text())

        def read(ids: np.ndarray) -> Iterator[tuple[str, bytes | Path]]:
            for number in ids.tolist():
                yield f"image {number}", folder / f"{number}.bin"

        images = EncodedImages(stated["count"], read, Decoding())
        labels = np.load(folder / "labels.npy")
        return Contents(labels, images, stated["names"], stated["test_from"])
