"""Tiny ImageNet: 200 classes of ImageNet at 64 x 64 pixels (Stanford CS231n)."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from backdoor.datasets.published_folders import PublishedFolders
from backdoor.reading.files import wrong_root
from backdoor.reading.folders.classes import Classes


@dataclass(frozen=True, kw_only=True)
class TinyImageNet(PublishedFolders):
    """Photographs of 200 things, 64 x 64 colour pixels: 100,000 for training, 10,000 for testing.

    `root` holds tiny-imagenet-200, or is that folder: train/CLASS/images, and val/images with
    val/val_annotations.txt, which names their classes. Its own test folder has no labels and is
    not read. Class names come from words.txt if it exists. image_size: side in pixels to which
    every image is resized; None keeps 64.
    """

    kind: ClassVar[str] = "tiny_imagenet"
    LABEL_FILES = ("words.txt", "val/val_annotations.txt")

    def _folder(self) -> Path:
        return self._inside("tiny-imagenet-200")

    def _parts(self) -> list[Classes]:
        folder = self._folder()
        annotations = folder / "val" / "val_annotations.txt"
        self._need(folder / "train", folder / "val" / "images", annotations)
        train = self._classes(folder / "train")
        names = list(train)
        rows = [row for row in _rows(annotations) if len(row) > 1]
        if unknown := sorted({row[1] for row in rows} - set(names)):
            rule = "must have a folder in train/ for every class of val/val_annotations.txt"
            raise wrong_root(rule, unknown[0], "Fetch the set again.")
        files = [folder / "val" / "images" / row[0] for row in rows]
        return [train, self._grouped(files, [names.index(row[1]) for row in rows], names)]

    def _names(self, classes: Classes) -> tuple[str, ...]:
        words = self._folder() / "words.txt"
        known = dict(row[:2] for row in _rows(words) if len(row) > 1) if words.is_file() else {}
        return tuple(known.get(number, number) for number in classes)


def _rows(file: Path) -> list[list[str]]:
    """The fields of a file, separated by tabs."""
    with file.open(encoding="utf-8", newline="") as stream:
        return list(csv.reader(stream, delimiter="\t", quoting=csv.QUOTE_NONE))
