"""Image files, one folder for each class, as torchvision.datasets.ImageFolder reads them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from backdoor.datasets.base import Dataset
from backdoor.datasets.files import content_hash, existing_folder, listed, wrong_root
from backdoor.datasets.pixels import Resize, decode_all
from backdoor.datasets.raw import Raw
from backdoor.settings.schema import Count, location
from backdoor.settings.user_file import EXTENSIONS, image_files

#: Folders of test images beside `train`; the first one that exists is used.
TEST_FOLDERS = ("test", "val")

Classes = dict[str, list[Path]]


@dataclass(frozen=True, kw_only=True)
class ImageFolder(Dataset):
    """Image files under `root`: train/CLASS/ and test/CLASS/ (or val/CLASS/), or CLASS/ alone.

    Classes are numbered in alphabetical order. All images below the folder of a class belong to it;
    hidden files and folders are ignored. Without a folder `train` there is one pool. image_size:
    side in pixels to which every image is resized (bilinear); None keeps the sizes, which must then
    be equal. resize: `stretch` the image, or `crop` the square in its middle.
    """

    kind: ClassVar[str] = "image_folder"
    cached = True

    root: str | None = location(None)
    image_size: Count | None = None
    resize: Resize = "stretch"

    def inert(self) -> frozenset[str]:
        # Trials with stretched images keep the ids of before there was a choice.
        return frozenset({"resize"} if not self.image_size or self.resize == "stretch" else ())

    def fingerprint(self) -> str:
        how = [self.kind, self.image_size, *([] if "resize" in self.inert() else [self.resize])]
        digest = hashlib.sha256(json.dumps(how).encode())
        for part in self._parts():
            for name, files in part.items():
                digest.update(json.dumps([name, len(files)]).encode())
                for file in files:
                    digest.update(content_hash(file))
            digest.update(b"|")
        return digest.hexdigest()

    def read(self) -> Raw:
        parts = self._parts()
        files = [file for part in parts for found in part.values() for file in found]
        labels = [i for part in parts for i, found in enumerate(part.values()) for _ in found]
        images = decode_all(self._encoded(files), self.image_size, self.resize)
        n_train = sum(len(found) for found in parts[0].values())
        test_from = n_train if len(parts) > 1 else None
        return Raw(images, np.asarray(labels, dtype=np.int64), self._names(parts[0]), test_from)

    def _folder(self) -> Path:
        """The folder that contains everything."""
        return existing_folder(self.kind, self.root)

    def _names(self, classes: Classes) -> tuple[str, ...]:
        """Names of the classes."""
        return tuple(classes)

    def _encoded(self, files: list[Path]) -> Iterator[tuple[str, bytes]]:
        root = self._folder()
        for file in files:
            yield str(file.relative_to(root)), file.read_bytes()

    def _parts(self) -> list[Classes]:
        """The training pool and the test set, or the only pool; each is class → its files."""
        root = self._folder()
        test = next((root / name for name in TEST_FOLDERS if (root / name).is_dir()), None)
        if not (root / "train").is_dir() and test is None:
            return [self._classes(root)]
        if not (root / "train").is_dir() or test is None:
            lacking = "test/ or val/" if test is None else "train/"
            rule = "must hold train/ and test/ (or val/), or neither and a folder for each class"
            raise wrong_root(rule, self.root, f"Add {lacking}, with a folder for each class.")
        parts = [self._classes(root / "train"), self._classes(test)]
        only = [sorted(set(a) - set(b)) for a, b in (parts, parts[::-1])]
        if any(only):
            texts = [
                f"only in {place}/: {listed(names)}"
                for place, names in zip(("train", test.name), only, strict=True)
                if names
            ]
            rule = f"must have the same classes in train/ and {test.name}/"
            raise wrong_root(rule, "; ".join(texts), "Add, rename or remove class folders.")
        return parts

    def _classes(self, folder: Path) -> Classes:
        names = sorted(e.name for e in folder.iterdir() if e.is_dir() and e.name[0] != ".")
        classes = {name: image_files(folder / name) for name in names}
        if len(classes) < 2:
            rule = "must hold two or more class folders"
            value = f"{folder}: {listed(names)}" if names else str(folder)
            raise wrong_root(rule, value, "Put the images of each class into a folder of its own.")
        empty = [name for name, files in classes.items() if not files]
        if empty:
            rule = f"must hold images ({' '.join(EXTENSIONS)}) in every class folder"
            value = listed([str(folder / name) for name in empty])
            raise wrong_root(rule, value, "Fill or remove these folders.")
        return classes
