"""Sources, splits and the cache."""

import io
import json
import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fabricated import (
    draw_part,
    without_checksums,
    write_cifar10,
    write_cifar100,
    write_csv,
    write_flowers102,
    write_folders,
    write_gtsrb,
    write_imagenette,
    write_mnist,
    write_svhn,
    write_tiny_imagenet,
)
from PIL import Image

from backdoor.config import build_data
from backdoor.datasets.source import load_source, split
from backdoor.errors import UserError
from backdoor.reading.cache_files import cache_folder
from backdoor.reading.tables.parquet_images import ImageColumn
from backdoor.settings.registry import DATASETS


def encode(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="PNG")
    return stream.getvalue()


def write_parquet(folder, counts=(30, 12), column="img", side=6, grey=False, names=True):
    """Train and test files in the hubs' layout; returns the pixels that went in."""
    draw = np.random.default_rng(5)
    pixels = {}
    for name, count in zip(("train", "test"), counts, strict=True):
        shape = (count, side, side) if grey else (count, side, side, 3)
        pixels[name] = draw.integers(0, 256, shape, dtype=np.uint8)
        labels = np.arange(count) % 3
        cells = [
            {"bytes": encode(image), "path": f"{i}.png"} for i, image in enumerate(pixels[name])
        ]
        table = pa.table({column: cells, "label": labels})
        if names:
            features = {"label": {"names": ["cat", "dog", "owl"], "_type": "ClassLabel"}}
            table = table.replace_schema_metadata(
                {"huggingface": json.dumps({"info": {"features": features}})}
            )
        pq.write_table(table, folder / f"{name}-00000-of-00001.parquet")
    return pixels


@pytest.mark.parametrize("column", ["img", "image"])
def test_parquet_decodes_pixel_for_pixel(tmp_path, column) -> None:
    pixels = write_parquet(tmp_path, column=column)
    source = load_source(build_data({"kind": "parquet", "root": str(tmp_path)}))
    assert source.images.shape == (42, 3, 6, 6) and source.images.dtype == np.uint8
    assert np.array_equal(source.images[:30], pixels["train"].transpose(0, 3, 1, 2))
    assert np.array_equal(source.images[30:], pixels["test"].transpose(0, 3, 1, 2))
    assert source.labels.tolist() == [*(i % 3 for i in range(30)), *(i % 3 for i in range(12))]
    assert source.class_names == ("cat", "dog", "owl") and source.test_from == 30
    unit = pixels["train"] / 255
    assert source.mean == pytest.approx(unit.mean((0, 1, 2)), rel=1e-5)
    assert source.std == pytest.approx(unit.std((0, 1, 2)), rel=1e-5)


def test_grey_images_have_one_channel_and_sizes_can_be_set(tmp_path) -> None:
    write_parquet(tmp_path, grey=True, names=False)
    dataset = build_data({"kind": "parquet", "root": str(tmp_path), "image_size": 10})
    source = load_source(dataset)
    assert source.shape == (1, 10, 10) and source.class_names == ("0", "1", "2")


def test_the_cache_is_by_content_memory_mapped_and_not_decoded_again(tmp_path, monkeypatch) -> None:
    write_parquet(tmp_path, counts=(9, 6))
    dataset = build_data({"kind": "parquet", "root": str(tmp_path)})
    first = load_source(dataset)
    assert isinstance(first.images, np.memmap) and not first.images.flags.writeable
    moved = tmp_path / "moved"
    moved.mkdir()
    for file in tmp_path.glob("*.parquet"):
        file.rename(moved / file.name)
    again = build_data({"kind": "parquet", "root": str(moved)})
    monkeypatch.setattr(ImageColumn, "read", lambda *_: pytest.fail("decoded twice"))
    assert load_source(again).fingerprint == first.fingerprint
    assert not list(cache_folder().glob(".writing-*"))


