"""Shared by the data sets of torchvision: a root, an optional download, clear errors.

The kinds are in files of their own. Each names its class in `torchvision.datasets`, the files
that it consists of, and how torchvision reads them.
"""

from __future__ import annotations

import hashlib
import os
import textwrap
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from backdoor.datasets.base import Dataset
from backdoor.datasets.raw import Raw
from backdoor.reading.files import content_hash, given_root, listed, state_of, wrong_root
from backdoor.settings.schema import location

Part = tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64], tuple[str, ...]]

#: What torchvision's readers raise for damaged files, depending on which bytes are wrong.
DAMAGED = (AssertionError, LookupError, OSError, RuntimeError, TypeError, ValueError)


@dataclass(frozen=True, kw_only=True)
class TorchvisionFiles(Dataset):
    """Images of a published data set, in the files and folders that torchvision expects.

    root: the folder that torchvision calls `root`. download: whether torchvision may fetch missing
    files; only the process that starts a sweep does, workers find the files under `root`.
    """

    cached = True

    root: str | None = location(None)
    download: bool = location(False)

    def source_class(self) -> Any:
        """The class in `torchvision.datasets`, imported here since few commands need it."""
        raise NotImplementedError

    def file_names(self) -> Sequence[str]:
        """All files that torchvision reads, relative to `root`."""
        raise NotImplementedError

    def read_part(self, train: bool) -> Part:
        """Images (n, c, h, w) uint8, labels (n,) int64 and class names, read by torchvision."""
        raise NotImplementedError

    def fetch_all(self) -> None:
        """Lets torchvision download all files of `file_names`."""
        self.source_class()(given_root(self.kind, self.root), download=True)

    def fingerprint(self) -> str:
        self._provide()
        folder, digest = given_root(self.kind, self.root), hashlib.sha256(self.kind.encode())
        for name in self.file_names():
            digest.update(content_hash(folder / name))
        return digest.hexdigest()

    def signature(self) -> Hashable:
        self._provide()
        folder = given_root(self.kind, self.root)
        return state_of(folder / name for name in self.file_names())

    def read(self) -> Raw:
        self._provide()
        train, train_labels, names = self._checked(True)
        test, test_labels, _ = self._checked(False)
        labels = np.concatenate([train_labels, test_labels])
        return Raw(np.concatenate([train, test]), labels, names, len(train))

    def _missing(self) -> list[str]:
        folder = given_root(self.kind, self.root)
        return [name for name in self.file_names() if not os.path.isfile(folder / name)]

    def _provide(self) -> None:
        """Lets torchvision fetch missing files, or raises an error with both ways to get them."""
        missing = self._missing()
        if missing and self.download:
            self._fetch()
            missing = self._missing()
        if missing:
            rule = f"must be the folder of `{self.kind}` as torchvision lays it out"
            remedy = (
                f"Missing: {listed(missing)}. Point data.root at the folder that holds them, or "
                "let torchvision fetch them: --set data.download=true."
            )
            raise wrong_root(rule, self.root, remedy)

    def _fetch(self) -> None:
        try:
            self.fetch_all()
        except (OSError, RuntimeError) as error:
            rule = f"must be a folder into which torchvision can fetch `{self.kind}`"
            remedy = f"Fetch it elsewhere and point data.root at it ({_in_short(error)})."
            raise wrong_root(rule, self.root, remedy) from None

    def _checked(self, train: bool) -> Part:
        """A complete part: one label for each image, each of a known class."""
        try:
            images, labels, names = self.read_part(train)
            if not len(images) or len(images) != len(labels):
                raise ValueError(f"{len(images)} images and {len(labels)} labels")
            if not 0 <= labels.min() <= labels.max() < len(names):
                raise ValueError(f"labels from {labels.min()} to {labels.max()}")
        except DAMAGED as error:
            rule = f"must hold undamaged {'training' if train else 'test'} files of `{self.kind}`"
            remedy = (
                f"Restore them, or delete them and --set data.download=true ({_in_short(error)})."
            )
            raise wrong_root(rule, self.root, remedy) from None
        return images, labels, names


def _in_short(error: Exception) -> str:
    return textwrap.shorten(str(error), 160, placeholder=" ...") or type(error).__name__
