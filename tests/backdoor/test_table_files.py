"""Files of tables through links, and what is no file; the kind that reads what `root` is."""

import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from backdoor.config import build_data
from backdoor.errors import UserError


def write(root, *names, image="image", label="label"):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table({image: [b"x"] * 6, label: [0, 1] * 3}), root / name)


def build(kind, root, **settings):
    return build_data({"kind": kind, "root": str(root), **settings})


def refused(kind, root, **settings) -> str:
    with pytest.raises(UserError) as caught:
        build(kind, root, **settings).fingerprint()
    with pytest.raises(UserError) as again:
        build(kind, root, **settings).open()
    assert str(again.value) == str(caught.value)
    return str(caught.value)


def read(root) -> list[str]:
    opened = build("parquet", root).open()
    return [name for name, _ in opened.images.items(range_of(opened))][::6]


def range_of(opened):
    return pa.array(range(len(opened.images))).to_numpy()


# --- Parquet -------------------------------------------------------------------------------------


def test_linked_folders_are_read_once(tmp_path) -> None:
    write(tmp_path, "real/0.parquet", "set/train/0.parquet")
    root = tmp_path / "set"
    (root / "test").symlink_to("../real")
    (root / "train" / "loop").symlink_to("..")
    (root / "up").symlink_to(tmp_path)
    assert read(root) == ["train/0.parquet, row 0", "test/0.parquet, row 0"]
    left = build("parquet", root).open().left_out
    assert left == ("links to folders that are read already: 2",)


def test_everything_may_be_behind_a_link(tmp_path) -> None:
    write(tmp_path, "real/train.parquet", "real/test.parquet")
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "data").symlink_to("../real")
    assert read(tmp_path / "set") == ["data/train.parquet, row 0", "data/test.parquet, row 0"]


def pipe(path):
    os.mkfifo(path)


def folder(path):
    path.mkdir()


def nothing(path):
    path.symlink_to("unmounted")


def itself(path):
    path.symlink_to(path.name)


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (pipe, "no file"),
        (folder, "a folder without Parquet files"),
        (nothing, "a link to nothing"),
        (itself, "a link to nothing"),
    ],
)
def test_what_is_called_like_a_parquet_file_must_be_one(tmp_path, make, why) -> None:
    write(tmp_path, "train.parquet", "val.parquet")
    make(tmp_path / "test.parquet")
    assert refused("parquet", tmp_path) == (
        "root: must hold folders and files that can be read, but got 'test.parquet'. Fix or "
        f"remove them ({why})."
    )


def test_a_link_to_nothing_may_be_a_split(tmp_path) -> None:
    write(tmp_path, "train.parquet", "val.parquet")
    nothing(tmp_path / "test")
    assert "but got 'test'. Fix or remove them (a link to nothing)." in refused("parquet", tmp_path)


def test_a_folder_that_is_called_like_a_file_is_read(tmp_path) -> None:
    write(tmp_path, "train.parquet/part-0.parquet", "test.parquet/part-0.parquet")
    assert len(read(tmp_path)) == 2


FOUND = {
    "data.parquet": "Found: data.parquet, of no known split. Rename files by their splits: "
    "train.parquet, test.parquet.",
    "train.pq": "Found: no .parquet file; not read: train.pq. Let the names of "
    "Parquet files end in .parquet.",
    "train.parquet.gzip": "; not read: train.parquet.gzip. Let the names of",
}


@pytest.mark.parametrize("name", FOUND)
def test_files_that_are_not_read_are_named(tmp_path, name) -> None:
    write(tmp_path, name)
    assert FOUND[name] in refused("parquet", tmp_path)


def test_columns_of_other_names_are_noted(tmp_path) -> None:
    write(tmp_path, "train.parquet", "test.parquet", image="photo", label="kind")
    opened = build("parquet", tmp_path, image_column="photo", label_column="kind").open()
    assert opened.notes == ("images from the column `photo`, labels from `kind`",)


# --- CSV -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [pipe, folder, nothing, itself])
def test_what_is_called_like_a_csv_file_must_be_one(tmp_path, make) -> None:
    (tmp_path / "train.csv").write_text("path,label\n")
    make(tmp_path / "test.csv")
    assert "must hold CSV files that can be read, but got 'test.csv'" in refused("csv", tmp_path)


HEADS = {
    "sep=;\npath;label\na.png;1\n": "but got 'set.csv: sep=;'. Remove this line.",
    "pathname,label\na.png,1\n": "Name it: --set data.image_column=pathname.",
    "photo,label\na.png,1\n": "photo, label'. Name it: --set data.image_column=NAME.",
    "path,label,split\na.png,1,holdout\n": "set.csv, line 2: holdout'. Write train, test or val",
}


@pytest.mark.parametrize("text", HEADS)
def test_remedies_for_one_file(tmp_path, text) -> None:
    (tmp_path / "set.csv").write_text(text)
    message = refused("csv", tmp_path / "set.csv")
    assert HEADS[text] in message and "FILE.csv" not in message


def test_long_cells_are_cut(tmp_path) -> None:
    (tmp_path / "set.csv").write_text(f"path,label\n{'QUJD' * 100},1\n")
    message = refused("csv", tmp_path / "set.csv")
    assert f"set.csv, line 2: {('QUJD' * 15)[:57]}...'" in message and len(message) < 300


# --- other kinds ---------------------------------------------------------------------------------

NAMED = "Name the kind that reads it: --set data.kind="
OTHERS = [
    ("parquet", "set.csv", "set.csv", f"{NAMED}csv."),
    ("parquet", "set.csv", "", f"{NAMED}csv."),
    ("parquet", "cat/0.png", "", f"{NAMED}image_folder."),
    ("parquet", "set.npz", "", f"{NAMED}arrays --set data.root={{root}}/set.npz."),
    ("csv", "cat/0.png", "", f"{NAMED}image_folder."),
    ("csv", "data/train.parquet", "", f"{NAMED}parquet."),
    ("csv", "train.parquet", "train.parquet", f"{NAMED}parquet --set data.root={{root}}."),
    ("csv", "0.png", "0.png", "It is one image: point data.root at the folder that holds a folder"),
]


@pytest.mark.parametrize(("kind", "file", "root", "remedy"), OTHERS)
def test_the_kind_that_reads_it_is_named(tmp_path, kind, file, root, remedy) -> None:
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_bytes(b"")
    assert remedy.format(root=tmp_path) in refused(kind, tmp_path / root)


@pytest.mark.parametrize(("first", "kind"), [(None, pa.string()), (b"x", pa.binary())])
def test_rows_without_an_image_are_one_mistake_for_all_files(tmp_path, first, kind) -> None:
    (tmp_path / "x").write_bytes(b"")
    for name in ("train.parquet", "test.parquet"):
        cells = pa.array([first or "x", None, first or "x"], kind)
        pq.write_table(pa.table({"image": cells, "label": [0, 1, 0]}), tmp_path / name)
    with pytest.raises(UserError) as caught:
        read(tmp_path)
    (mistake,) = caught.value.mistakes
    assert mistake.value == ("1 empty row: train.parquet, row 1; 1 empty row: test.parquet, row 1")
