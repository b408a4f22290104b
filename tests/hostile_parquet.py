"""Hostile Parquet files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from hostile import Case, Read, Refused, Sample, Settings, draw, expect
from hostile_writers import table_of

TRAIN = [Sample(n % 2, p) for n, p in enumerate(draw(8, seed=1))]
TEST = [Sample(n % 2, p) for n, p in enumerate(draw(4, seed=2))]
OTHER = [Sample(n % 2, p) for n, p in enumerate(draw(4, seed=3))]
BOTH = expect("01", TRAIN, TEST)
POOL = expect("01", TRAIN, None)

Write = Callable[[Path], Settings]
Outcome = Read | Refused | tuple[Read | Refused, ...]


def said(outcome: Read, **says: str) -> Read:
    return Read(outcome.names, outcome.train, outcome.test, says)


def tables(*parts: tuple[str, Sequence[Sample]], change: Any = None, also: Any = None, cells: str = "struct", **settings: Any) -> Write:  # fmt: skip
    """Parquet files by name. change: what changes each table. also: what else is written."""

    def write(root: Path) -> Settings:
        for name, part in parts:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            table = table_of(part, cells, root, Path(name).stem)
            pq.write_table(table if change is None else change(table), root / name)
        if also is not None:
            also(root)
        return {"kind": "parquet", "root": str(root), **settings}

    return write


def hub(config: str, train: Sequence[Sample] = TRAIN, test: Sequence[Sample] = TEST) -> tuple[Any, Any]:  # fmt: skip
    """The files of one configuration, as hubs convert them."""
    return (f"{config}/train/0000.parquet", train), (f"{config}/test/0000.parquet", test)


ONE = ("train-00000-of-00001.parquet", TRAIN), ("test-00000-of-00001.parquet", TEST)
SHARDS = ("train-00000-of-00002.parquet", TRAIN[:5]), ("train-00001-of-00002.parquet", TRAIN[5:])


def rename(*names: str) -> Callable[[pa.Table], pa.Table]:
    return lambda table: table.rename_columns(list(names))


def cut(root: Path) -> None:
    file = root / "test-00000-of-00001.parquet"
    file.write_bytes(file.read_bytes()[:-40])


def without_image(table: pa.Table) -> pa.Table:
    images = table.column("image").to_pylist()
    images[2] = None
    return table.set_column(0, "image", pa.array(images, table.schema.field("image").type))


def empty_bytes(table: pa.Table) -> pa.Table:
    images = [{"bytes": None, "path": "x.png"}, *table.column("image").to_pylist()[1:]]
    return table.set_column(0, "image", pa.array(images, table.schema.field("image").type))


def as_type(kind: pa.DataType) -> Callable[[pa.Table], pa.Table]:
    return lambda table: table.set_column(0, "image", table.column("image").cast(kind))


def numbers(table: pa.Table) -> pa.Table:
    return table.set_column(0, "image", pa.array(range(len(table))))


def second_label(table: pa.Table) -> pa.Table:
    return table.rename_columns(["image", "fine"]).append_column("coarse", pa.array([0] * len(table)))  # fmt: skip


def remove(name: str) -> Callable[[Path], None]:
    return lambda root: (root / name).unlink()


def touch(*names: str, content: bytes = b"no table") -> Callable[[Path], None]:
    def write(root: Path) -> None:
        for name in names:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(content)

    return write


TWO = *hub("plain"), *hub("other", OTHER, OTHER)
#: Idea → what writes it, and what comes of it.
PARQUET: dict[str, tuple[Write, Outcome]] = {
    "all shards": (tables(*SHARDS, ONE[1]), BOTH),
    "a missing shard": (tables(SHARDS[0], ONE[1]), Refused((r"train-00000-of-00002|00001-of-00002", r"miss|lack|of 2|of-00002"))),
    "the first shard is missing": (tables(SHARDS[1], ONE[1]), Refused((r"00000|of-00002",))),
    "a missing test shard": (tables(ONE[0], ("test-00001-of-00003.parquet", TEST)), Refused((r"test", r"of-00003|of 3"))),
    "one file and shards": (tables(*ONE, ("train.parquet", TRAIN)), Refused((r"train\.parquet", r"train-00000-of-00001"))),
    "one test file and shards": (tables(*ONE, ("test.parquet", TEST)), Refused((r"test\.parquet",))),
    "shards of two totals": (tables(*SHARDS, ("train-00000-of-00001.parquet", TRAIN), ONE[1]), Refused((r"of-00001", r"of-00002"))),
    "a shard in two folders": (tables(*ONE, ("data/train-00000-of-00001.parquet", TRAIN)), Refused((r"data|configuration|twice|train-00000",))),
    "the files of a hub": (tables(*hub("default")), BOTH),
    "the files of a hub in two shards": (tables(("default/train/0000.parquet", TRAIN[:3]), ("default/train/0001.parquet", TRAIN[3:]), hub("default")[1]), BOTH),
    "the files of a hub with a gap": (tables(("default/train/0000.parquet", TRAIN[:3]), ("default/train/0002.parquet", TRAIN[3:]), hub("default")[1]), Refused((r"0001|gap|0002",))),
    "the first file of a hub is missing": (tables(("default/train/0001.parquet", TRAIN), hub("default")[1]), Refused((r"0000|0001",))),
    "shards that are numbered from 1": (tables(("train-1.parquet", TRAIN[:3]), ("train-2.parquet", TRAIN[3:]), ("test.parquet", TEST)), (BOTH, Refused((r"train-",)))),
    "two configurations": (tables(*TWO), Refused((r"plain", r"other", r"config"))),
    "two configurations, one chosen": (tables(*TWO, config="plain"), said(BOTH, left_out=r"other|2\b|4\b|8\b")),
    "two configurations, the other chosen": (tables(*TWO, config="other"), expect("01", OTHER, OTHER, says={"warnings": "test"})),
    "a configuration that does not exist": (tables(*TWO, config="third"), Refused((r"config", r"third", r"plain"))),
    "two configurations of one split each": (tables(("a/train-00000-of-00001.parquet", TRAIN), ("b/test-00000-of-00001.parquet", TEST)), Refused((r"configuration|config|train|test",))),
    "plain bytes": (tables(*ONE, cells="bytes"), BOTH),
    "large plain bytes": (tables(*ONE, cells="bytes", change=as_type(pa.large_binary())), BOTH),
    "paths beside the file": (tables(*ONE, cells="path"), BOTH),
    "paths to nothing": (tables(*ONE, cells="path", also=remove("pictures/train-00000-of-000013.png")), Refused((r"of-000013\.png|row 3",))),
    "images are numbers": (tables(*ONE, change=numbers), Refused((r"image", r"int64|struct|bytes"))),
    "an image is null": (tables(*ONE, change=without_image), Refused((r"row 2\b",))),
    "an image has no bytes and a path to nothing": (tables(*ONE, change=empty_bytes), Refused((r"row 0\b|x\.png",))),
    "another name of the image column": (tables(*ONE, change=rename("pixel_values", "label")), Refused((r"pixel_values", r"image_column"))),
    "another name of the image column, said so": (tables(*ONE, change=rename("pixel_values", "label"), image_column="pixel_values"), BOTH),
    "an image column that does not exist": (tables(*ONE, image_column="photo"), Refused((r"photo", r"image"))),
    "another name of the label column": (tables(*ONE, change=rename("image", "class_id")), Refused((r"class_id", r"label_column"))),
    "another name of the label column, said so": (tables(*ONE, change=rename("image", "class_id"), label_column="class_id"), BOTH),
    "two columns of labels": (tables(*ONE, change=second_label), Refused((r"fine", r"coarse", r"label_column"))),
    "two columns of labels, one chosen": (tables(*ONE, change=second_label, label_column="fine"), BOTH),
    "a file that was cut": (tables(*ONE, also=cut), Refused((r"parquet",))),
    "a file that is no table": (tables(ONE[0], also=touch("test-00000-of-00001.parquet")), Refused((r"parquet",))),
    "an empty file": (tables(ONE[0], also=touch("test-00000-of-00001.parquet", content=b"")), Refused((r"parquet",))),
    "a pointer to a large file": (tables(ONE[1], also=touch("train-00000-of-00001.parquet", content=b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n")), Refused((r"parquet",))),
    "a test file without rows": (tables(ONE[0], (ONE[1][0], TEST[:1]), change=None, also=lambda root: pq.write_table(table_of(TEST, "struct", root, "").slice(0, 0), root / ONE[1][0])), Refused((r"test", r"image|row|empty|none"))),
    "training images alone": (tables(ONE[0]), Refused((r"test",))),
    "test images alone": (tables(ONE[1]), Refused((r"train",))),
    "validation images as the test set": (tables(ONE[0], ("validation-00000-of-00001.parquet", TEST)), BOTH),
    "training, validation and test images": (tables(*ONE, ("validation-00000-of-00001.parquet", OTHER)), said(BOTH, left_out=r"validation|4\b|1 ")),
    "other words for splits": (tables(("training.parquet", TRAIN), ("Testing.parquet", TEST)), BOTH),
    "the words of splits in capitals": (tables(("TRAIN.parquet", TRAIN), ("TEST.parquet", TEST)), BOTH),
    "two words for one split": (tables(("train.parquet", TRAIN), ("training.parquet", OTHER), ("test.parquet", TEST)), Refused((r"training\.parquet",))),
    "shards that are numbered": (tables(("train-0.parquet", TRAIN[:3]), ("train-1.parquet", TRAIN[3:]), ("test.parquet", TEST)), BOTH),
    "shards that are numbered with a gap": (tables(("train-0.parquet", TRAIN[:3]), ("train-2.parquet", TRAIN[3:]), ("test.parquet", TEST)), Refused((r"train-",))),
    "a hidden copy": (tables(*ONE, ("._train-00000-of-00001.parquet", OTHER)), said(BOTH, left_out="hidden")),
    "a hidden folder": (tables(*ONE, *[(f".cache/{name}", OTHER) for name, _ in ONE]), said(BOTH, left_out="hidden")),
    "a folder of macOS beside": (tables(*ONE, *[(f"__MACOSX/{name}", OTHER) for name, _ in ONE]), said(BOTH, left_out="__MACOSX")),
    "a file of no split": (tables(*ONE, ("metadata.parquet", OTHER)), (said(BOTH, left_out=r"metadata|parquet|1 "), Refused((r"metadata",)))),
    "other files beside": (tables(*ONE, also=touch("README.md", "dataset_infos.json")), said(BOTH, left_out=r"(?s)(?=.*\.md)(?=.*\.json)")),
    "an empty folder": (tables(), Refused((r"parquet",))),
    "shards of two integer types": (tables(SHARDS[0], (SHARDS[1][0], TRAIN[5:]), ONE[1], change=lambda t: t.set_column(1, "label", t.column("label").cast(pa.int8() if len(t) == 5 else pa.int64()))), BOTH),
    "a shard with labels as text": (tables(SHARDS[0], (SHARDS[1][0], TRAIN[5:]), ONE[1], change=lambda t: t.set_column(1, "label", t.column("label").cast(pa.string() if len(t) == 5 else pa.int64()))), (BOTH, Refused((r"label",)))),
}  # fmt: skip


def cases() -> Iterator[Case]:
    for idea, (write, outcome) in PARQUET.items():
        yield Case(
            f"{idea} [parquet]", write, outcome if isinstance(outcome, tuple) else (outcome,)
        )
