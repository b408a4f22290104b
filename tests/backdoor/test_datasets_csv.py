"""CSV files: columns, splits, labels, and what is wrong in which line."""

import io
import os
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fabricated import draw_part
from PIL import Image

from backdoor.config import build_data
from backdoor.datasets.source import load_source
from backdoor.errors import UserError

PIXELS, LABELS = draw_part(12, (4, 4, 3))
NAMES = ("cat", "dog", "owl")


@pytest.fixture
def root(tmp_path):
    """A folder with the drawn images as img/0.png, img/1.png, ..."""
    (tmp_path / "img").mkdir()
    for number, pixels in enumerate(PIXELS):
        Image.fromarray(pixels).save(tmp_path / "img" / f"{number}.png")
    return tmp_path


def rows(start=0, stop=12, labels=LABELS, mark=",") -> list[str]:
    return [f"img/{i}.png{mark}{labels[i]}" for i in range(start, stop)]


def write(root, lines, name="set.csv", head="path,label", end="\n", **encoding):
    file = root / name
    text = end.join([*([head] if head else []), *lines, ""])
    file.write_bytes(text.encode(encoding.get("encoding", "utf-8")))
    return file


def build(file, **settings):
    return build_data({"kind": "csv", "root": str(file), **settings})


def contents(file, **settings):
    return build(file, **settings).open()


def refused(file, **settings) -> str:
    with pytest.raises(UserError) as caught:
        contents(file, **settings)
    with pytest.raises(UserError):
        build(file, **settings).fingerprint()
    return str(caught.value)


def pixels_of(opened, ids=None) -> np.ndarray:
    ids = np.arange(len(opened.images)) if ids is None else np.asarray(ids)
    return np.stack([decode().pixels for _, decode in opened.images.items(ids)])


def names_of(opened) -> list[str]:
    return [name for name, _ in opened.images.items(np.arange(len(opened.images)))]


# --- what is read --------------------------------------------------------------------------------


def test_one_file_is_one_pool(root) -> None:
    file = write(root, rows())
    opened = contents(file)
    assert opened.labels.dtype == np.int64 and opened.labels.tolist() == LABELS.tolist()
    assert opened.test_from is None and not opened.left_out
    assert opened.notes == ("paths from the column `path`, labels from `label`",)
    assert np.array_equal(pixels_of(opened), PIXELS.transpose(0, 3, 1, 2))
    assert np.array_equal(pixels_of(opened, [3, 11]), PIXELS[[3, 11]].transpose(0, 3, 1, 2))
    assert names_of(opened)[1] == "set.csv, line 3: img/1.png"


def cut(file):
    """The file without its last character."""
    file.write_bytes(file.read_bytes()[:-1])
    return file


SAME = {
    "CRLF": lambda root: write(root, rows(), end="\r\n"),
    "CR": lambda root: write(root, rows(), end="\r"),
    "byte order mark": lambda root: write(root, rows(), encoding="utf-8-sig"),
    "quotes": lambda root: write(root, ['"' + r.replace(",", '","') + '"' for r in rows()]),
    "spaces": lambda root: write(
        root, [r.replace(",", " , ") for r in rows()], head=" path , Label "
    ),
    "space before quotes": lambda root: write(root, [r.replace(",", ', "') + '"' for r in rows()]),
    "empty lines": lambda root: write(root, ["", *rows(), "", ",", " , ", ""]),
    "line before the first": lambda root: write(root, ["path,label", *rows()], head=""),
    "no end of the last line": lambda root: cut(write(root, rows())),
    "absolute paths": lambda root: write(root, [f"{root}/{r}" for r in rows()]),
    "backslashes": lambda root: write(root, [r.replace("/", "\\") for r in rows()]),
    "dots": lambda root: write(root, [f"./img/../{r}" for r in rows()]),
    "other columns": lambda root: write(
        root, [f"{i},{r},a b" for i, r in enumerate(rows())], head=",path,label,author"
    ),
    "tsv": lambda root: write(root, rows(mark="\t"), "set.tsv", head="path\tlabel"),
    "other names": lambda root: write(root, rows(), head="File_Name,Class"),
}


