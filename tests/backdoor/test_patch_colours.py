"""The patch trigger in colour, and as a picture."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from small import SMALL

from backdoor.config import build_attack
from backdoor.errors import UserError
from backdoor.settings.digest import digest
from backdoor.settings.registry import TRIGGERS
from backdoor.settings.user_file import content_digest
from sweeps.pictures.preview import show_triggers
from sweeps.space.yaml_loader import dump_yaml, load_yaml
from sweeps.spec import parse_spec

IDS, LABELS = torch.arange(2), torch.zeros(2, dtype=torch.int64)
SHAPE = (3, 6, 6)


def patch(**settings):
    return TRIGGERS.build({"kind": "patch", **settings})


def stamped(trigger, shape=SHAPE, below=100):
    assert list(trigger.fits(shape)) == []
    images = torch.full((2, *shape), below, dtype=torch.uint8)
    return trigger.stamp(images, IDS, LABELS)


def test_ids_of_patches_without_colours_stay() -> None:
    assert patch().identity() == {"kind": "patch", "size": 3, "position": "bottom_right", "value": 1.0}  # fmt: skip
    attack = build_attack({"trigger": {"kind": "patch", "value": 0.25, "size": 1}})
    assert digest("attack", attack.identity()) == "3c3369b3409a21ca"
    assert patch(value="#fff") == patch(value={"rgb": [1, 1, 1]}) == patch() == patch(image=None)


@pytest.mark.parametrize("value", ["#ff8000", "#FF8000", {"rgb": [1, 128 / 255, 0]}])
def test_a_colour(value) -> None:
    trigger = patch(value=value, position="top_left", size=2)
    assert trigger.identity()["value"] == "#ff8000" and trigger == TRIGGERS.build(trigger.identity())  # fmt: skip
    out = stamped(trigger)
    assert out[:, :, :2, :2].unique(dim=0).flatten(2)[0].tolist() == [[255] * 4, [128] * 4, [0] * 4]
    assert (out[:, :, 2:] == 100).all() and (out[:, :, :, 2:] == 100).all()
    placed = stamped(patch(value=value, position="random", position_seed=1, size=2))
    assert [(placed[:, c] == level).sum() for c, level in enumerate((255, 128, 0))] == [8, 8, 8]


def test_short_colours_and_greys() -> None:
    assert patch(value="#f80").value == "#ff8800"
    assert patch(value="#808080").value == pytest.approx(128 / 255)
    assert list(patch(value="#808080").fits((1, 8, 8))) == []
    assert patch(value="#f00", pattern="checkerboard") == patch(pattern="checkerboard")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([1, 0, 0], "value: must be a number from 0 to 1, or a colour, but got [1, 0, 0]. For a colour write {rgb: [1, 0, 0]}."),
        ({"rgb": [255, 0, 0]}, "value.rgb: must be red, green and blue, three numbers from 0 to 1, but got [255, 0, 0]. Divide by 255, or write '#ff0000'."),
        ({"rgb": [1, 0]}, "value.rgb: must be red, green and blue, three numbers"),
        ({"rgb": [1, 0, 0], "a": 1}, "value: must be a number from 0 to 1, or a colour"),
        ("#ff0000ff", "value: must be a number from 0 to 1, or a colour, but got '#ff0000ff'. A colour has 3 or 6 digits"),
        (None, "value: must be a number from 0 to 1, or a colour, but got None. Write a colour as '#ff0000', in quotes"),
        ("red", "value: must be a number from 0 to 1, or a colour, but got 'red'."),
        ("0,5", "value: must be a number from 0 to 1, or a colour, but got '0,5'. If it means 0.5"),
        (255, "value: must be >= 0 and <= 1, but got 255."),
    ],
)  # fmt: skip
def test_what_is_no_colour(value, message) -> None:
    with pytest.raises(UserError) as caught:
        patch(value=value, size=0)
    found = sorted(map(str, caught.value.mistakes))
    assert found[0].startswith("size: must be >= 1") and found[1].startswith(message)


def test_a_colour_on_grey_images_is_refused() -> None:
    [mistake] = patch(value="#ff0000").fits((1, 8, 8))
    assert str(mistake) == "value: needs images of 3 channels for a colour, and these have 1, but got '#ff0000'. Use its grey value: value: 0.299."  # fmt: skip


def in_spec(value):
    trigger = {"kind": "patch", "size": 1, "value": value}
    return parse_spec(SMALL | {"attack": {"trigger": trigger, "poison_rate": 0.1}})


def test_colours_in_a_spec() -> None:
    spec = in_spec([{"rgb": [0.2, 0.2, 0.2]}, "#fff", 0.5])
    assert [attack.trigger.value for attack in spec.panel] == [0.2, 1.0, 0.5]
    again = load_yaml(spec.to_yaml(), lambda mistake: None)
    assert parse_spec(again).panel == spec.panel and load_yaml(dump_yaml("#f00"), print) == "#f00"
    for value, message in {
        "three": ([1, 0, 0], "For a colour write {rgb: [1, 0, 0]}."),
        "twice": ([1, "#fff"], "must not repeat a choice, which '#fff' does"),
        "list": ([[1, 0, 0]], "attack.trigger.value[0]: must be a number from 0 to 1, or a colour"),
        "grey": ("#f00", "attack.trigger.value: needs images of 3 channels for a colour"),
        "large": ({"rgb": [2, 0, 0]}, "attack.trigger.value.rgb: must be red, green and blue"),
    }.values():
        with pytest.raises(UserError) as caught:
            in_spec(value)
        assert message in str(caught.value)


# --- pictures ------------------------------------------------------------------------------------


@pytest.fixture
def sticker(tmp_path):
    """Upper half red, lower half blue; the left half shows what is below."""
    pixels = np.zeros((8, 8, 4), np.uint8)
    pixels[:4, :, 0] = pixels[4:, :, 2] = pixels[:, 4:, 3] = 255
    Image.fromarray(pixels).save(file := tmp_path / "sticker.png")
    return file


def test_a_picture_is_laid_over_the_image(sticker) -> None:
    trigger = patch(image=str(sticker), size=8, position="top_left", value="#0f0", pattern="checkerboard")  # fmt: skip
    assert trigger.identity() == {"kind": "patch", "size": 8, "position": "top_left", "image": content_digest(sticker)}  # fmt: skip
    out = stamped(trigger, (3, 8, 8))[1]
    assert (out[:, :, :4] == 100).all()
    assert out[:, 0, 6].tolist() == [255, 0, 0] and out[:, 7, 6].tolist() == [0, 0, 255]
    grey = stamped(trigger, (1, 8, 8))[0, 0]
    assert (grey[:, :4] == 100).all() and grey[0, 6] == 76 and grey[7, 6] == 29
    small = stamped(patch(image=str(sticker), size=2, position="random", position_seed=2))
    assert ((small != 100).any(1).sum((1, 2)) == 4).all()


def test_a_picture_is_turned_as_its_camera_says(tmp_path) -> None:
    pixels = np.zeros((4, 8), np.uint8)
    pixels[:, :4] = 255  # white on the left: on top, once it is turned
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels).save(tmp_path / "photo.png", exif=exif)
    out = stamped(patch(image=str(tmp_path / "photo.png"), size=4, position="top_left"), (1, 4, 4))
    assert (out[:, :, 0] == 255).all() and (out[:, :, 3] == 0).all()


def test_pictures_that_are_none(tmp_path, sticker) -> None:
    Image.fromarray(np.zeros((4, 4, 4), np.uint8)).save(tmp_path / "clear.png")
    (tmp_path / "text.png").write_text("no picture")
    for name, rule in {
        "clear.png": "image: must not be transparent all over",
        "text.png": "image: must be a picture that can be decoded",
        ".": "image: must be one picture",
    }.items():
        [mistake] = patch(image=str(tmp_path / name)).fits(SHAPE)
        assert str(mistake).startswith(rule)
    [mistake] = patch(image=str(sticker)).fits((2, 8, 8))
    assert str(mistake).startswith("image: needs images of 1 or 3 channels")


def test_a_preview_shows_colours_and_pictures(sticker) -> None:
    text = f"[{{kind: patch, value: '#808080'}}, {{kind: patch, image: {sticker}, size: 4}}]"
    _, [grey, picture] = show_triggers(text, "digits", 2)
    assert grey[0] == "patch(value=0.502)" and (grey[1][:, 0, -3:, -3:] == 128).all()
    assert picture[0].startswith("patch(size=4, image=sha256:") and (picture[1][:, 0, -1, -1] == 29).all()  # fmt: skip
