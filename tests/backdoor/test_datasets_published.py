"""SVHN, GTSRB, Imagenette, Flowers and Tiny ImageNet in their published layouts."""

import io
import shutil

import numpy as np
import pytest
import torchvision.datasets as published
from fabricated import (
    WORDS,
    draw_part,
    save_mat,
    without_checksums,
    write_flowers102,
    write_folders,
    write_gtsrb,
    write_imagenette,
    write_svhn,
    write_tiny_imagenet,
)
from PIL import Image
from torchvision.transforms import v2

from backdoor.config import build_data
from backdoor.datasets.source import load_source
from backdoor.errors import UserError
from backdoor.reading.pixels import Decoding, decode

WIDE = draw_part(12, (20, 30, 3)), draw_part(6, (20, 30, 3), seed=6)


def load(kind, root, **settings):
    return load_source(build_data({"kind": kind, "root": str(root), **settings}))


def square(image, side):
    """The middle square of a PIL image, resized, by torchvision: (3, side, side) uint8."""
    edge = min(image.size)
    steps = [v2.CenterCrop(edge), v2.Resize(side, antialias=True)]
    return np.asarray(v2.Compose(steps)(image)).transpose(2, 0, 1)


def hold_against(source, theirs, offset, side) -> None:
    """Order, labels and pixels as torchvision's own reader and transforms have them."""
    for number, (image, label) in enumerate(theirs, offset):
        assert source.labels[number] == label
        assert np.array_equal(source.images[number], square(image, side))


def test_svhn_is_torchvisions_with_digit_0_as_class_0(tmp_path, monkeypatch) -> None:
    without_checksums(monkeypatch)
    parts = draw_part(21, (3, 32, 32), 10), draw_part(11, (3, 32, 32), 10, seed=6)
    source = load("svhn", write_svhn(tmp_path, *parts))
    assert source.test_from == 21 and source.class_names == tuple("0123456789")
    for part, offset in (("train", 0), ("test", 21)):
        for number, (image, label) in enumerate(published.SVHN(tmp_path, split=part), offset):
            assert source.labels[number] == label == number % 10 if part == "train" else True
            assert np.array_equal(source.images[number], np.asarray(image).transpose(2, 0, 1))


def test_gtsrb_is_torchvisions(tmp_path) -> None:
    source = load("gtsrb", write_gtsrb(tmp_path, *WIDE), image_size=8)
    assert source.shape == (3, 8, 8) and source.test_from == 12
    hold_against(source, published.GTSRB(tmp_path, split="train"), 0, 8)
    theirs = published.GTSRB(tmp_path, split="test")
    order = sorted(range(len(theirs)), key=lambda i: theirs._samples[i][1])
    hold_against(source, [theirs[i] for i in order], 12, 8)


def test_imagenette_is_torchvisions_with_its_first_names(tmp_path) -> None:
    write_imagenette(tmp_path, *WIDE)
    for file in (tmp_path / "imagenette2-160").rglob("*.png"):
        Image.open(file).save(file.with_suffix(".JPEG"))
        file.unlink()
    source = load("imagenette", tmp_path, image_size=8)
    assert source.class_names == ("tench", "English springer", "cassette player")
    for part, offset in (("train", 0), ("val", 12)):
        hold_against(source, published.Imagenette(tmp_path, part, "160px"), offset, 8)
    inside = load("imagenette", tmp_path / "imagenette2-160", image_size=8)
    assert inside.fingerprint == source.fingerprint


def test_flowers102_is_torchvisions_training_and_validation_images_in_one_pool(tmp_path, monkeypatch) -> None:  # fmt: skip
    without_checksums(monkeypatch)
    source = load("flowers102", write_flowers102(tmp_path, *WIDE), image_size=8)
    assert source.test_from == 12 and source.class_names[:2] == ("pink primrose", "hard-leaved pocket orchid")  # fmt: skip
    train, val, test = (published.Flowers102(tmp_path, part) for part in ("train", "val", "test"))
    pool = sorted([*train, *val], key=lambda pair: pair[1])
    assert [label for _, label in pool] == source.labels[:12].tolist()
    ours = {source.images[i].tobytes() for i in range(12)}
    assert ours == {square(image, 8).tobytes() for image, _ in pool}
    hold_against(source, sorted(test, key=lambda pair: pair[1]), 12, 8)


def test_tiny_imagenet_takes_the_classes_of_its_test_images_from_the_annotations(tmp_path) -> None:
    train, test = draw_part(12, (64, 64, 3)), draw_part(7, (64, 64, 3), seed=6)
    source = load("tiny_imagenet", write_tiny_imagenet(tmp_path, train, test))
    assert source.shape == (3, 64, 64) and source.test_from == 12 and len(source.images) == 19
    assert source.class_names == ('tench, Tinca "tinca"', WORDS[1], "player")
    by_class = np.argsort(test[1], kind="stable")
    assert source.labels[12:].tolist() == test[1][by_class].tolist()
    assert np.array_equal(source.images[12:], test[0][by_class].transpose(0, 3, 1, 2))
    assert load("tiny_imagenet", tmp_path, image_size=16).shape == (3, 16, 16)


