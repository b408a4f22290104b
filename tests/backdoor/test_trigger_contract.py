"""The contract of a trigger, run by every kind that the registry finds."""

import math

import numpy as np
import pytest
import torch

from backdoor.config import build_attack
from backdoor.errors import UserError
from backdoor.settings.registry import TRIGGERS
from backdoor.streams import stream
from backdoor.triggers import Trigger
from backdoor.triggers.donors import DonorImages

SHAPES = [(1, 8, 8), (3, 32, 32), (3, 17, 23)]
KINDS = [*TRIGGERS.kinds(), *({"kind": "patch", "pattern": p} for p in ("noise_per_class", "checkerboard")),
         {"kind": "patch", "position": "random"}, {"kind": "quantize", "dithering": True}]  # fmt: skip
IDS, LABELS = torch.arange(6), torch.tensor([0, 1, 2, 0, 1, 2])


def images(shape: tuple[int, int, int], count: int = 6) -> torch.Tensor:
    draw = stream("test", *shape)
    return torch.from_numpy(draw.integers(0, 256, (count, *shape), dtype=np.uint8))


def donors(shape: tuple[int, int, int]) -> DonorImages:
    """Training images 20 to 39 of a source of 40."""
    return DonorImages("test", 3, images(shape, 40).numpy(), np.arange(20, 40), np.arange(20, 40))


def concrete(kind, shape: tuple[int, int, int]) -> Trigger:
    return TRIGGERS.build(kind).for_seed(3).lent(donors(shape))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", KINDS, ids=str)
class TestTrigger:
    """A trigger as a trial of seed 3 uses it."""

    def test_shape_type_and_no_write_in_place(self, kind, shape) -> None:
        trigger, clean = concrete(kind, shape), images(shape)
        before = clean.clone()
        stamped = trigger.stamp(clean, IDS, LABELS)
        assert stamped.shape == clean.shape and stamped.dtype == torch.uint8
        assert torch.equal(clean, before)
        assert stamped.data_ptr() != clean.data_ptr()

    def test_it_marks_every_image(self, kind, shape) -> None:
        clean = images(shape)
        changed = concrete(kind, shape).stamp(clean, IDS, LABELS) != clean
        assert changed.flatten(1).any(1).all()

    def test_equal_calls_give_equal_marks(self, kind, shape) -> None:
        first = concrete(kind, shape).stamp(images(shape), IDS, LABELS)
        second = concrete(kind, shape).stamp(images(shape), IDS, LABELS)
        assert torch.equal(first, second)

    def test_an_image_is_marked_by_its_own_number(self, kind, shape) -> None:
        trigger, clean, ids = (
            concrete(kind, shape),
            images(shape),
            torch.tensor([5, 9, 2, 7, 0, 4]),
        )
        together = trigger.stamp(clean, ids, LABELS)
        turned = trigger.stamp(clean.flip(0), ids.flip(0), LABELS.flip(0)).flip(0)
        alone = torch.cat(
            [trigger.stamp(clean[i : i + 1], ids[i : i + 1], LABELS[i : i + 1]) for i in range(6)]
        )
        assert torch.equal(together, turned) and torch.equal(together, alone)

    def test_so_is_a_cover_and_a_test_image(self, kind, shape) -> None:
        trigger, clean, ids = concrete(kind, shape), images(shape), torch.tensor([5, 9, 2, 7, 0, 4])
        for each in (trigger.cover(donors(shape)), trigger.for_test()):
            together = each.stamp(clean, ids, LABELS)
            turned = each.stamp(clean.flip(0), ids.flip(0), LABELS.flip(0)).flip(0)
            assert torch.equal(together, turned)
            assert (together != clean).flatten(1).any(1).all()
            assert together.dtype == torch.uint8 and together.data_ptr() != clean.data_ptr()
            again = concrete(kind, shape)
            assert each in (again.cover(donors(shape)), again.for_test())  # stamped once a pack

    def test_no_images_are_no_trouble(self, kind, shape) -> None:
        nothing = torch.empty((0, *shape), dtype=torch.uint8)
        assert concrete(kind, shape).stamp(nothing, IDS[:0], LABELS[:0]).shape == (
            0,
            *shape,
        )

    def test_its_identity_builds_it_again(self, kind, shape) -> None:
        trigger = TRIGGERS.build(kind)
        assert TRIGGERS.build(trigger.identity()) == trigger
        assert hash(trigger) == hash(TRIGGERS.build(kind))
        assert list(trigger.fits(shape)) == []
        assert build_attack({"trigger": kind}).trigger == trigger
        seeded = trigger.for_seed(3)
        assert seeded.for_seed(4) == seeded and TRIGGERS.build(seeded.identity()) == seeded


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


