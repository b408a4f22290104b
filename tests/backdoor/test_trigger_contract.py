"""The contract of a trigger, run by every kind that the registry finds."""

import numpy as np
import pytest
import torch

from backdoor.config import build_attack
from backdoor.registry import TRIGGERS
from backdoor.streams import stream

SHAPES = [(1, 8, 8), (3, 32, 32), (3, 17, 23)]
KINDS = list(TRIGGERS.kinds())
IDS, LABELS = torch.arange(6), torch.tensor([0, 1, 2, 0, 1, 2])


def images(shape: tuple[int, int, int], count: int = 6) -> torch.Tensor:
    draw = stream("test", *shape)
    return torch.from_numpy(draw.integers(0, 256, (count, *shape), dtype=np.uint8))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", KINDS)
class TestTrigger:
    def test_shape_type_and_no_write_in_place(self, kind, shape) -> None:
        trigger, clean = TRIGGERS.build(kind), images(shape)
        before = clean.clone()
        stamped = trigger.stamp(clean, IDS, LABELS)
        assert stamped.shape == clean.shape and stamped.dtype == torch.uint8
        assert torch.equal(clean, before)
        assert stamped.data_ptr() != clean.data_ptr()

    def test_it_marks_every_image(self, kind, shape) -> None:
        clean = images(shape)
        changed = TRIGGERS.build(kind).stamp(clean, IDS, LABELS) != clean
        assert changed.flatten(1).any(1).all()

    def test_equal_calls_give_equal_marks(self, kind, shape) -> None:
        first = TRIGGERS.build(kind).stamp(images(shape), IDS, LABELS)
        second = TRIGGERS.build(kind).stamp(images(shape), IDS, LABELS)
        assert torch.equal(first, second)

    def test_an_image_is_marked_by_its_own_number(self, kind, shape) -> None:
        trigger, clean, ids = TRIGGERS.build(kind), images(shape), torch.tensor([5, 9, 2, 7, 0, 4])
        together = trigger.stamp(clean, ids, LABELS)
        turned = trigger.stamp(clean.flip(0), ids.flip(0), LABELS.flip(0)).flip(0)
        alone = torch.cat(
            [trigger.stamp(clean[i : i + 1], ids[i : i + 1], LABELS[i : i + 1]) for i in range(6)]
        )
        assert torch.equal(together, turned) and torch.equal(together, alone)

    def test_no_images_are_no_trouble(self, kind, shape) -> None:
        nothing = torch.empty((0, *shape), dtype=torch.uint8)
        assert TRIGGERS.build(kind).stamp(nothing, IDS[:0], LABELS[:0]).shape == (0, *shape)

    def test_its_identity_builds_it_again(self, kind, shape) -> None:
        trigger = TRIGGERS.build(kind)
        assert TRIGGERS.build(trigger.identity()) == trigger
        assert hash(trigger) == hash(TRIGGERS.build(kind))
        assert list(trigger.fits(shape)) == []
        assert build_attack({"trigger": kind}).trigger == trigger


@pytest.mark.parametrize(
    "position", ["top_left", "top_right", "bottom_left", "bottom_right", "center"]
)
def test_patch_against_its_definition(position) -> None:
    clean = images((3, 9, 12))
    stamped = TRIGGERS.build({"kind": "patch", "size": 3, "position": position, "value": 0.5})
    rows = {"top": range(3), "bottom": range(6, 9), "center": range(3, 6)}[position.split("_")[0]]
    columns = {"left": range(3), "right": range(9, 12), "center": range(4, 7)}[
        position.split("_")[-1]
    ]
    expected = clean.numpy().copy()
    for i in rows:
        for j in columns:
            expected[:, :, i, j] = 128
    assert np.array_equal(stamped.stamp(clean, IDS, LABELS).numpy(), expected)


def test_blend_against_its_definition() -> None:
    clean = images((3, 5, 6)).numpy()
    pattern = stream("pattern", 7, 3, 5, 6).random((3, 5, 6))
    blend = TRIGGERS.build({"kind": "blend", "opacity": 0.3, "pattern_seed": 7})
    expected = np.rint((1 - 0.3) * clean + 255 * 0.3 * pattern).astype(np.uint8)
    stamped = blend.stamp(torch.from_numpy(clean), IDS, LABELS).numpy()
    assert np.array_equal(stamped, expected)