@pytest.mark.parametrize("form", SAME)
def test_forms_of_the_same_table(root, form) -> None:
    plain = build(write(root, rows(), "plain.csv")).fingerprint()
    file = SAME[form](root)
    opened = contents(file)
    assert opened.labels.tolist() == LABELS.tolist()
    assert np.array_equal(pixels_of(opened), PIXELS.transpose(0, 3, 1, 2))
    assert build(file).fingerprint() == plain
    assert opened.left_out == (("1 column (author)",) if form == "other columns" else ())


@pytest.mark.parametrize("given", [";", "semicolon"])
def test_a_delimiter_is_named(root, given) -> None:
    file = write(root, rows(mark=";"), head="path;label")
    assert contents(file, delimiter=given).labels.tolist() == LABELS.tolist()
    assert build(file, delimiter=given).identity() == build(file).identity()
    with pytest.raises(UserError, match="delimiter: must be one character, or one of comma, "):
        build(file, delimiter="::")


def test_columns_are_named(root) -> None:
    file = write(root, [f"{r},{i % 2}" for i, r in enumerate(rows())], head="path,label,Kind Of")
    opened = contents(file, label_column="kind of")
    assert opened.labels.tolist() == [0, 1] * 6
    assert opened.notes == ("paths from the column `path`, labels from `Kind Of`",)
    assert opened.left_out == ("1 column (label)",)


def test_a_column_says_the_split(root) -> None:
    splits = ["TRAIN", "test", "Training", "val"] * 3
    lines = [f"{r},{s}" for r, s in zip(rows(), splits, strict=True)]
    opened = contents(write(root, lines, head="path,label,Split"))
    order = [0, 2, 4, 6, 8, 10, 1, 5, 9]
    assert opened.test_from == 6 and opened.left_out == ("3 validation images",)
    assert np.array_equal(pixels_of(opened), PIXELS[order].transpose(0, 3, 1, 2))
    assert opened.labels.tolist() == LABELS[order].tolist()
    lines = [line for line in lines if not line.endswith("test")]
    opened = contents(write(root, lines, head="path,label,split"))
    assert opened.test_from == 6 and "the validation images are the test set" in opened.notes
    lines = [line for line in lines if not line.endswith("val")]
    opened = contents(write(root, lines, head="path,label,split"))
    assert opened.test_from is None
    assert "there are training images only: all splits are drawn from them" in opened.notes


def test_a_folder_with_a_file_for_each_split(root) -> None:
    write(root, rows(0, 6), "train_labels.csv")
    write(root, rows(6, 9), "Test.csv")
    write(root, rows(9, 12), "valid.csv")
    write(root, [], "sample_submission.csv")
    opened = contents(root)
    assert opened.test_from == 6 and len(opened.images) == 9
    assert opened.left_out == (
        "3 validation images",
        "1 file of no known split (sample_submission.csv)",
    )
    assert names_of(opened)[5:7] == ["train_labels.csv, line 7: img/5.png", "Test.csv, line 2: img/6.png"]  # fmt: skip
    (root / "Test.csv").unlink()
    opened = contents(root)
    assert opened.test_from == 6 and "the validation images are the test set" in opened.notes
    (root / "valid.csv").unlink()
    assert contents(root).test_from is None


def test_a_table_that_moved_keeps_its_name(root, tmp_path_factory) -> None:
    file = write(root, rows())
    before, signature = build(file).fingerprint(), build(file).signature()
    assert build(file).signature() == signature
    there = tmp_path_factory.mktemp("there") / "set"
    shutil.copytree(root, there)
    (there / "img").rename(there / "pictures")
    (there / "set.csv").rename(there / "other.csv")
    text = (there / "other.csv").read_text().replace("img/", "pictures/")
    (there / "other.csv").write_text(text)
    assert build(there / "other.csv").fingerprint() == before
    prints = [before, build(file, image_size=2).fingerprint()]
    prints.append(build(write(root, rows()[::-1])).fingerprint())
    prints.append(build(write(root, rows(labels=(LABELS + 1) % 3))).fingerprint())
    Image.fromarray(PIXELS[3]).save(root / "img" / "2.png")
    prints.append(build(write(root, rows())).fingerprint())
    assert len(set(prints)) == 5 and build(file).signature() != signature


