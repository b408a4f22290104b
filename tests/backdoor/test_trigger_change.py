"""How much a trigger changes, by class, against counts and means by hand."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pytest
import torch

from backdoor import Trigger, UserError, trigger_change
from backdoor.triggers import change
from backdoor.triggers.change import ClassChange, weak_classes

#: 300 images of 4 x 4: 100 of class 0 and 200 of class 2, all at grey level 0.
LABELS = np.repeat([0, 2], [100, 200])
BLACK = {"kind": "patch", "size": 1, "value": 0}


def corners(levels: dict[int, int]) -> npt.NDArray[np.uint8]:
    """The images, some of them with another level in the corner where a patch lies."""
    images = np.zeros((300, 1, 4, 4), np.uint8)
    for number, level in levels.items():
        images[number, 0, 3, 3] = level
    return images


@dataclass(frozen=True)
class Counting(Trigger):
    """Brightens the first pixel of images with these numbers, and keeps how many it was asked."""

    def stamp(self, images: torch.Tensor, ids: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        ASKED.append(len(images))
        stamped = images.clone()
        stamped[torch.isin(ids, torch.tensor(CHANGED, dtype=torch.int64)), :, 0, 0] += 8
        return stamped


ASKED: list[int] = []
CHANGED: list[int] = []


def test_counts_and_means_by_hand() -> None:
    # One pixel of 16 is blackened: 160 grey levels in one of 100 images, 32 and 64 in two of 200.
    found = trigger_change(BLACK, corners({7: 160, 100: 32, 299: 64}), LABELS)
    assert found == {
        0: ClassChange(1, 100, 160 / 16 / 100),
        2: ClassChange(2, 200, (32 + 64) / 16 / 200),
    }
    assert not found[0].weak and not found[2].weak  # 1 % is enough
    assert trigger_change(BLACK, corners({100: 32}), LABELS)[2].weak  # 1 of 200 is not


def test_the_form_for_test_images_counts() -> None:
    faint = {"kind": "blend", "opacity": 0.5, "test_opacity": 0.001}
    found = trigger_change(faint, np.full((4, 1, 4, 4), 100, np.uint8), np.zeros(4, np.int64))
    assert found == {0: ClassChange(0, 4, 0.0)}


def test_colour_images_count_all_channels() -> None:
    images = np.zeros((1, 3, 2, 2), np.uint8)
    red = {"kind": "patch", "size": 1, "value": "#ff0000"}
    assert trigger_change(red, images, np.array([1])) == {1: ClassChange(1, 1, 255 / 12)}


def test_wrong_arguments_are_named_together() -> None:
    images = np.zeros((2, 1, 4, 4), np.uint8)
    with pytest.raises(UserError, match=r"trigger\.size: must"):
        trigger_change({"kind": "patch", "size": 5}, images, np.zeros(2, np.int64))
    with pytest.raises(UserError, match=r"trigger\.opacity: must be > 0"):
        trigger_change({"kind": "blend", "opacity": 0}, images, np.zeros(2, np.int64))
    with pytest.raises(UserError, match="labels: must"):
        trigger_change("patch", images, np.zeros(3, np.int64))


@pytest.mark.parametrize(
    "changed, weak, most",
    [
        (range(300), {}, 1 + 2),  # a hundredth of each class says it
        ([99, 299, 298], {}, 300),  # the last images of each class
        ([], {0: ClassChange(0, 100, 0.0), 2: ClassChange(0, 200, 0.0)}, 300),
        ([50, 299], {2: ClassChange(1, 200, 8 / 16 / 200)}, 300),
    ],
)
def test_classes_are_looked_at_until_they_are_decided(
    changed: list[int], weak: dict[int, ClassChange], most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(change, "stamped", lambda trigger, *given: trigger.stamp(*given))
    ASKED[:], CHANGED[:] = [], changed
    images, ids = np.zeros((300, 1, 4, 4), np.uint8), np.arange(300)
    assert weak_classes(Counting(), images, ids, LABELS, [0, 1, 2]) == weak
    assert sum(ASKED) <= most


def test_large_classes_and_images_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(change, "stamped", lambda trigger, *given: trigger.stamp(*given))
    monkeypatch.setattr(change, "MOST_IMAGES", 50)
    monkeypatch.setattr(change, "VALUES_AT_ONCE", 10 * 16)
    ASKED[:], CHANGED[:] = [], []
    images, ids = np.zeros((300, 1, 4, 4), np.uint8), np.arange(300)
    found = weak_classes(Counting(), images, ids, LABELS, [0, 2])
    assert found == {0: ClassChange(0, 50, 0.0), 2: ClassChange(0, 50, 0.0)}
    assert sum(ASKED) == 100 and max(ASKED) == 10
