"""Arrays in one .npz file, as numpy.savez writes them; the set may be poisoned already."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from backdoor.datasets.base import Dataset
from backdoor.reading.contents import Contents, Ids, Item
from backdoor.reading.files import content_hash, given_root, state_of, wrong_root
from backdoor.reading.npz_members import Array, Header, NpzMembers
from backdoor.reading.pixels import Decoded
from backdoor.settings.schema import location, suggest

NEEDED = ("images", "labels")
OPTIONAL = ("test_images", "test_labels", "class_names", "poisoned")


@dataclass(frozen=True, kw_only=True)
class Arrays(Dataset):
    """Arrays in the .npz file `root`: images, labels, and what else there is.

    images: (n, h, w), (n, h, w, c) or (n, c, h, w) uint8, c being 1 or 3. labels: (n,) whole
    numbers >= 0, or text. test_images, test_labels: the source's own test set; without them, there
    is one pool. class_names: (k,) text; by default the numbers. poisoned: (n,) bool, which of
    `images` are poisoned already, with poisoned labels. They are used for training only, never for
    validation or test, so that clean accuracy is measured on clean images. A trial at poison rate 0
    trains on them as they are; a sweep poisons further images. Pickled content is never opened.
    """

    kind: ClassVar[str] = "arrays"
    cached = True
    quick_open = True

    root: str | None = location(None)

    def signature(self) -> Hashable:
        return state_of([given_root(self.kind, self.root, "FILE.npz")])

    def fingerprint(self) -> str:
        return hashlib.sha256(self.kind.encode() + content_hash(self._file())).hexdigest()

    def open(self) -> Contents:
        """The labels, and images that are read one after another."""
        members = self._members()
        images, labels = [_Part(members, "images")], [_labels(members, "labels", "images")]
        if "test_images" in members:
            images.append(_Part(members, "test_images"))
            labels.append(_labels(members, "test_labels", "test_images"))
            _alike(images, labels)
        joined = np.concatenate(labels)
        names, mask = _class_names(members, joined), _mask(members, len(joined))
        test_from = len(labels[0]) if len(labels) > 1 else None
        return Contents(joined, _Parts(tuple(images)), names, test_from, mask)

    def _file(self) -> Path:
        file = given_root(self.kind, self.root, "FILE.npz")
        if not os.path.isfile(file):
            raise wrong_root("must be an .npz file that exists", self.root, "Check the path.")
        return file

    def _members(self) -> NpzMembers:
        """The arrays of the file: their names are known, and none is missing."""
        members, known = NpzMembers(self._file()), [*NEEDED, *OPTIONAL]
        for name in members.headers:
            if name not in known:
                rule = f"must hold no other arrays than {', '.join(known)}"
                raise wrong_root(rule, name, suggest(name, known))
        tests = [name for name in ("test_images", "test_labels") if name in members]
        needed = [*NEEDED, *(("test_images", "test_labels") if tests else ())]
        if missing := [name for name in needed if name not in members]:
            found = list(members.headers)
            raise wrong_root(f"must hold {', '.join(missing)}", found, "Add what lacks.")
        return members


class _Part:
    """The training or the test images, as (n, c, h, w). Of four axes, the second or the last is the
    channels if it is 1 or 3."""

    def __init__(self, members: NpzMembers, name: str) -> None:
        self._members, self._name = members, name
        header = members.headers[name]
        self._axes = _axes(header, name)
        self.count, *row = header.shape
        self.shape = tuple(row[axis] for axis in self._axes) if len(row) == 3 else (1, *row)

    def items(self, numbers: list[int]) -> Iterator[Item]:
        rows = self._members.rows(self._name, numbers)
        for number, row in zip(numbers, rows, strict=True):
            image = row.transpose(self._axes) if row.ndim == 3 else row[None]
            yield f"{self._name}[{number}]", partial(Decoded, image)


@dataclass(frozen=True)
class _Parts:
    """Training and test images as one sequence."""

    parts: tuple[_Part, ...]

    def __len__(self) -> int:
        return sum(part.count for part in self.parts)

    def items(self, ids: Ids) -> Iterator[Item]:
        begin = 0
        for part in self.parts:
            inside = ids[(ids >= begin) & (ids < begin + part.count)] - begin
            yield from part.items(inside.tolist())
            begin += part.count


def _axes(header: Header, name: str) -> tuple[int, int, int]:
    """The order of the axes of one image that makes it (c, h, w)."""
    shape = header.shape
    if header.dtype != np.uint8:
        remedy = "Scale fractions by 255, round, and store them as uint8."
        raise wrong_root(f"must hold `{name}` as uint8, 0 to 255", str(header.dtype), remedy)
    if len(shape) not in (3, 4) or 0 in shape:
        rule = f"must hold `{name}` as (n, h, w), (n, h, w, c) or (n, c, h, w), none of them 0"
        raise wrong_root(rule, shape, "Reshape them.")
    if len(shape) == 3:
        return 0, 1, 2
    first, last = shape[1] in (1, 3), shape[3] in (1, 3)
    if first and last:
        rule = f"must tell where the channels of `{name}` are: the second or last axis is 1 or 3"
        remedy = "Here both are. Store grey images as (n, h, w); let colour ones be larger."
        raise wrong_root(rule, shape, remedy)
    if not first and not last:
        rule = f"must hold `{name}` with 1 or 3 channels, as the second or the last axis"
        raise wrong_root(rule, shape, "Convert them to grey or to RGB.")
    return (0, 1, 2) if first else (2, 0, 1)


def _alike(images: list[_Part], labels: list[Array]) -> None:
    """Training and test images are of one shape, and their labels of one kind."""
    if images[0].shape != images[1].shape:
        value = f"{images[0].shape} and {images[1].shape} as (c, h, w)"
        raise wrong_root("must hold images of one shape", value, "Resize them.")
    if (labels[0].dtype.kind == "U") != (labels[1].dtype.kind == "U"):
        value = f"{labels[0].dtype} and {labels[1].dtype}"
        rule = "must hold `labels` and `test_labels` of one type"
        raise wrong_root(rule, value, "Store both as whole numbers, or both as text.")


def _labels(members: NpzMembers, name: str, beside: str) -> Array:
    count, header = members.headers[beside].shape[:1], members.headers[name]
    if header.shape != count or header.dtype.kind not in "iuU":
        rule = f"must hold `{name}` as {count[0]} whole numbers or text, one an image"
        remedy = "Store class numbers, or names of classes."
        raise wrong_root(rule, f"{header.dtype}, shape {header.shape}", remedy)
    return members.array(name)


def _class_names(members: NpzMembers, labels: Array) -> tuple[str, ...]:
    """Names of the labels 0, 1, ..., or none."""
    if "class_names" not in members:
        return ()
    header = members.headers["class_names"]
    if labels.dtype.kind == "U":
        rule = "must hold no `class_names` beside labels that are text"
        remedy = "Leave it out, or store whole numbers as labels."
        raise wrong_root(rule, f"shape {header.shape}", remedy)
    most = int(labels.max(initial=0))
    if header.dtype.kind != "U" or len(header.shape) != 1 or header.shape[0] <= most:
        rule = f"must hold `class_names` as a list of text for the labels 0 to {most}"
        raise wrong_root(rule, f"{header.dtype}, shape {header.shape}", "Name every class.")
    return tuple(str(name) for name in members.array("class_names"))


def _mask(members: NpzMembers, images: int) -> npt.NDArray[np.bool_] | None:
    """(images,) bool, False for test images."""
    if "poisoned" not in members:
        return None
    header, count = members.headers["poisoned"], members.headers["images"].shape[0]
    if header.dtype != np.bool_ or header.shape != (count,):
        rule = f"must hold `poisoned` as {count} booleans, one a training image"
        value = f"{header.dtype}, shape {header.shape}"
        raise wrong_root(rule, value, "Store a mask, not numbers.")
    mask = np.zeros(images, dtype=bool)
    mask[:count] = members.array("poisoned")
    return mask
