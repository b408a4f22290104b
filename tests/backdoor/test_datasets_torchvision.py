"""MNIST, Fashion-MNIST and CIFAR in torchvision's files: content, downloads, damage."""

import subprocess
import sys

import numpy as np
import pytest
import torchvision.datasets as published
from fabricated import (
    draw_part,
    without_checksums,
    write_cifar10,
    write_cifar100,
    write_idx,
    write_mnist,
    write_svhn,
)

from backdoor.config import build_data
from backdoor.datasets.source import load_source, split
from backdoor.errors import UserError

TRAIN, TEST = draw_part(23, (28, 28), 10), draw_part(11, (28, 28), 10, seed=6)
COLOUR_TRAIN, COLOUR_TEST = draw_part(23, (3, 32, 32), 10), draw_part(11, (3, 32, 32), 10, seed=6)
WRITERS = {
    "mnist": lambda root: write_mnist(root, TRAIN, TEST),
    "fashion_mnist": lambda root: write_mnist(root, TRAIN, TEST, "FashionMNIST"),
    "cifar10": lambda root: write_cifar10(root, COLOUR_TRAIN, COLOUR_TEST),
    "cifar100": lambda root: write_cifar100(root, COLOUR_TRAIN, COLOUR_TEST),
    "svhn": lambda root: write_svhn(root, COLOUR_TRAIN, COLOUR_TEST),
}
CLASSES = {
    "mnist": published.MNIST,
    "fashion_mnist": published.FashionMNIST,
    "cifar10": published.CIFAR10,
    "cifar100": published.CIFAR100,
    "svhn": published.SVHN,
}
COLOUR = ("cifar10", "cifar100", "svhn")
KINDS = pytest.mark.parametrize("kind", list(WRITERS))


def build(kind, root, **settings):
    return build_data({"kind": kind, "root": str(root), **settings})


@pytest.fixture
def fetch(monkeypatch):
    """Stands in for torchvision's downloads: writes the small files, and keeps what was asked."""
    asked = []

    def download(self):
        asked.append(str(self.root))
        WRITERS[next(kind for kind, cls in CLASSES.items() if type(self) is cls)](self.root)

    for cls in CLASSES.values():
        monkeypatch.setattr(cls, "download", download)
    return asked


@KINDS
def test_images_and_labels_are_those_that_were_written(kind, tmp_path, monkeypatch) -> None:
    without_checksums(monkeypatch)
    WRITERS[kind](tmp_path)
    source = load_source(build(kind, tmp_path))
    train, test = (COLOUR_TRAIN, COLOUR_TEST) if kind in COLOUR else (TRAIN, TEST)
    pixels = np.concatenate([train[0], test[0]]).reshape(34, -1)
    assert np.array_equal(source.images.reshape(34, -1), pixels)
    assert source.labels.tolist() == [*train[1], *test[1]] and source.test_from == 23
    assert source.shape == ((3, 32, 32) if kind in COLOUR else (1, 28, 28))


@pytest.mark.parametrize("kind", [kind for kind in WRITERS if kind != "svhn"])
def test_pixels_names_and_the_two_parts_are_torchvisions(kind, tmp_path, monkeypatch) -> None:
    without_checksums(monkeypatch)
    WRITERS[kind](tmp_path)
    source = load_source(build(kind, tmp_path))
    for train, offset in ((True, 0), (False, 23)):
        part = CLASSES[kind](tmp_path, train=train)
        assert list(source.class_names) == list(part.classes)[: len(source.class_names)]
        for number, (image, label) in enumerate(part):
            ours = source.images[offset + number].transpose(1, 2, 0).squeeze()
            assert (
                np.array_equal(ours, np.asarray(image)) and source.labels[offset + number] == label
            )


def test_the_sources_own_test_set_is_the_test_pool(tmp_path) -> None:
    WRITERS["mnist"](tmp_path)
    dataset = build("mnist", tmp_path, train=5, validation=4, test=3)
    parts = split(dataset, load_source(dataset), 0)
    assert parts.test.min() >= 23 and max(parts.train.max(), parts.validation.max()) < 23


def test_only_the_files_that_torchvision_reads_name_the_content(tmp_path) -> None:
    raw = WRITERS["mnist"](tmp_path)
    before = build("mnist", tmp_path).fingerprint()
    (raw / "train-images-idx3-ubyte.gz").write_bytes(b"an archive that nobody opens")
    assert build("mnist", tmp_path).fingerprint() == before
    write_idx(raw / "t10k-labels-idx1-ubyte", TEST[1][::-1])
    assert build("mnist", tmp_path).fingerprint() != before


