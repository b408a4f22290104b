"""Parquet files: which file is what, columns and their types, and what is wrong in words."""

import hashlib
import io
import json
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.parquet.encryption as encryption
import pytest
from fabricated import draw_part
from PIL import Image

from backdoor.config import build_data
from backdoor.datasets.source import changed_rule, load_source
from backdoor.errors import UserError

PIXELS, LABELS = draw_part(12, (4, 4, 3))


def png(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="PNG")
    return stream.getvalue()


PNG = [png(pixels) for pixels in PIXELS]
HUB = pa.struct({"bytes": pa.binary(), "path": pa.string()})


def table(start=0, stop=12, image="image", label="label", labels=None, cells=None) -> pa.Table:
    """Rows of the drawn images, with plain bytes unless `cells` says otherwise."""
    cells = PNG[start:stop] if cells is None else cells
    labels = LABELS[start:stop] if labels is None else labels
    return pa.table({image: cells, label: labels})


def write(root: Path, *names: str, **changes) -> None:
    """The same small table under each name; of files with `test` or `val` the last six rows."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        held = any(word in name.lower() for word in ("test", "val"))
        pq.write_table(table(6 if held else 0, 12 if held else 6, **changes), root / name)


def build(root, **settings):
    return build_data({"kind": "parquet", "root": str(root), **settings})


def contents(root, **settings):
    return build(root, **settings).open()


def refused(root, **settings) -> str:
    with pytest.raises(UserError) as caught:
        names_of(contents(root, **settings))
    return str(caught.value)


def names_of(opened) -> list[str]:
    return [name for name, _ in opened.images.items(np.arange(len(opened.images)))]


def pixels_of(opened, ids=None) -> np.ndarray:
    ids = np.arange(len(opened.images)) if ids is None else np.asarray(ids)
    return np.stack([decode().pixels for _, decode in opened.images.items(ids)])


# --- which file is what --------------------------------------------------------------------------

READ = [
    ["train.parquet", "test.parquet"],
    ["TRAIN.parquet", "Test.PARQUET"],
    ["train-00000-of-00002.parquet", "train-00001-of-00002.parquet", "test-00000-of-00001.parquet"],
    ["data/train-00000-of-00001-0f3c9e5ad2b1c7f4.parquet", "data/test-00000-of-00001-77de.parquet"],
    ["train-1-of-2.parquet", "train-2-of-2.parquet", "test-1-of-1.parquet"],
    ["default/train/0000.parquet", "default/train/0001.parquet", "default/test/0000.parquet"],
    ["train/part-0.parquet", "train/part-1.parquet", "test/part-0.parquet"],
    ["train/part-00000-1f2e-c000.snappy.parquet", "test/part-00000-2c3d.c000.snappy.parquet"],
    ["train.parquet/part-00000-1f2e.gz.parquet", "test.parquet/part-00000-2c3d.gz.parquet"],
    ["seg_train/0.parquet", "seg_test/a.parquet"],
    ["train_images/0.parquet", "test_images/0.parquet"],
    ["cifar10_train.parquet", "cifar10_test.parquet"],
    ["train2017.parquet", "val2017.parquet"],
    ["MNISTTrain.parquet", "MNISTTest.parquet"],
    ["latestTrain.parquet", "latestTest.parquet"],
    ["train_224.parquet", "test_224.parquet"],
    ["train/train-0.parquet", "train/train-1.parquet", "test/test-0.parquet"],
    ["test-of-mnist/train.parquet", "test-of-mnist/test.parquet"],
    ["train/cifar10.parquet", "test/cifar10.parquet"],
    ["train.1.parquet", "train.2.parquet", "test.1.parquet"],
    ["train.parquet", "validation.parquet"],
    ["Training.parquet", "dev.parquet"],
]


@pytest.mark.parametrize("files", READ, ids=lambda files: files[0])
def test_files_of_a_split(tmp_path, files) -> None:
    write(tmp_path, *files)
    opened = contents(tmp_path)
    assert opened.test_from == 6 * (len(files) - 1) and not opened.left_out
    order = [name for name in files for _ in range(6)]
    assert [name.partition(", row ")[0] for name in names_of(opened)] == order


SHARDS = "train-00000-of-00002.parquet"
REFUSED = {
    "a shard is missing": (
        [SHARDS, "test.parquet"],
        ["must have all shards of a split", SHARDS, "Missing: train-00001-of-00002.parquet."],
    ),
    "a shard with a hash": (
        ["data/train-00001-of-00003-ab12.parquet", "test.parquet"],
        ["must hold one configuration"],
    ),
    "the first shard is missing": (
        ["train-00001-of-00002.parquet", "test.parquet"],
        ["Missing: train-00000-of-00002.parquet."],
    ),
    "a gap": (
        ["train/0000.parquet", "train/0002.parquet", "test/0000.parquet"],
        ["must have all shards of a split", "Missing: train/0001.parquet. Fetch what is missing"],
    ),
    "a number without those before": (
        ["train/0003.parquet", "test/0000.parquet"],
        ["Missing: train/0000.parquet, train/0001.parquet, train/0002.parquet."],
    ),
    "both splits lack shards": (
        [SHARDS, "test-00000-of-00002.parquet"],
        ["Missing: train-00001-of-00002.parquet.", "Missing: test-00001-of-00002.parquet."],
    ),
    "a file and shards": (
        ["train.parquet", "train-00000-of-00001.parquet", "test.parquet"],
        [
            "must have one file, or numbered shards, for each split, but got "
            "'train-00000-of-00001.parquet, train.parquet'",
            "move the others out of data.root",
        ],
    ),
    "two files": (
        ["train.parquet", "train_backup.parquet", "test.parquet"],
        ["must have one file, or numbered shards", "train.parquet, train_backup.parquet"],
    ),
    "two totals": (
        [SHARDS, "train-00001-of-00003.parquet", "test.parquet"],
        ["must have one file, or numbered shards"],
    ),
    "a shard twice": (
        [SHARDS, "train-00001-of-00002-aa.parquet", "train-00001-of-00002-bb.parquet", "test.parquet"],
        ["must have each shard once", "00002-aa.parquet, train-00001-of-00002-bb.parquet"],
    ),
    "spark wrote twice": (
        ["train/part-00000-aa.parquet", "train/part-00000-bb.parquet", "test/part-00000-aa.parquet"],
        ["must have each shard once"],
    ),
    "a number above the total": (
        [SHARDS, "train-00001-of-00002.parquet", "train-00005-of-00002.parquet", "test.parquet"],
        ["must have shards with numbers up to their total"],
    ),
    "val and valid": (
        ["train.parquet", "val.parquet", "validation.parquet"],
        ["must have one file, or numbered shards", "val.parquet, validation.parquet"],
    ),
    "two configurations": (
        ["de/train.parquet", "de/test.parquet", "en/train/0000.parquet", "en/test/0000.parquet"],
        [
            "root: must hold one configuration, or `config` must name one, but got "
            "'de (test, train), en (test, train)'. Choose one: --set data.config=de.",
        ],
    ),
    "a configuration in the name": (
        ["a_train.parquet", "a_test.parquet", "b_train.parquet", "b_test.parquet"],
        ["'a (test, train), b (test, train)'"],
    ),
    "one in the root": (
        ["train.parquet", "test.parquet", "copy/train.parquet", "copy/test.parquet"],
        ["'. (directly in root: test, train), copy (test, train)'"],
    ),
    "folders by a column": (
        ["train/label=cat/a.parquet", "train/label=dog/a.parquet", "test/label=cat/a.parquet"],
        ["must hold files that are not in folders by the values of a column", "'label=cat, label="],
    ),
    "the first rows only": (
        ["default/partial-train/0000.parquet", "default/test/0000.parquet"],
        ["`partial` files hold the first of them", "default/partial-train/0000.parquet"],
    ),
    "training only": (
        ["train.parquet"],
        ["root: must hold train*.parquet and test*.parquet", "Found: train.parquet."],
    ),
    "test is called otherwise": (
        ["train.parquet", "holdout.parquet"],
        ["Found: train.parquet, and holdout.parquet, of no known split."],
    ),
    "nothing": ([], ["Found: no .parquet file."]),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_files_that_are_not_one_set(tmp_path, case) -> None:
    files, texts = REFUSED[case]
    write(tmp_path, *files)
    message = refused(tmp_path)
    for text in texts:
        assert text in message
    with pytest.raises(UserError):
        build(tmp_path).fingerprint()


def test_one_of_two_configurations_is_chosen(tmp_path) -> None:
    for name, first in (("de", 0), ("en", 1)):
        (tmp_path / name).mkdir()
        for part in ("train", "test"):
            pq.write_table(table(first, first + 6), tmp_path / name / f"{part}.parquet")
    opened = contents(tmp_path, config="en")
    assert np.array_equal(pixels_of(opened)[0], PIXELS[1].transpose(2, 0, 1))
    (left_out,) = opened.left_out
    assert left_out == "2 files of other configurations (de/test.parquet, de/train.parquet)"
    message = refused(tmp_path, config="fr")
    assert "config: must be the name of a configuration under `root`, but got 'fr'" in message
    assert "Configurations: de (test, train), en (test, train)." in message
    prints = {build(tmp_path, config=name).fingerprint() for name in ("de", "en")}
    assert len(prints) == 2


def test_what_is_left_out_is_counted(tmp_path) -> None:
    write(tmp_path, "train.parquet", "test.parquet", "validation.parquet", "extra.parquet")
    write(tmp_path, "train_unlabeled.parquet", ".cache/train-0.parquet")
    (tmp_path / "README.md").write_text("a set")
    (tmp_path / "b.txt").write_text("")
    (tmp_path / "a.txt").write_text("")
    assert contents(tmp_path).left_out == (
        "6 validation images (validation.parquet)",
        "2 files of no known split (extra.parquet, train_unlabeled.parquet)",
        "1 file hidden (.cache/train-0.parquet)",
        "1 file (.md)",
        "2 files (.txt)",
    )
    assert "the validation images are the test set" not in contents(tmp_path).notes
    (tmp_path / "test.parquet").unlink()
    assert contents(tmp_path).notes == ("the validation images are the test set",)


def test_a_file_as_root(tmp_path) -> None:
    write(tmp_path, "train.parquet", "test.parquet")
    message = refused(tmp_path / "train.parquet")
    assert "root: must be a folder" in message and f"--set data.root={tmp_path}." in message


# --- fingerprints --------------------------------------------------------------------------------


def former(how: list, *parts: list[Path]) -> str:
    """The fingerprint of earlier versions."""
    digest = hashlib.sha256(json.dumps(how).encode())
    for files in parts:
        for file in files:
            digest.update(hashlib.sha256(file.read_bytes()).digest())
        digest.update(b"|")
    return digest.hexdigest()


@pytest.mark.parametrize(
    ("settings", "how"),
    [
        ({}, [None, "label"]),
        ({"image_size": 2}, [2, "label"]),
        ({"image_size": 2, "resize": "crop"}, [2, "label", "crop"]),
    ],
)
def test_the_fingerprint_is_that_of_before(tmp_path, settings, how) -> None:
    write(tmp_path, SHARDS, "train-00001-of-00002.parquet", "valid.parquet", "notes/extra.parquet")
    parts = [[tmp_path / SHARDS, tmp_path / "train-00001-of-00002.parquet"], [tmp_path / "valid.parquet"]]  # fmt: skip
    dataset = build(tmp_path, **settings)
    assert dataset.fingerprint() == former(how, *parts)
    assert list(dataset.former_fingerprints()) == []
    assert dataset.identity() == {
        **{"kind": "parquet", "label_column": "label", "classes": None, "split_seed": None},
        **{"train": None, "validation": None, "test": None, "image_size": None, **settings},
    }


def test_a_folder_that_is_read_otherwise_has_a_new_fingerprint(tmp_path) -> None:
    write(tmp_path, "train.parquet", "test.parquet", ".cache/train.parquet")
    dataset = build(tmp_path)
    parts = [tmp_path / ".cache/train.parquet", tmp_path / "train.parquet"], [tmp_path / "test.parquet"]  # fmt: skip
    before = former([None, "label"], *parts)
    assert dataset.fingerprint() != before
    assert list(dataset.former_fingerprints()) == [
        (before, "which Parquet files belong to a split")
    ]
    rule = changed_rule(dataset, load_source(dataset), before[:16])
    assert rule == "which Parquet files belong to a split"


def test_settings_that_choose_are_in_the_fingerprint(tmp_path) -> None:
    write(tmp_path, "train.parquet", "test.parquet")
    prints = [build(tmp_path, **given).fingerprint() for given in ({}, {"image_column": "image"})]
    assert prints[0] != prints[1]
    assert build(tmp_path, image_column="image").identity()["image_column"] == "image"


# --- images --------------------------------------------------------------------------------------


def beside(root: Path) -> list[str]:
    """The images as files under root/pictures; their paths from root."""
    (root / "pictures").mkdir()
    for number, encoded in enumerate(PNG):
        (root / "pictures" / f"{number}.png").write_bytes(encoded)
    return [f"pictures/{number}.png" for number in range(len(PNG))]


FORMS = {
    "struct": lambda paths: pa.array([{"bytes": b, "path": "x.png"} for b in PNG], HUB),
    "struct without paths": lambda paths: pa.array([{"bytes": b, "path": None} for b in PNG]),
    "struct without bytes": lambda paths: pa.array([{"bytes": None, "path": p} for p in paths]),
    "struct of bytes": lambda paths: pa.array([{"bytes": b} for b in PNG]),
    "plain bytes": lambda paths: pa.array(PNG),
    "large bytes": lambda paths: pa.array(PNG, pa.large_binary()),
    "dictionary": lambda paths: pa.array(PNG).dictionary_encode(),
    "paths": lambda paths: pa.array(paths),
    "large paths": lambda paths: pa.array(paths, pa.large_string()),
    "dictionary of paths": lambda paths: pa.array(paths).dictionary_encode(),
    "paths of Windows": lambda paths: pa.array([path.replace("/", "\\") for path in paths]),
    "struct of paths": lambda paths: pa.array([{"bytes": None, "path": p} for p in paths], HUB),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("statistics", [True, False])
def test_images_in_every_form(tmp_path, form, statistics) -> None:
    whole = pa.table({"image": FORMS[form](beside(tmp_path)), "label": LABELS})
    for name, rows in (("train", whole[:8]), ("test", whole[8:])):
        pq.write_table(
            rows, tmp_path / f"{name}.parquet", row_group_size=3, write_statistics=statistics
        )
    opened = contents(tmp_path)
    assert opened.labels.tolist() == LABELS.tolist() and opened.test_from == 8
    assert np.array_equal(pixels_of(opened), PIXELS.transpose(0, 3, 1, 2))
    some = [0, 4, 7, 8, 11]
    assert np.array_equal(pixels_of(opened, some), PIXELS[some].transpose(0, 3, 1, 2))
    assert names_of(opened)[7:9] == ["train.parquet, row 7", "test.parquet, row 0"]
    files = 12 - len([1 for row in opened.images.read(np.arange(12)) if isinstance(row[1], Path)])
    assert opened.left_out == ((f"{files} files (.png)",) if files else ())


def test_only_row_groups_that_are_asked_for_are_read(tmp_path, monkeypatch) -> None:
    for name, rows in (("train", slice(0, 8)), ("test", slice(8, 12))):
        part = table(rows.start, rows.stop)
        pq.write_table(part, tmp_path / f"{name}.parquet", row_group_size=2)
    opened = contents(tmp_path)
    groups = []
    real = pq.ParquetFile.iter_batches

    def noted(self, size, row_groups, columns):
        groups.append((self.metadata.num_rows, row_groups))
        return real(self, size, row_groups=row_groups, columns=columns)

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", noted)
    pixels_of(opened, [1, 6, 7])
    assert groups == [(8, [0]), (8, [3])]


def test_few_images_are_in_memory(tmp_path) -> None:
    noise = table(labels=np.arange(1_000) % 3, cells=[os.urandom(20_000) for _ in range(1_000)])
    pq.write_table(noise, tmp_path / "train.parquet", write_batch_size=32)
    write(tmp_path, "test.parquet")
    del noise
    opened = contents(tmp_path)
    before = pa.total_allocated_bytes()
    most = 0
    for _ in opened.images.items(np.arange(1_006)):
        most = max(most, pa.total_allocated_bytes() - before)
    assert most < 12e6  # of 20e6 in the row group


def test_content_of_image_files_is_part_of_the_fingerprint(tmp_path) -> None:
    paths = beside(tmp_path)
    write(tmp_path, "train.parquet", cells=paths[:6])
    write(tmp_path, "test.parquet", cells=paths[6:])
    before, signature = build(tmp_path).fingerprint(), build(tmp_path).signature()
    assert signature == build(tmp_path).signature()
    (tmp_path / "pictures" / "3.png").write_bytes(PNG[0])
    assert build(tmp_path).fingerprint() != before and build(tmp_path).signature() != signature


def test_both_usual_columns(tmp_path) -> None:
    for name in ("train", "test"):
        both = table().append_column("img", pa.array(PNG[::-1]))
        pq.write_table(both, tmp_path / f"{name}.parquet")
    opened = contents(tmp_path)
    assert opened.notes == ("images are those of the column `img`, not of `image`",)
    assert np.array_equal(pixels_of(opened)[0], PIXELS[-1].transpose(2, 0, 1))
    named = contents(tmp_path, image_column="image")
    assert not named.notes
    assert np.array_equal(pixels_of(named)[0], PIXELS[0].transpose(2, 0, 1))


def test_columns_of_other_names(tmp_path) -> None:
    write(tmp_path, "train.parquet", "test.parquet", image="pixel_values", label="fine_label")
    message = refused(tmp_path)
    assert (
        "root: must have a column img or image and a column label, but got "
        "'test.parquet: pixel_values, fine_label'"
        in message
        or "'train.parquet: pixel_values, fine_label'" in message
    )
    assert "--set data.image_column=pixel_values --set data.label_column=fine_label" in message
    assert "pixel_values (binary, looks like images), fine_label (int64)" in message
    opened = contents(tmp_path, image_column="pixel_values", label_column="fine_label")
    assert len(opened.labels) == 12
    message = refused(tmp_path, image_column="pixels", label_column="fine_label")
    assert "must have a column pixels and a column fine_label" in message


def missing_file(root) -> None:
    write(root, "train.parquet", cells=[f"{i}.png" for i in range(6)])
    write(root, "test.parquet")


def addresses(root) -> None:
    write(root, "train.parquet", cells=[f"https://example.org/{i}.png" for i in range(6)])
    write(root, "test.parquet")


def folder_for_file(root) -> None:
    (root / "a").mkdir()
    write(root, "train.parquet", cells=["a"] * 6)
    write(root, "test.parquet")


def with_cells(*cells):
    def change(root):
        write(root, "train.parquet", cells=pa.array([*cells, *PNG[len(cells) : 6]]))
        write(root, "test.parquet")

    return change


def mixed(*rows):
    """These rows have paths, the others bytes."""

    def change(root):
        cells = [
            {"bytes": None if row in rows else encoded, "path": f"{row}.png"}
            for row, encoded in enumerate(PNG)
        ]
        write(root, "train.parquet", cells=pa.array(cells[:6], HUB))
        write(root, "test.parquet")

    return change


def of_type(cells):
    def change(root):
        write(root, "train.parquet", "test.parquet", cells=cells)

    return change


def with_labels(labels, test=None):
    def change(root):
        write(root, "train.parquet", labels=labels)
        write(root, "test.parquet", labels=labels if test is None else test)

    return change


def other_names(root) -> None:
    for name, classes in (("train", ["cat", "dog"]), ("test", ["dog", "cat"])):
        features = {"label": {"names": classes, "_type": "ClassLabel"}}
        metadata = {"huggingface": json.dumps({"info": {"features": features}})}
        pq.write_table(table().replace_schema_metadata(metadata), root / f"{name}.parquet")


def twice(root) -> None:
    whole = pa.Table.from_arrays([PNG, LABELS, LABELS], names=["image", "label", "label"])
    for name in ("train", "test"):
        pq.write_table(whole, root / f"{name}.parquet")


class Keys(encryption.KmsClient):
    """Stands for a store of keys."""

    def __init__(self, _) -> None:
        super().__init__()

    def wrap_key(self, key_bytes, _) -> bytes:
        return key_bytes.hex().encode()

    def unwrap_key(self, wrapped_key, _) -> bytes:
        return bytes.fromhex(wrapped_key.decode())


def encrypted(root) -> None:
    """Files whose footers can be read, and whose columns cannot."""
    settings = encryption.EncryptionConfiguration(
        footer_key="a", column_keys={"b": ["image", "label"]}, plaintext_footer=True
    )
    for name in ("train", "test"):
        made = encryption.CryptoFactory(Keys).file_encryption_properties(
            encryption.KmsConnectionConfig(), settings
        )
        with pq.ParquetWriter(
            root / f"{name}.parquet", table().schema, encryption_properties=made
        ) as writer:
            writer.write_table(table())


WRONG_CONTENT = {
    "no image": (
        with_cells(None, None),
        [
            "root: must have an image in every row, but got "
            "'2 empty rows: train.parquet, row 0, train.parquet, row 1'. Leave out these rows."
        ],
    ),
    "paths in rows after bytes": (
        mixed(2, 3),
        [
            "must have bytes in all rows of a file, or paths in all, but got "
            "'2 other rows: train.parquet, row 2, train.parquet, row 3'. Write all",
        ],
    ),
    "bytes in rows after paths": (mixed(0, 1, 2, 3, 4), ["or paths in all", "1 other row: train.parquet, row 5"]),
    "a column twice": (
        twice,
        ["must have one column `label`, but got 'train.parquet: image, label, label'. Rename or"],
    ),
    "encrypted columns": (encrypted, ["train.parquet (encrypted), test.parquet (encrypted)"]),
    "image files are missing": (
        missing_file,
        [
            "must name image files that exist, but got '6 rows: train.parquet, row 0: 0.png, ",
            "Paths begin at the folder of the Parquet file.",
        ],
    ),
    "addresses": (addresses, ["These are addresses: fetch the images"]),
    "a folder": (folder_for_file, ["must name an image file in each row, no folder"]),
    "decoded images": (
        of_type([[0, 1, 2]] * 6),
        [
            "must hold images as encoded bytes, structs with `bytes` or `path`, or paths",
            "`image` is list<",
            "save them as PNG, or as uint8 in an .npz file for `kind: arrays`",
            "--set data.image_column=NAME",
        ],
    ),
    "numbers": (of_type([1] * 6), ["`image` is int64'. Name another column: --set"]),
    "labels with a fraction": (
        with_labels([0.0, 1.0, 2.0, 0.5, None, 1.0]),
        [
            "must hold whole numbers, text or booleans as labels, but got "
            "'train.parquet: `label` is double, 1 of 6 empty, 1 with a fraction; test.parquet: ",
            "--set data.label_column=NAME",
        ],
    ),
    "whole numbers stored as such with a fraction": (
        with_labels([0.0, 1.0] * 3),
        ["`label` is double, 0 with a fraction"],
    ),
    "lists of labels": (with_labels([[0]] * 6), ["`label` is list<"]),
    "decimals": (with_labels(pa.array([1] * 6).cast(pa.decimal128(19))), ["is decimal128(19, 0)"]),
    "empty labels": (
        with_labels([0, 1, None, 0, None, 1]),
        [
            "must have a label for every image, but got 'train.parquet: 2 of 6 empty, first row 2; test.parquet: ",
            "test.parquet: 2 of 6 empty",
        ],
    ),
    "empty text": (with_labels(["a", "", "b", "a", "b", "c"]), ["1 of 6 empty, first row 1"]),
    "no type": (with_labels(pa.nulls(6)), ["`label` is null, 6 of 6 empty"]),
    "too large": (
        with_labels(pa.array([2**63] * 6, pa.uint64())),
        ["must hold labels up to 9223372036854775807, but got 'train.parquet: 9223372036854775808; test.parquet: "],
    ),
    "numbers and text": (
        with_labels([0, 1] * 3, ["a", "b"] * 3),
        ["must hold labels of one type", "'train.parquet: int64; test.parquet: string'"],
    ),
    "test labels that are kept secret": (
        with_labels([0, 1] * 3, [-1] * 6),
        ["must have labels for the test images, but got 'test.parquet: only -1'", "Remove these"],
    ),
    "names in another order": (
        other_names,
        ["must name the classes alike in all files", "'train.parquet: cat, dog; test.parquet: dog"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG_CONTENT)
def test_wrong_content(tmp_path, case) -> None:
    change, texts = WRONG_CONTENT[case]
    change(tmp_path)
    message = refused(tmp_path)
    for text in texts:
        assert text in message


# --- labels --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("labels", "raw", "classes"),
    [
        (pa.array([0, 1, 2] * 2, pa.uint8()), [0, 1, 2] * 2, ("0", "1", "2")),
        (pa.array([0, 1, 2] * 2, pa.uint64()), [0, 1, 2] * 2, ("0", "1", "2")),
        (pa.array([3, 5, 9] * 2), [3, 5, 9] * 2, ("3", "5", "9")),
        (["owl", "cat", "dog"] * 2, ["owl", "cat", "dog"] * 2, ("cat", "dog", "owl")),
        (pa.array(["b", "a"] * 3, pa.large_string()), ["b", "a"] * 3, ("a", "b")),
        (pa.array(["b", "a"] * 3).dictionary_encode(), ["b", "a"] * 3, ("a", "b")),
        (pa.array([1, 0] * 3).dictionary_encode(), [1, 0] * 3, ("0", "1")),
        ([True, False] * 3, ["true", "false"] * 3, ("false", "true")),
    ],
)
def test_labels_of_every_type(tmp_path, labels, raw, classes) -> None:
    with_labels(labels)(tmp_path)
    opened = contents(tmp_path)
    assert opened.labels.tolist() == raw * 2 and opened.labels.dtype.kind in "iU"
    source = load_source(build(tmp_path))
    assert source.class_names == classes and source.labels.dtype == np.int64


# --- damaged files -------------------------------------------------------------------------------


def test_damaged_files_are_all_named(tmp_path) -> None:
    names = [f"train-{i:05d}-of-00005.parquet" for i in range(5)]
    write(tmp_path, *names, "test.parquet")
    good = (tmp_path / names[0]).read_bytes()
    (tmp_path / names[0]).write_bytes(good[: len(good) // 2])
    (tmp_path / names[1]).write_bytes(b"")
    (tmp_path / names[2]).write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0")
    (tmp_path / names[3]).write_bytes(good[:-4] + b"PARE")
    pq.write_table(table(0, 0), tmp_path / names[4])
    with pytest.raises(UserError) as caught:
        contents(tmp_path)
    (mistake,) = caught.value.mistakes
    assert mistake.rule == "must hold whole Parquet files with rows in them"
    assert mistake.value == "5 files that cannot be used"
    assert mistake.remedy == (
        f"Fetch or write again: {names[0]} (damaged, or no Parquet file), {names[1]} (damaged, or no Parquet file), "
        f"{names[2]} (a pointer of Git LFS: `git lfs pull` fetches the file), "
        f"{names[3]} (encrypted), {names[4]} (no rows)."
    )


def test_a_damaged_column_is_found_when_it_is_read(tmp_path) -> None:
    write(tmp_path, "train.parquet", "test.parquet")
    for name in ("train", "test"):
        file = tmp_path / f"{name}.parquet"
        content = bytearray(file.read_bytes())
        content[40:300] = bytes(260)
        file.write_bytes(content)
    with pytest.raises(UserError, match="must hold whole Parquet files") as caught:
        names_of(contents(tmp_path))
    assert caught.value.mistakes[0].remedy == (
        "Fetch or write again: train.parquet (damaged, or no Parquet file), "
        "test.parquet (damaged, or no Parquet file)."
    )
