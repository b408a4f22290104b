"""Hostile data sets: what a case is, and how the outcome is held against what the contract says.

The contract is `backdoor/datasets/README.md`. The cases are in `hostile_labels.py` and its
neighbours, `hostile_*.py`; each writes a small set into a folder, and says what must come of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from backdoor.config import build_data
from backdoor.datasets.source import Source, load_source
from backdoor.datasets.summary import summarize
from backdoor.errors import UserError

Settings = dict[str, Any]


@dataclass(frozen=True)
class Sample:
    """One image of a set: its label, its pixels (h, w) or (h, w, 3) uint8 as they must be read, and
    its encoded content where that is not a PNG file of these pixels."""

    label: Any
    pixels: np.ndarray
    content: bytes | None = None
    suffix: str = ".png"


@dataclass(frozen=True)
class Read:
    """The set is read: class names by number; the images of the training pool and of the test set
    with the names of their classes, in any order (test is None for one pool).

    says: `left_out`, `notes`, `traits` or `warnings` → what it must say, as a regular expression;
    "" is nothing. renumbered: whether whole numbers became others. tolerance: by how much a pixel may
    differ.
    """

    names: tuple[str, ...]
    train: Sequence[tuple[str, np.ndarray]]
    test: Sequence[tuple[str, np.ndarray]] | None
    says: Mapping[str, str] = field(default_factory=dict)
    renumbered: bool = False
    tolerance: int = 0


@dataclass(frozen=True)
class Refused:
    """The set is refused; the regular expressions are found in the text."""

    texts: tuple[str, ...]


@dataclass(frozen=True)
class Case:
    """A hostile set. name: the idea and the reader. write: writes the set below a folder, and
    returns what a spec says under `data`. outcomes: the contract allows any of them."""

    name: str
    write: Callable[[Path], Settings]
    outcomes: tuple[Read | Refused, ...]
    #: Whether torchvision has to open files that are not the published ones.
    unpublished: bool = False


def draw(count: int, shape: tuple[int, ...] = (6, 6, 3), seed: int = 3) -> list[np.ndarray]:
    """Random images, none like another."""
    draw_from = np.random.default_rng([seed, count, *shape])
    return list(draw_from.integers(0, 256, (count, *shape), dtype=np.uint8))


def label_all(labels: Sequence[Any], shape: tuple[int, ...] = (6, 6, 3), seed: int = 3) -> list[Sample]:  # fmt: skip
    """A random image for each label."""
    images = draw(len(labels), shape, seed)
    return [Sample(label, pixels) for label, pixels in zip(labels, images, strict=True)]


def expect(
    names: Sequence[str], train: Sequence[Sample], test: Sequence[Sample] | None, called: Any = str, **more: Any
) -> Read:  # fmt: skip
    """That these samples are read. called: label → name of its class."""
    parts = [None if part is None else [(called(s.label), s.pixels) for s in part] for part in (train, test)]  # fmt: skip
    assert parts[0] is not None
    return Read(tuple(names), parts[0], parts[1], **more)


def load(settings: Settings) -> Source:
    return load_source(build_data(settings))


def outcome_of(settings: Settings) -> Source | UserError:
    """What was read, or the refusal; any other exception is a failure of the reader."""
    try:
        return load(settings)
    except UserError as error:
        return error


def disagreement(settings: Settings, found: Source | UserError, outcomes: Sequence[Read | Refused]) -> str:  # fmt: skip
    """Why what was found is none of the outcomes that the contract allows; "" if it is one."""
    reasons = [_against(settings, found, outcome) for outcome in outcomes]
    return "" if "" in reasons else " | ".join(reasons)


def _against(settings: Settings, found: Source | UserError, outcome: Read | Refused) -> str:
    if isinstance(outcome, Read):
        if isinstance(found, UserError):
            return f"refused: {found}"
        return against_read(found, outcome) or _against_said(settings, found, outcome)
    if not isinstance(found, UserError):
        counts = np.bincount(found.labels).tolist()[:20]
        return f"read, as {found.class_names[:20]} with {counts} images, and not refused for {outcome.texts}"  # fmt: skip
    return against_refusal(found, outcome)


def against_refusal(error: UserError, outcome: Refused) -> str:
    """Place, rule, value and remedy of every mistake have their form, and say what they must."""
    text = str(error)
    for mistake in error.mistakes:
        if not mistake.place or not mistake.rule.startswith("must"):
            return f"no place or rule: {mistake}"
        if not re.search(r"[.)]$", mistake.remedy) or "Traceback" in text:
            return f"no remedy: {mistake}"
    lacking = [regex for regex in outcome.texts if not re.search(regex, text, re.IGNORECASE)]
    return f"the refusal {text!r} does not say {lacking}" if lacking else ""


def against_read(source: Source, outcome: Read) -> str:
    """Class names, split sizes, label and pixels of each image."""
    if source.class_names != outcome.names:
        return f"the classes are {source.class_names[:20]}, not {outcome.names}"
    if (source.test_from is None) != (outcome.test is None):
        return f"test images begin at {source.test_from}"
    channels = max(3 if pixels.ndim == 3 else 1 for _, pixels in (*outcome.train, *(outcome.test or ())))  # fmt: skip
    if source.shape[0] != channels:
        return f"{source.shape[0]} channels, not {channels}"
    border = len(source.labels) if source.test_from is None else source.test_from
    kept = [source.kept[source.kept < border], source.kept[source.kept >= border]]
    for word, ids, part in zip(("training", "test"), kept, (outcome.train, outcome.test or ()), strict=True):  # fmt: skip
        reason = _against_part(source, ids, part, outcome.tolerance)
        if reason:
            return f"{word} images: {reason}"
    return "" if source.renumbered == outcome.renumbered else f"renumbered: {source.renumbered}"


def _against_part(source: Source, ids: np.ndarray, part: Sequence[tuple[str, np.ndarray]], tolerance: int) -> str:  # fmt: skip
    if len(ids) != len(part):
        return f"{len(ids)}, not {len(part)}"
    left = [(source.class_names[source.labels[i]], source.images[i]) for i in ids]
    for name, pixels in part:
        planes = as_planes(pixels, source.shape[0])
        alike = [n for n, (label, image) in enumerate(left) if label == name and _alike(image, planes, tolerance)]  # fmt: skip
        if not alike:
            return f"none of class {name} has the pixels {planes[:, :2, :3].tolist()} ..., {planes.shape}; there are {[(label, image[:, :2, :3].tolist()) for label, image in left][:3]}"  # fmt: skip
        del left[alike[0]]
    return ""


def _alike(image: np.ndarray, planes: np.ndarray, tolerance: int) -> bool:
    if image.shape != planes.shape:
        return False
    return int(np.abs(image.astype(int) - planes.astype(int)).max()) <= tolerance


def as_planes(pixels: np.ndarray, channels: int) -> np.ndarray:
    """(h, w) or (h, w, 3) as (c, h, w); grey becomes three equal channels where there is colour."""
    planes = pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
    return np.broadcast_to(planes, (channels, *planes.shape[1:])) if len(planes) == 1 else planes


def _against_said(settings: Settings, source: Source, outcome: Read) -> str:
    if not outcome.says:
        return ""
    summary = summarize(build_data({**settings, **smallest_splits(outcome)}), source, seed=0)
    for name, regex in outcome.says.items():
        given = source.facts.traits if name == "traits" else getattr(summary, name)
        if bool(given) if regex == "" else not re.search(regex, str(given), re.IGNORECASE):
            return f"{name}: {given}, not {regex!r}"
    return ""


def smallest_splits(outcome: Read) -> Settings:
    """Settings by which most images of a small set are training images."""
    return {"validation": 1} if outcome.test is not None else {"validation": 1, "test": 3}
