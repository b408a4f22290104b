"""How much a trigger changes: images that differ at all, and by how many grey levels, by class.

A trigger that changes nothing attacks nothing, and every defence seems to withstand it: a faint
blend that is rounded away, a black patch in a corner that is black already. Stamped here is what
trials measure attack success on, through `stamped`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from backdoor.datasets.labelled_images import checked_arrays, checked_ids, whole
from backdoor.errors import UserError
from backdoor.reading.cache import SomeImages
from backdoor.settings.kind_checks import mistakes_of
from backdoor.settings.plain import plain_settings
from backdoor.settings.registry import TRIGGERS
from backdoor.triggers.base import Trigger
from backdoor.triggers.donors import DonorImages
from backdoor.triggers.stamping import measured_form, stamped

Ids = npt.NDArray[np.int64]
Images = npt.NDArray[np.uint8] | SomeImages

#: A trigger is weak in a class if it changes less than this percentage of the class's images.
LEAST_PERCENT = 1
#: So many images of a class are looked at to tell whether a trigger is weak there: of larger
#: classes, images at even distances.
MOST_IMAGES = 2000
#: Grey levels stamped at once: triggers compute in float64, which takes eight times the memory.
VALUES_AT_ONCE = 2**22


@dataclass(frozen=True)
class ClassChange:
    """What a trigger changes in the images of one class.

    changed: images of which at least one grey level differs. images: how many were stamped. mean:
    mean absolute difference in grey levels, 0 to 255, over all pixels and channels of all of them.
    """

    changed: int
    images: int
    mean: float

    @property
    def weak(self) -> bool:
        """Whether less than `LEAST_PERCENT` of the images are changed."""
        return 100 * self.changed < LEAST_PERCENT * self.images


def trigger_change(
    trigger: Trigger | Mapping[str, Any] | str,
    images: npt.NDArray[np.uint8],
    labels: Ids,
    seed: int = 0,
    ids: Ids | None = None,
) -> dict[int, ClassChange]:
    """What a trigger changes in test images, by class.

    Example:
        change = trigger_change({"kind": "blend", "opacity": 0.2}, test.images, test.labels)
        change[3].changed, change[3].images, change[3].mean

    Args:
        trigger: a `Trigger`, or its name or mapping as a spec has it under `attack.trigger`.
        images: (n, c, h, w) uint8, 0 black to 255 white, not written to. labels: (n,) int64, true
            classes from 0.
        seed: that of the trial, for triggers that depend on it.
        ids: (n,) int64, the number of each image, for triggers that differ from image to image; by
            default its position.

    Returns:
        For each class that occurs, in ascending order, the counts and the mean change, from 0 to
        255, of its images with the trigger in its form for test images. A trigger that takes parts
        of other training images takes them from `images` here.

    Raises:
        UserError: the arrays or the trigger are wrong, or do not fit each other.
    """
    images, labels = checked_arrays(images, labels, None)
    numbers, seed = checked_ids(ids, len(labels)), whole("seed", seed)
    given = trigger
    if not isinstance(given, Trigger):
        plain = given if isinstance(given, str) else plain_settings(given, "trigger")
        try:
            given = TRIGGERS.build(plain)
        except UserError as error:
            raise error.inside("trigger") from None
    if misfits := list(mistakes_of(given, "fits", images.shape[1:])):
        raise UserError(misfits).inside("trigger")
    places = np.arange(len(labels))
    donors = DonorImages("given", seed, images, places, numbers)
    form = measured_form(given, seed, donors)
    changed, mean = _image_changes(form, images, places, numbers, labels)
    return {int(c): _counted(changed[labels == c], mean[labels == c]) for c in np.unique(labels)}


def weak_classes(
    trigger: Trigger, images: Images, ids: Ids, labels: Ids, classes: Sequence[int]
) -> dict[int, ClassChange]:
    """The classes of whose images a trigger changes less than `LEAST_PERCENT`, with the counts.

    A class is looked at until enough of its images are changed, so that a trigger that changes
    every image costs one in a hundred. What is reported is counted on all images of the class, or
    on `MOST_IMAGES` of them.

    Args:
        trigger: as `measured_form` returns it. images: (n, c, h, w) uint8, of a whole source.
        ids: (m,) int64, the numbers in it of the test images. labels: (m,) int64, their classes.
        classes: those to look at; classes without images are never weak.
    """
    waiting = {c: _some(ids[labels == c]) for c in classes if (labels == c).any()}
    seen = {c: (np.zeros(0, bool), np.zeros(0)) for c in waiting}
    undecided, share = list(waiting), LEAST_PERCENT / 100
    while undecided:
        parts = [_next(waiting[c], len(seen[c][0]), share) for c in undecided]
        asked = np.concatenate(parts)
        truth = np.repeat(np.array(undecided, np.int64), [len(part) for part in parts])
        changed, mean = _image_changes(trigger, images, asked, asked, truth)
        for c in undecided:
            mine, (flags, means) = truth == c, seen[c]
            seen[c] = np.append(flags, changed[mine]), np.append(means, mean[mine])
        undecided = [c for c in undecided if _is_open(seen[c][0], len(waiting[c]))]
        share *= 4
    counted = {c: _counted(*seen[c]) for c in waiting if len(seen[c][0]) == len(waiting[c])}
    return {c: change for c, change in counted.items() if change.weak}


def _next(ids: Ids, looked_at: int, share: float) -> Ids:
    """The images after the first `looked_at`, up to this share of all of them."""
    return ids[looked_at : math.ceil(share * len(ids))]


def _is_open(changed: npt.NDArray[np.bool_], images: int) -> bool:
    """Whether more of the class's images have to be looked at."""
    return len(changed) < images and 100 * int(changed.sum()) < LEAST_PERCENT * images


def _some(ids: Ids) -> Ids:
    """All of them, or `MOST_IMAGES` at even distances."""
    if len(ids) <= MOST_IMAGES:
        return ids
    return ids[np.linspace(0, len(ids) - 1, MOST_IMAGES).round().astype(np.int64)]


def _image_changes(
    trigger: Trigger, images: Images, rows: Ids, ids: Ids, labels: Ids
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
    """Of the images in these rows, (n,): whether any grey level is changed, (n,) bool, and the mean
    absolute difference, (n,) float64 from 0 to 255. ids, labels: (n,) int64, as for `stamp`."""
    changed, mean = np.zeros(len(rows), bool), np.zeros(len(rows))
    at_once = max(1, VALUES_AT_ONCE // int(np.prod(images.shape[1:])))
    for first in range(0, len(rows), at_once):
        some = slice(first, first + at_once)
        clean = torch.from_numpy(np.array(images[rows[some]]))
        numbers, truth = torch.from_numpy(ids[some]), torch.from_numpy(labels[some])
        result = stamped(trigger, clean, numbers, truth)
        apart = (result.to(torch.int16) - clean.to(torch.int16)).abs().flatten(1)
        changed[some] = apart.any(1).numpy()
        mean[some] = apart.to(torch.float32).mean(1, dtype=torch.float64).numpy()
    return changed, mean


def _counted(changed: npt.NDArray[np.bool_], mean: npt.NDArray[np.float64]) -> ClassChange:
    return ClassChange(int(changed.sum()), len(changed), float(mean.mean()))