def test_a_cache_entry_is_written_whole_or_not_at_all(tmp_path, monkeypatch) -> None:
    write_parquet(tmp_path, counts=(12, 6), side=5)
    dataset = build_data({"kind": "parquet", "root": str(tmp_path)})

    def die(*_):
        raise OSError(28, "disk full")

    monkeypatch.setattr(os, "pwrite", die)
    with pytest.raises(UserError, match=r"BACKDOOR_CACHE .*disk full"):
        load_source(dataset)
    assert not list(cache_folder().glob(f"*{dataset.fingerprint()[:32]}"))
    assert not list(cache_folder().glob(".writing-*"))
    monkeypatch.undo()
    assert load_source(dataset).images.shape == (18, 3, 5, 5)


@pytest.mark.parametrize(
    ("prepare", "text"),
    [
        (None, "root: must be given for `parquet`"),
        (lambda folder: folder / "nowhere", "root: must be a folder that exists"),
        (lambda folder: folder, "root: must hold train*.parquet and test*.parquet"),
    ],
)
def test_missing_data_is_one_clear_mistake(tmp_path, prepare, text) -> None:
    root = None if prepare is None else str(prepare(tmp_path))
    with pytest.raises(UserError) as caught:
        load_source(build_data({"kind": "parquet", "root": root}))
    assert text in str(caught.value)


def test_wrong_columns_are_named(tmp_path) -> None:
    for name in ("train", "test"):
        pq.write_table(pa.table({"pixels": [1], "label": [0]}), tmp_path / f"{name}.parquet")
    with pytest.raises(
        UserError,
        match=r"must have a column img or image and a column label, but got "
        "'train.parquet: pixels, label'",
    ):
        load_source(build_data({"kind": "parquet", "root": str(tmp_path)}))


def small(*shape):
    """60 training and 30 test images."""
    return draw_part(60, shape), draw_part(30, shape, seed=6)


def fabricate_parquet(folder):
    write_parquet(folder, counts=(60, 30))
    return folder


def fabricate_folders(folder):
    write_folders(folder, dict(zip(("train", "test"), small(7, 5, 3), strict=True)))
    return folder


def fabricate_arrays(folder):
    images, labels = draw_part(90, (6, 8))
    np.savez(folder / "set.npz", images=images, labels=labels, poisoned=np.arange(90) < 9)
    return folder / "set.npz"


#: Kind → what writes a small one of at least 90 images and three classes, and returns its root.
FABRICATE = {
    "parquet": fabricate_parquet,
    "mnist": lambda folder: write_mnist(folder, *small(28, 28)).parents[1],
    "fashion_mnist": lambda folder: write_mnist(folder, *small(28, 28), "FashionMNIST").parents[1],
    "cifar10": lambda folder: write_cifar10(folder, *small(3, 32, 32)).parent,
    "cifar100": lambda folder: write_cifar100(folder, *small(3, 32, 32)).parent,
    "image_folder": fabricate_folders,
    "arrays": fabricate_arrays,
    "csv": lambda folder: write_csv(folder, *small(5, 4, 3)),
    "svhn": lambda folder: write_svhn(folder, *small(3, 32, 32)),
    "gtsrb": lambda folder: write_gtsrb(folder, *small(5, 4, 3)),
    "imagenette": lambda folder: write_imagenette(folder, *small(5, 4, 3)),
    "tiny_imagenet": lambda folder: write_tiny_imagenet(folder, *small(4, 4, 3)),
    "flowers102": lambda folder: write_flowers102(folder, *small(5, 4, 3)),
}


