"""Labels in tables that are no labels: captions, control characters, spaces; and what hangs."""

import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from backdoor.config import build_data
from backdoor.errors import UserError

NAMES = ["cat", "dog"] * 3
CAPTION = "a cat that sits on a mat " * 20


def parquet(root, labels, kind=None, name="train.parquet"):
    column = pa.array(labels, pa.string()).cast(kind or pa.string())
    cells = pa.array([b"x"] * len(labels), pa.binary())
    pq.write_table(pa.table({"image": cells, "label": column}), root / name)


def build(kind, root):
    return build_data({"kind": kind, "root": str(root)})


def refused(kind, root) -> str:
    with pytest.raises(UserError) as caught:
        build(kind, root).open()
    with pytest.raises(UserError):
        build(kind, root).fingerprint()
    return str(caught.value)


def refused_labels(root, labels) -> str:
    parquet(root, labels)
    parquet(root, NAMES, name="test.parquet")
    with pytest.raises(UserError) as caught:
        build("parquet", root).open()
    return str(caught.value)


def csv_of(root, labels):
    for number in range(len(labels)):
        (root / f"{number}.png").write_bytes(b"")
    lines = [f'{number}.png,"{label}"' for number, label in enumerate(labels)]
    (root / "set.csv").write_text("\n".join(["path,label", *lines, ""]))
    return root / "set.csv"


@pytest.mark.parametrize("kind", [pa.string_view(), pa.large_string()])
def test_text_of_any_type_is_a_label(tmp_path, kind) -> None:
    try:
        for name in ("train.parquet", "test.parquet"):
            parquet(tmp_path, NAMES, kind, name)
    except pa.ArrowNotImplementedError as error:
        pytest.skip(f"pyarrow {pa.__version__} cannot write it: {error}")
    assert build("parquet", tmp_path).open().labels.tolist() == [*NAMES, *NAMES]


WRONG = {
    CAPTION: "root: must have labels of at most 200 characters",
    "a\0": "root: must have labels without control characters",
    "a\tb": "root: must have labels without control characters",
    "a\u2028b": "root: must have labels without control characters",
}


@pytest.mark.parametrize("label", WRONG)
def test_texts_that_are_no_labels_are_refused(tmp_path, label) -> None:
    text = refused_labels(tmp_path, [*NAMES, label])
    assert WRONG[label] in text and "train.parquet: 1 of 7, first row 6: " in text
    assert len(text) < 400
    if "\0" not in label:
        with pytest.raises(UserError) as caught:
            build("csv", csv_of(tmp_path, [*NAMES, label])).open()
        assert WRONG[label] in str(caught.value) and "set.csv, line 8: " in str(caught.value)
        assert len(str(caught.value)) < 400


def test_the_longest_label_is_read(tmp_path) -> None:
    labels = [*NAMES, "\u00e9" * 200]
    for name in ("train.parquet", "test.parquet"):
        parquet(tmp_path, labels, name=name)
    assert build("parquet", tmp_path).open().labels.tolist() == labels * 2
    assert build("csv", csv_of(tmp_path, labels)).open().labels.tolist() == labels


def test_spaces_alone_are_an_empty_label(tmp_path) -> None:
    text = refused_labels(tmp_path, [*NAMES, "  "])
    assert "must have a label for every image" in text and "1 of 7 empty, first row 6" in text


def test_one_fault_in_several_shards_is_one_mistake(tmp_path) -> None:
    for shard in range(2):
        parquet(tmp_path, [*NAMES, ""], name=f"train-{shard}.parquet")
    parquet(tmp_path, NAMES, name="test.parquet")
    with pytest.raises(UserError) as caught:
        build("parquet", tmp_path).open()
    (mistake,) = caught.value.mistakes
    assert mistake.value == (
        "train-0.parquet: 1 of 7 empty, first row 6; train-1.parquet: 1 of 7 empty, first row 6"
    )


def test_a_pipe_is_not_waited_for(tmp_path) -> None:
    os.mkfifo(tmp_path / "set.csv")
    text = refused("csv", tmp_path / "set.csv")
    assert "root: must be a file that can be read" in text and "set.csv" in text


def test_bytes_that_are_no_utf8_are_no_labels(tmp_path) -> None:
    text = pa.array([b"\xff\xfe", b"ab"] * 3)
    column = pa.Array.from_buffers(pa.string(), 6, text.buffers())
    for name in ("train.parquet", "test.parquet"):
        pq.write_table(pa.table({"image": [b"x"] * 6, "label": column}), tmp_path / name)
    with pytest.raises(UserError) as caught:
        build("parquet", tmp_path).open()
    (mistake,) = caught.value.mistakes
    assert mistake.rule == "must have labels that are UTF-8 text"
    assert mistake.value == "train.parquet: `label` is not; test.parquet: `label` is not"
