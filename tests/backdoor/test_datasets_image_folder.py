"""Folders of image files: torchvision's order, sizes and modes, and what is wrong in words."""

import shutil

import numpy as np
import pytest
import torchvision.datasets
from fabricated import draw_part, write_folders
from PIL import Image

from backdoor.config import build_data
from backdoor.datasets.source import load_source
from backdoor.errors import UserError
from backdoor.reading.pixels import decode

TRAIN, TEST = draw_part(12, (5, 4, 3)), draw_part(6, (5, 4, 3), seed=6)


def load(root, **settings):
    return load_source(build_data({"kind": "image_folder", "root": str(root), **settings}))


def hold_against_torchvision(source, folder, offset=0) -> None:
    """Order, labels and class names as torchvision's own reader has them."""
    theirs = torchvision.datasets.ImageFolder(folder)
    assert source.class_names == tuple(theirs.classes)
    for number, (image, label) in enumerate(theirs, offset):
        assert np.array_equal(source.images[number], np.asarray(image).transpose(2, 0, 1))
        assert source.labels[number] == label


@pytest.mark.parametrize("test", ["test", "val"])
def test_two_parts_are_read_as_torchvision_reads_them(tmp_path, test) -> None:
    write_folders(tmp_path, {"train": TRAIN, test: TEST})
    source = load(tmp_path)
    assert source.test_from == 12 and source.images.shape == (18, 3, 5, 4)
    hold_against_torchvision(source, tmp_path / "train")
    hold_against_torchvision(source, tmp_path / test, 12)


def test_without_a_train_folder_all_is_one_pool(tmp_path) -> None:
    write_folders(tmp_path, {".": TRAIN})
    source = load(tmp_path)
    assert source.test_from is None
    hold_against_torchvision(source, tmp_path)


def test_test_comes_before_val(tmp_path) -> None:
    write_folders(tmp_path, {"train": TRAIN, "test": TEST, "val": draw_part(9, (5, 4, 3))})
    hold_against_torchvision(load(tmp_path), tmp_path / "test", 12)


def test_deeper_folders_links_and_capitals_count_and_hidden_files_do_not(tmp_path) -> None:
    write_folders(tmp_path, {"set": TRAIN})
    root = tmp_path / "set"
    (root / "cat" / "b" / "c").mkdir(parents=True)
    (root / "cat" / "0000.png").rename(root / "cat" / "b" / "c" / "9.PNG")
    (root / "owl").rename(tmp_path / "elsewhere")
    (root / "owl").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (root / "Zebra").mkdir()
    shutil.copy(root / "dog" / "0001.png", root / "Zebra" / "a.png")
    hold_against_torchvision(load(root), root)
    assert load(root).class_names == ("Zebra", "cat", "dog", "owl")
    (root / ".ipynb_checkpoints").mkdir()
    (root / "dog" / "._0001.png").write_bytes(b"what another system leaves behind")
    (root / "dog" / "notes.txt").write_text("no image")
    assert len(load(root).images) == 13


def test_content_classes_and_size_name_the_source(tmp_path) -> None:
    write_folders(tmp_path, {"train": TRAIN, "test": TEST})
    prints = [load(tmp_path).fingerprint, load(tmp_path, image_size=4).fingerprint]
    (tmp_path / "train" / "cat" / "0000.png").rename(tmp_path / "train" / "dog" / "0000.png")
    prints.append(load(tmp_path).fingerprint)
    assert len(set(prints)) == 3


def test_images_of_several_sizes_need_one(tmp_path) -> None:
    write_folders(tmp_path, {".": TRAIN})
    Image.fromarray(np.zeros((9, 4, 3), dtype=np.uint8)).save(tmp_path / "dog" / "big.png")
    with pytest.raises(UserError) as caught:
        load(tmp_path)
    assert "must hold images of one size, but got 'dog/big.png: 9 x 4" in str(caught.value)
    assert "--set data.image_size=SIDE" in str(caught.value)
    source = load(tmp_path, image_size=8)
    assert source.shape == (3, 8, 8)
    first = Image.fromarray(TRAIN[0][0]).resize((8, 8), Image.Resampling.BILINEAR)
    assert np.array_equal(source.images[0], np.asarray(first).transpose(2, 0, 1))