def test_equal_files_of_two_kinds_are_two_sources(tmp_path) -> None:
    WRITERS["mnist"](tmp_path)
    WRITERS["fashion_mnist"](tmp_path)
    one, other = (load_source(build(kind, tmp_path)) for kind in ("mnist", "fashion_mnist"))
    assert one.fingerprint != other.fingerprint
    assert (one.class_names[0], other.class_names[0]) == ("0 - zero", "T-shirt/top")


# --- downloads -------------------------------------------------------------------------------


@KINDS
def test_nothing_is_fetched_unless_asked_for(kind, tmp_path, fetch) -> None:
    with pytest.raises(UserError) as caught:
        load_source(build(kind, tmp_path))
    text = str(caught.value)
    assert f"root: must be the folder of `{kind}` as torchvision lays it out" in text
    assert "Missing: " in text and "Point data.root at" in text
    assert "--set data.download=true" in text
    assert not fetch and not list(tmp_path.iterdir())


@KINDS
def test_what_is_missing_is_fetched_once(kind, tmp_path, fetch, monkeypatch) -> None:
    without_checksums(monkeypatch)
    asked, plain = build(kind, tmp_path, download=True), build(kind, tmp_path)
    assert load_source(asked).test_from == 23
    once = [str(tmp_path)] * (2 if kind == "svhn" else 1)  # whose parts are fetched apart
    assert fetch == once
    assert asked.fingerprint() == plain.fingerprint() and asked.identity() == plain.identity()
    assert fetch == once


@KINDS
def test_a_download_that_fails_is_one_clear_mistake(kind, tmp_path, monkeypatch) -> None:
    def download(self):
        raise RuntimeError("Error downloading x.gz:\nTried https://example.org, got: no route")

    monkeypatch.setattr(CLASSES[kind], "download", download)
    with pytest.raises(UserError) as caught:
        load_source(build(kind, tmp_path, download=True))
    rule = f"root: must be a folder into which torchvision can fetch `{kind}`"
    assert rule in str(
        caught.value
    ) and "(Error downloading x.gz: Tried https://example.org, got: no route)" in str(caught.value)


# --- damage ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["train-images-idx3-ubyte", "t10k-labels-idx1-ubyte"])
def test_a_missing_file_is_named(tmp_path, name) -> None:
    (WRITERS["mnist"](tmp_path) / name).unlink()
    with pytest.raises(UserError, match=rf"Missing: MNIST/raw/{name}\. Point"):
        load_source(build("mnist", tmp_path))


@pytest.mark.parametrize(
    ("name", "content", "part"),
    [
        ("train-images-idx3-ubyte", b"", "training"),
        ("train-images-idx3-ubyte", b"\x00\x00", "training"),
        ("train-images-idx3-ubyte", b"not an idx file at all", "training"),
        ("t10k-images-idx3-ubyte", b"\x00\x00\x08\x03" + b"\x00\x00\x00\x0b" + bytes(99), "test"),
        ("t10k-images-idx3-ubyte", b"\x00\x00\x0a\x03" + b"\x00\x00\x00\x0b" + bytes(99), "test"),
        ("train-labels-idx1-ubyte", b"\x00\x00\x08\x01\x00\x00\x00\x04" + bytes(4), "training"),
        ("train-labels-idx1-ubyte", b"\x00\x00\x08\x01\x00\x00\x00\x17" + b"\x0c" * 23, "training"),
    ],
)
def test_a_damaged_file_is_one_clear_mistake(tmp_path, name, content, part) -> None:
    (WRITERS["mnist"](tmp_path) / name).write_bytes(content)
    with pytest.raises(UserError) as caught:
        load_source(build("mnist", tmp_path))
    assert f"root: must hold undamaged {part} files of `mnist`" in str(caught.value)
    assert "Restore them, or delete them and --set data.download=true (" in str(caught.value)


@pytest.mark.parametrize("kind", ["cifar10", "cifar100"])
def test_pickles_that_are_not_the_published_ones_stay_closed(kind, tmp_path, monkeypatch) -> None:
    WRITERS[kind](tmp_path)
    monkeypatch.setattr("pickle.load", lambda *a, **k: pytest.fail("opened an unknown pickle"))
    with pytest.raises(UserError, match=r"undamaged training files of `cifar.*corrupted"):
        build(kind, tmp_path).read()


def test_an_old_processed_folder_does_not_hide_the_raw_files(tmp_path) -> None:
    import torch

    raw = WRITERS["mnist"](tmp_path)
    processed = raw.parent / "processed"
    processed.mkdir()
    for name in ("training.pt", "test.pt"):
        torch.save(
            (torch.zeros(2, 28, 28, dtype=torch.uint8), torch.zeros(2).long()), processed / name
        )
    assert len(load_source(build("mnist", tmp_path)).labels) == 34


def test_listing_the_kinds_does_not_load_torchvision() -> None:
    code = (
        "import sys; from backdoor.settings.registry import DATASETS; DATASETS.kinds();"
        "assert 'torchvision' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd="/")