@pytest.mark.parametrize(("amplitude", "frequency"), [(40, 6), (9.5, 2.5)])
def test_sine_against_its_definition(amplitude, frequency) -> None:
    clean = images((3, 6, 20)).numpy()
    expected = clean.copy()
    for j in range(20):
        wave = amplitude * math.sin(2 * math.pi * j * frequency / 20)
        column = clean[..., j].astype(float) + wave
        expected[..., j] = np.clip(np.rint(column), 0, 255)
    sine = TRIGGERS.build({"kind": "sine", "amplitude": amplitude, "frequency": frequency})
    assert np.array_equal(sine.stamp(torch.from_numpy(clean), IDS, LABELS).numpy(), expected)
    assert sine != TRIGGERS.build("sine") or (amplitude, frequency) == (40, 6)


def test_sine_rounds_halves_to_even_on_every_machine() -> None:
    sine = TRIGGERS.build({"kind": "sine", "amplitude": 1, "frequency": 1})  # sin 30 degrees = 1/2
    grey = torch.tensor([10, 11], dtype=torch.uint8)[:, None, None, None].expand(2, 1, 1, 12)
    assert sine.stamp(grey, IDS[:2], LABELS[:2])[:, 0, 0, 1].tolist() == [10, 12]


def test_sine_refuses_to_leave_no_mark() -> None:
    (mistake,) = TRIGGERS.build("sine").fits((1, 12, 12))
    assert "frequency: must change images 12 pixels wide, this wave is 0 everywhere, but got 6.0" in str(mistake)  # fmt: skip
    assert list(TRIGGERS.build({"kind": "sine", "amplitude": 0.4}).fits((3, 32, 32)))


def test_noise_differs_between_classes_and_seeds_and_not_within() -> None:
    clean, labels = images((3, 9, 12)), torch.tensor([2, 0, 2, 1, 0, 2])
    noise = TRIGGERS.build({"kind": "patch", "pattern": "noise_per_class", "size": 4})
    squares = noise.for_seed(5).stamp(clean, IDS, labels)[:, :, 5:, 8:].numpy()
    for i, label in enumerate(labels.tolist()):
        drawn = stream("pattern", 5, label, 3, 4, 4).random((3, 4, 4))
        assert np.array_equal(squares[i], np.rint(255 * drawn))
    donors = noise.for_seed(6).stamp(clean, IDS, labels)[:, :, 5:, 8:].numpy()
    assert (donors != squares).mean() > 0.9 and (squares[0] != squares[1]).mean() > 0.9


def test_noise_without_a_seed_says_what_to_do() -> None:
    with pytest.raises(UserError, match=r"pattern_seed: must be known .* call for_seed\(seed\)"):
        TRIGGERS.build({"kind": "patch", "pattern": "noise_per_class"}).stamp(images((1, 8, 8)), IDS, LABELS)  # fmt: skip


def test_checkerboard_alternates() -> None:
    board = TRIGGERS.build({"kind": "patch", "pattern": "checkerboard", "position": "top_left"})
    stamped = board.stamp(images((2, 8, 8)), IDS, LABELS)[:, :, :3, :3]
    assert (stamped == torch.tensor([[0, 255, 0], [255, 0, 255], [0, 255, 0]])).all()


def test_settings_of_other_patterns_have_no_effect_and_no_name() -> None:
    def build(**settings):
        return TRIGGERS.build({"kind": "patch", **settings})

    assert build(pattern="solid", pattern_seed=7) == build()
    assert build().identity() == {
        "kind": "patch",
        "size": 3,
        "position": "bottom_right",
        "value": 1.0,
    }
    assert build(pattern="checkerboard", value=0.5, pattern_seed=7) == build(pattern="checkerboard")
    assert build(pattern="noise_per_class", value=0.5) == build(pattern="noise_per_class")
    noise = build(pattern="noise_per_class", pattern_seed=7)
    assert noise != build(pattern="noise_per_class")
    assert noise.identity() == {"kind": "patch", "size": 3, "position": "bottom_right",
                                "pattern": "noise_per_class", "pattern_seed": 7}  # fmt: skip
    with pytest.raises(UserError, match="value: must be >= 0 and <= 1, but got 2"):
        build(pattern="checkerboard", value=2)