def test_grey_stays_grey_and_becomes_colour_among_colour(tmp_path) -> None:
    grey = draw_part(6, (5, 4))
    write_folders(tmp_path / "grey", {".": grey})
    assert load(tmp_path / "grey").shape == (1, 5, 4)
    write_folders(tmp_path / "both", {".": grey})
    Image.fromarray(TRAIN[0][0]).save(tmp_path / "both" / "cat" / "z.png")
    source = load(tmp_path / "both")
    assert source.shape == (3, 5, 4)
    for channel in range(3):
        assert np.array_equal(source.images[0, channel], grey[0][0])


def encoded(tmp_path, pixels, name="x.png", **options) -> bytes:
    Image.fromarray(pixels, **options).save(tmp_path / name)
    return (tmp_path / name).read_bytes()


def test_sixteen_bits_become_eight_over_the_whole_range(tmp_path) -> None:
    pixels = np.array([[0, 257, 32896, 65535]], dtype=np.uint16)
    assert decode(encoded(tmp_path, pixels)).pixels.tolist() == [[[0, 1, 128, 255]]]


def test_what_cannot_be_decoded_is_named(tmp_path) -> None:
    good = encoded(tmp_path, TRAIN[0][0])
    wide = encoded(tmp_path, np.ones((2, 2), dtype=np.float32), "x.tiff")
    bad = {"cut.png": good[:60], "text.jpg": b"hello", "empty.png": b"", "float.tiff": wide}
    write_folders(tmp_path / "set", {".": TRAIN})
    for name, content in bad.items():
        (tmp_path / "set" / "cat" / name).write_bytes(content)
    with pytest.raises(UserError, match="must hold images that can be decoded") as caught:
        load(tmp_path / "set")
    (mistake,) = caught.value.mistakes
    assert all(f"cat/{name}" in mistake.value for name in bad) and "0000.png" not in mistake.value


def test_the_first_damaged_files_are_named_and_the_rest_counted(tmp_path) -> None:
    write_folders(tmp_path, {".": TRAIN})
    for number in range(27):
        (tmp_path / "cat" / f"broken{number:02}.jpg").write_bytes(b"no jpeg")
    with pytest.raises(UserError) as caught:
        load(tmp_path)
    value = str(caught.value.mistakes[0].value)
    assert all(f"cat/broken{i:02}.jpg" in value for i in range(5)) and value.endswith(" more")


def remove(*places):
    def change(root):
        for place in places:
            shutil.rmtree(root / place)

    return change


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (remove("test"), "root: must hold train/ and test/ (or val/), or neither"),
        (remove("train"), "Add train/, with a folder for each class."),
        (
            remove("train/owl", "test/dog"),
            "must have the same classes in train/ and test/, but got 'only in train/: dog; only in test/: owl'",
        ),
        (remove("train/owl", "train/dog"), "root: must hold two or more class folders"),
        (
            lambda root: [f.unlink() for f in (root / "test" / "owl").iterdir()],
            "in every class folder",
        ),
    ],
)
def test_folders_that_do_not_fit_are_one_clear_mistake(tmp_path, change, text) -> None:
    write_folders(tmp_path, {"train": TRAIN, "test": TEST})
    change(tmp_path)
    with pytest.raises(UserError) as caught:
        load(tmp_path)
    assert text in str(caught.value)


def test_a_folder_that_is_not_there(tmp_path) -> None:
    with pytest.raises(UserError, match=r"root: must be a folder that exists, but got '.*nowhere'"):
        load(tmp_path / "nowhere")