def test_flower_photos_are_an_image_folder(tmp_path) -> None:
    """Five folders and a licence; sizes differ, so they are cropped to one."""
    write_folders(tmp_path / "flower_photos", {".": WIDE[0]}, ("daisy", "rose", "tulip"))
    (tmp_path / "flower_photos" / "LICENSE.txt").write_text("CC-BY")
    wide = tmp_path / "flower_photos" / "daisy" / "wide.jpg"
    Image.fromarray(WIDE[0][0][0][:, :7]).save(wide)
    root = str(tmp_path / "flower_photos")
    cropped = load("image_folder", root, image_size=8, resize="crop")
    assert cropped.images.shape == (13, 3, 8, 8) and cropped.test_from is None
    hold_against(cropped, published.ImageFolder(root), 0, 8)
    stretched = load("image_folder", root, image_size=8)
    assert stretched.fingerprint != cropped.fingerprint
    assert not np.array_equal(stretched.images, cropped.images)


# --- sizes ---------------------------------------------------------------------------------------


def test_stretching_is_named_as_it_was_before_there_was_a_choice() -> None:
    for kind in ("image_folder", "parquet"):
        plain = build_data({"kind": kind, "image_size": 8}).identity()
        assert "resize" not in plain
        assert (
            build_data({"kind": kind, "resize": "crop"}).identity() == build_data(kind).identity()
        )
        cropped = build_data({"kind": kind, "image_size": 8, "resize": "crop"}).identity()
        assert cropped == {**plain, "resize": "crop"}
        assert build_data(cropped).identity() == cropped
    for how in ("stretch", "crop"):
        kept = build_data({"kind": "gtsrb", "resize": how})
        assert kept.resize == how and build_data(kept.identity()).resize == how


@pytest.mark.parametrize("size", [(20, 30), (31, 20), (16, 16)])
def test_a_crop_takes_the_middle_and_smooths_what_it_makes_smaller(size) -> None:
    """A fine checkerboard becomes grey, and what lies outside the middle is not seen."""
    height, width = size
    pixels = np.indices(size).sum(0) % 2 * 255
    edge, top, left = min(size), round((height - min(size)) / 2), round((width - min(size)) / 2)
    rows, columns = np.indices(size)
    outside = (rows < top) | (rows >= top + edge) | (columns < left) | (columns >= left + edge)
    stream = io.BytesIO()
    Image.fromarray(np.where(outside, 255, pixels).astype(np.uint8)).save(stream, "PNG")
    inner = decode(stream.getvalue(), Decoding(4, "crop")).pixels
    assert inner.shape == (1, 4, 4) and np.abs(inner.astype(int) - 127).max() <= 4


# --- what is wrong, in words -----------------------------------------------------------------------


def write(text):
    return lambda file: file.write_text(text)


@pytest.mark.parametrize(
    ("kind", "place", "change", "said"),
    [
        ("gtsrb", "gtsrb/GT-final_test.csv", lambda f: f.unlink(), "root: must be the folder of `gtsrb` in its published layout"),
        ("gtsrb", "gtsrb/GTSRB/Final_Test", shutil.rmtree, "Missing: GTSRB/Final_Test/Images. Point data.root at it."),
        ("gtsrb", "gtsrb/GT-final_test.csv", write("Filename;Class\n0.ppm;1\n"), "GT-final_test.csv with the columns Filename and ClassId"),
        ("gtsrb", "gtsrb/GT-final_test.csv", write("Filename;ClassId\n00000.ppm;7\n"), "must have labels from 0 to 2 once they are numbered from 0, but got 7"),
        ("gtsrb", "gtsrb/GT-final_test.csv", write("Filename;ClassId\nx.ppm;1\n"), "must hold every image that its labels name, but got 'x.ppm'"),
        ("imagenette", "imagenette2-160/val", shutil.rmtree, "Missing: val."),
        ("tiny_imagenet", "tiny-imagenet-200/val/val_annotations.txt", lambda f: f.unlink(), "Missing: val/val_annotations.txt"),
        ("tiny_imagenet", "tiny-imagenet-200/val/val_annotations.txt", write("val_0.png\tn0\t1\n"), "a folder in train/ for every class of val/val_annotations.txt, but got 'n0'"),
        ("flowers102", "flowers-102/setid.mat", lambda f: f.unlink(), "Missing: setid.mat"),
        ("flowers102", "flowers-102/setid.mat", write("no MATLAB file at all" * 20), "must hold an undamaged MATLAB file with the variable trnid"),
        ("flowers102", "flowers-102/imagelabels.mat", lambda f: f.write_bytes(f.read_bytes()[:140]), "with the variable labels"),
        ("flowers102", "flowers-102/imagelabels.mat", lambda f: save_mat(f, {"labels": np.ones(3)}), "must number images in setid.mat from 1 to 3, but got '1 to 12'"),
        ("flowers102", "flowers-102/jpg/image_00003.jpg", lambda f: f.unlink(), "must hold every image that its labels name, but got 'image_00003.jpg'"),
    ],
)  # fmt: skip
def test_a_layout_that_is_damaged_is_one_clear_mistake(tmp_path, kind, place, change, said) -> None:
    writers = {"gtsrb": write_gtsrb, "imagenette": write_imagenette, "tiny_imagenet": write_tiny_imagenet, "flowers102": write_flowers102}  # fmt: skip
    writers[kind](tmp_path, *WIDE)
    change(tmp_path / place)
    with pytest.raises(UserError) as caught:
        load(kind, tmp_path, image_size=8)
    assert said in str(caught.value)