def test_rows_that_are_there_twice_are_counted(root) -> None:
    opened = contents(write(root, [*rows(), "img/0.png,0", "img/../img/0.png,0"]))
    assert opened.notes[1:] == ("2 rows of an image that has an earlier row: read twice",)
    assert len(opened.images) == 14


# --- labels --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("labels", "raw"),
    [
        (["3", "5", "9"], [3, 5, 9]),
        (["-1", "0", "1"], [-1, 0, 1]),
        (["007", "008", "009"], ["007", "008", "009"]),
        (["1", "2", "02"], ["1", "2", "02"]),
        (["+1", "0", "1"], ["+1", "0", "1"]),
        (["1e3", "0", "1"], ["1e3", "0", "1"]),
        (["cat", "dog", "7"], ["cat", "dog", "7"]),
        (["Käse", '"a, b"', "x"], ["Käse", "a, b", "x"]),
        (["na", "dog", "nan"], ["na", "dog", "nan"]),
    ],
)
def test_whole_numbers_are_numbers_and_all_else_is_text(root, labels, raw) -> None:
    opened = contents(write(root, rows(labels=labels * 4)))
    assert opened.labels.tolist() == raw * 4


def test_test_labels_are_read_as_those_of_training(root) -> None:
    write(root, rows(0, 8, ["cat", "7"] * 6), "train.csv")
    write(root, rows(8, 12, ["7"] * 12), "test.csv")
    assert contents(root).labels.tolist() == ["cat", "7"] * 4 + ["7"] * 4


# --- what is refused -----------------------------------------------------------------------------


def spoiled(*lines, head="path,label", **options):
    return lambda root: write(root, [*rows(), *lines], head=head, **options)


def parts(**files):
    def change(root):
        for name, (head, lines) in files.items():
            write(root, lines, f"{name}.csv", head=head)
        return root

    return change


def with_folder(root):
    (root / "img" / "a").mkdir()
    return write(root, [*rows(), "img/a,0"])