@pytest.mark.parametrize("kind", list(DATASETS.kinds()))
class TestDataset:
    """The contract of a dataset, run by every kind."""

    @pytest.fixture(autouse=True)
    def fabricated_files_are_opened(self, monkeypatch):
        without_checksums(monkeypatch)

    def build(self, kind, tmp_path, **settings):
        if kind != "digits":
            settings = {"root": str(FABRICATE[kind](tmp_path)), **settings}
        return build_data({"kind": kind, **settings})

    def test_splits_are_disjoint_seeded_and_of_the_sizes_asked(self, kind, tmp_path) -> None:
        dataset = self.build(kind, tmp_path, train=20, validation=10, test=15)
        source = load_source(dataset)
        parts = split(dataset, source, 0)
        ids = np.concatenate([parts.train, parts.validation, parts.test])
        assert [len(parts.train), len(parts.validation), len(parts.test)] == [20, 10, 15]
        assert len(set(ids.tolist())) == 45
        again, other = split(dataset, source, 0), split(dataset, source, 1)
        assert np.array_equal(parts.train, again.train)
        assert not np.array_equal(parts.train, other.train)
        if source.test_from is not None:
            assert (parts.test >= source.test_from).all() and (parts.train < source.test_from).all()
        assert not source.poisoned[parts.validation].any() and not source.poisoned[parts.test].any()

    def test_a_fixed_split_ignores_the_trial_seed(self, kind, tmp_path) -> None:
        sizes = {"train": 20, "validation": 10, "test": 15}
        dataset = self.build(kind, tmp_path, split_seed=4, **sizes)
        source = load_source(dataset)
        assert np.array_equal(split(dataset, source, 0).train, split(dataset, source, 9).train)

    def test_narrowed_to_classes(self, kind, tmp_path) -> None:
        dataset = self.build(kind, tmp_path, classes=[2, 0], train=10, validation=4, test=6)
        source, whole = load_source(dataset), load_source(self.build(kind, tmp_path))
        assert source.class_names == (whole.class_names[2], whole.class_names[0])
        ids = split(dataset, source, 0).train
        assert (whole.labels[ids] == np.array([2, 0])[source.labels[ids]]).all()

    def test_mistakes(self, kind, tmp_path) -> None:
        with pytest.raises(UserError, match="classes: must not repeat a class"):
            self.build(kind, tmp_path, classes=[1, 1])
        with pytest.raises(UserError, match="classes: must be labels from 0 to"):
            load_source(self.build(kind, tmp_path, classes=[1, 999]))
        dataset = self.build(kind, tmp_path, train=10**6)
        with pytest.raises(UserError, match="must not exceed the"):
            split(dataset, load_source(dataset), 0)

    def test_content_names_the_source(self, kind, tmp_path) -> None:
        dataset = self.build(kind, tmp_path)
        assert dataset.fingerprint() == dataset.fingerprint()
        source = load_source(dataset)
        assert source.images.dtype == np.uint8 and source.labels.dtype == np.int64
        assert len(source.images) == len(source.labels) == len(source.poisoned)
        assert source.shape[0] in (1, 3)
        assert 0 <= source.labels.min() <= source.labels.max() < len(source.class_names)
        assert DATASETS.build(dataset.identity()).identity() == dataset.identity()
        assert not {"root", "download"} & set(dataset.identity())

    def test_where_the_files_lie_does_not_matter(self, kind, tmp_path) -> None:
        here, there = tmp_path / "here", tmp_path / "there"
        here.mkdir()
        there.mkdir()
        (there / "notes.txt").write_text("not part of the set")
        assert self.build(kind, here).fingerprint() == self.build(kind, there).fingerprint()

    def test_no_root_is_a_mistake_that_says_what_to_set(self, kind) -> None:
        if kind != "digits":
            with pytest.raises(
                UserError, match=rf"root: must be given for `{kind}`.*--set data.root="
            ):
                load_source(build_data(kind))


def test_digits_are_scikit_learns() -> None:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    source = load_source(build_data("digits"))
    assert source.images.shape == (1797, 1, 8, 8)
    assert np.array_equal(source.images[:, 0], np.round(bunch.images * 255 / 16))
    assert np.array_equal(source.labels, bunch.target)