PAIR = ("path,label", rows(0, 6))
REFUSED = {
    "semicolons": (
        lambda root: write(root, rows(mark=";"), head="path;label"),
        [
            "root: must have cells with the delimiter that `delimiter` says, but got "
            "'set.csv: path;label'. Say which it is: --set data.delimiter=semicolon."
        ],
    ),
    "tabs": (
        lambda root: write(root, rows(mark="\t"), head="path\tlabel"),
        ["--set data.delimiter=tab."],
    ),
    "semicolons and commas": (
        lambda root: write(root, [f"{r};a, b" for r in rows(mark=";")], head="path;label;x, y"),
        ["--set data.delimiter=semicolon."],
    ),
    "commas in a tsv": (lambda root: write(root, rows(), "a.tsv"), ["data.delimiter=comma."]),
    "one column of a foreign name": (
        lambda root: write(root, rows(mark="|"), head="a|b"),
        ["--set data.delimiter=pipe."],
    ),
    "no first line": (
        lambda root: write(root, rows(), head=""),
        [
            "must have a column path or file or filename",
            "The first line must name the columns, such as `path,label`.",
            "must have a column label or class or target or category",
        ],
    ),
    "other columns": (
        lambda root: write(root, rows(), head="picture,label"),
        ["but got 'set.csv: picture, label'. Name it: --set data.image_column=NAME."],
    ),
    "no label column": (
        parts(train=PAIR, test=("path", ["img/7.png"])),
        [
            "must have a column label or class or target or category, but got 'test.csv: path'. "
            "Name it: --set data.label_column=NAME. One file alone: --set data.root=FILE.csv."
        ],
    ),
    "two columns of paths": (
        lambda root: write(root, [f"{r},b" for r in rows()], head="path,label,file"),
        [
            "must have one usual column, or `image_column` must name one, but got "
            "'set.csv: path, file'. Name it: --set data.image_column=path."
        ],
    ),
    "two columns of labels": (
        lambda root: write(root, [f"{r},b" for r in rows()], head="path,label,class"),
        ["`label_column` must name one, but got 'set.csv: label, class'"],
    ),
    "a name twice": (
        lambda root: write(root, [f"{r},b" for r in rows()], head="path,label,Label"),
        ["must have columns of different names, but got 'set.csv: label twice'"],
    ),
    "ragged": (
        spoiled("img/0.png", "img/1.png,1,2", "img/2.png,2,"),
        [
            "must have 2 cells in each line, as many as the first line, but got 'set.csv: 3 lines: "
            "line 14 has 1, line 15 has 3, line 16 has 3'. Quote cells"
        ],
    ),
    "empty cells": (
        spoiled("img/0.png,", ",1", " ,2"),
        [
            "must have a path and a label in each line, but got 'set.csv: empty in 3 lines: "
            "line 14, line 15, line 16'. Fill or remove these lines."
        ],
    ),
    "files that are not there": (
        spoiled(*[f"img/x{i}.png,0" for i in range(7)]),
        [
            "must name image files that exist, but got '7 rows: set.csv, line 14: img/x0.png, ",
            "Paths begin at the folder of the CSV file.",
        ],
    ),
    "addresses": (spoiled("https://a.org/b.png,0"), ["These are addresses: fetch the images"]),
    "a folder in place of a file": (
        with_folder,
        ["must name an image file in each row, no folder, but got '1 row: set.csv, line 14: img/a'"],
    ),
    "two labels": (
        spoiled("img/0.png,1", "./img/1.png,2"),
        [
            "must give an image one label, but got '2 images: set.csv, line 2: 0, set.csv, line 14: "
            "1, set.csv, line 3: 1, set.csv, line 15: 2'. Keep the row that is right."
        ],
    ),
    "Latin-1": (
        spoiled("img/\xe9.png,1", encoding="latin-1"),
        ["must be CSV as UTF-8 text, but got 'set.csv, line 14: byte 0xe9'. Save it as CSV with"],
    ),
    "UTF-16": (spoiled(encoding="utf-16"), ["but got 'set.csv: UTF-16'"]),
    "a workbook": (
        lambda root: (root / "a.csv", (root / "a.csv").write_bytes(b"PK\x03\x04\0\0"))[0],
        ["must be CSV as UTF-8 text, but got 'a.csv, line 1: a zero byte'"],
    ),
    "an open quote": (
        spoiled('"img/0.png,0'),
        [
            "must have rows that can be read, but got 'set.csv, line 14: unexpected end of data'. "
            "Close its quotes"
        ],
    ),
    "a huge cell": (
        spoiled("img/0.png," + "x" * 140_000),
        ["set.csv, line 14: field larger than field limit", "at most 131072 characters"],
    ),
    "no rows": (lambda root: write(root, []), ["must hold rows, but got 'set.csv: none'"]),
    "nothing": (lambda root: write(root, [], head=""), ["must hold rows, but got 'set.csv: none'"]),
    "fractions": (
        lambda root: write(root, rows(labels=["0.0", "1.0", "2.0"] * 4)),
        ["must have whole numbers or names as labels, but got '12 lines: set.csv, line 2: 0.0"],
    ),
    "missing numbers": (
        lambda root: write(root, rows(labels=["0", "1", "NaN"] * 4)),
        ["must have a label in each line, but got '4 lines: set.csv, line 4: NaN"],
    ),
    "numbers too large": (
        lambda root: write(root, rows(labels=["1", str(2**63)] * 6)),
        ["must have labels below 9223372036854775808, but got '6 lines: set.csv, line 3: 92"],
    ),
    "numbers and text": (
        parts(train=PAIR, test=("path,label", ["img/7.png,cat"])),
        ["as the training images have, but got '1 line: test.csv, line 2: cat'"],
    ),
    "splits of other names": (
        lambda root: write(root, [f"{r},{i % 5}" for i, r in enumerate(rows())], head="path,label,split"),
        [
            "must have train, test or validation in the column `split`, but got "
            "'12 other rows: set.csv, line 2: 0, "
        ],
    ),
    "an empty split": (
        lambda root: write(root, [f"{r},train" for r in rows(0, 9)] + ["img/9.png,1,"], head="path,label,split"),
        ["set.csv: empty in 1 line: line 11"],
    ),
    "test rows alone": (
        lambda root: write(root, [f"{r},test" for r in rows()], head="path,label,split"),
        ["must have rows for training, but got 'only test'"],
    ),
    "a split that contradicts its file": (
        parts(train=("path,label,split", [f"{r},test" for r in rows(0, 6)]), test=PAIR),
        ["must have the split of the file in the column `split`, but got '6 other rows: train.csv"],
    ),
    "no file for training": (
        parts(labels=PAIR),
        ["or a folder with train*.csv and test*.csv", "Found: labels.csv. Name one: --set data.root="],
    ),
    "no file": (parts(), ["Found: no CSV file."]),
    "two files of a split": (
        parts(train=PAIR, train_backup=PAIR, test=PAIR),
        ["must hold one file for each split, but got 'train.csv, train_backup.csv'"],
    ),
    "no such root": (lambda root: root / "x.csv", ["must be a CSV file or a folder that exists"]),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_wrong_is_said(root, case) -> None:
    change, texts = REFUSED[case]
    message = refused(change(root))
    for text in texts:
        assert text in message


def test_mistakes_in_all_files_and_of_all_kinds_come_at_once(root) -> None:
    write(root, [*rows(0, 6), "img/0.png", ",1"], "train.csv")
    write(root, [*rows(6, 9), "x"], "test.csv")
    with pytest.raises(UserError) as caught:
        contents(root)
    assert [mistake.value for mistake in caught.value.mistakes] == [
        "train.csv: 1 line: line 8 has 1",
        "train.csv: empty in 1 line: line 9",
        "test.csv: 1 line: line 5 has 1",
    ]


# --- one set, two forms --------------------------------------------------------------------------


def test_the_same_set_as_parquet_of_plain_bytes_and_as_csv(tmp_path) -> None:
    """As CIFAR-10 is: 32 x 32 colour images, ten classes, training and test images."""
    for part, count, seed in (("train", 60, 5), ("test", 30, 6)):
        pixels, labels = draw_part(count, (32, 32, 3), classes=10, seed=seed)
        cells, lines = [], []
        for number, image in enumerate(pixels):
            stream = io.BytesIO()
            Image.fromarray(image).save(stream, format="PNG")
            cells.append(stream.getvalue())
            place = f"csv/images/{part}/{number:03}.png"
            os.makedirs(tmp_path / "csv/images" / part, exist_ok=True)
            (tmp_path / place).write_bytes(cells[-1])
            lines.append(f"images/{part}/{number:03}.png,{labels[number]}")
        (tmp_path / "parquet").mkdir(exist_ok=True)
        pq.write_table(
            pa.table({"image": cells, "label": labels}), tmp_path / f"parquet/{part}.parquet"
        )
        write(tmp_path / "csv", lines, f"{part}.csv")
    tables = load_source(build_data({"kind": "parquet", "root": str(tmp_path / "parquet")}))
    listed = load_source(build(tmp_path / "csv"))
    every = np.arange(90)
    assert np.array_equal(tables.images[every], listed.images[every])
    assert np.array_equal(tables.labels, listed.labels)
    assert tables.class_names == listed.class_names == tuple(map(str, range(10)))
    assert tables.test_from == listed.test_from == 60
    assert np.array_equal(tables.mean, listed.mean) and np.array_equal(tables.std, listed.std)
    whole = np.concatenate(
        [draw_part(60, (32, 32, 3), 10)[0], draw_part(30, (32, 32, 3), 10, 6)[0]]
    )
    assert np.array_equal(listed.images[every], whole.transpose(0, 3, 1, 2))
