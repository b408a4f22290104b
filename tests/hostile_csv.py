"""Hostile CSV files."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from hostile import Case, Refused, Sample, Settings, expect
from hostile_parquet import BOTH, OTHER, POOL, TEST, TRAIN, Outcome, Write, said
from hostile_writers import CSV, content_of, write_beside, write_rows


def rows_of(*parts: tuple[str, Sequence[Sample]], root: Path, split: bool = True) -> list[list[Any]]:  # fmt: skip
    """Rows of a CSV file whose images are written beside it."""
    return [
        [write_beside(root, f"{word}{n}", s), s.label, *([word] if split else [])]
        for word, part in parts
        for n, s in enumerate(part)
    ]


HEAD = ["path", "label", "split"]
ALL = ("train", TRAIN), ("test", TEST)


def text_of(rows: Sequence[Sequence[Any]], delimiter: str = ",") -> str:
    return "".join(delimiter.join(map(str, row)) + "\n" for row in rows)


def csv_file(change: Callable[[list[list[Any]]], Any] | None = None, parts: Any = ALL, split: bool = True, head: Any = None, also: Any = None, **settings: Any) -> Write:  # fmt: skip
    """One CSV file. change: rows → rows, text or bytes of the file. also: what else is done."""

    def write(root: Path) -> Settings:
        header = head or (HEAD if split else HEAD[:2])
        rows = [header, *rows_of(*parts, root=root, split=split)]
        content = rows if change is None else change(rows)
        content = text_of(content) if isinstance(content, list) else content
        (root / "images.csv").write_bytes(content.encode() if isinstance(content, str) else content)
        if also is not None:
            also(root)
        return {**CSV, "root": str(root / "images.csv"), **settings}

    return write


def changed(row: int, *values: Any) -> Callable[[list[list[Any]]], list[list[Any]]]:
    """Another row in place of this one."""
    return lambda rows: [*rows[:row], list(values), *rows[row + 1 :]]


def csv_folder(*names: str, parts: Sequence[Sequence[Sample]] = (TRAIN, TEST)) -> Write:
    def write(root: Path) -> Settings:
        for name, part in zip(names, parts, strict=True):
            write_rows(root / name, [HEAD[:2], *rows_of((Path(name).stem, part), root=root, split=False)])  # fmt: skip
        return {**CSV, "root": str(root)}

    return write


def absolute(root: Path) -> None:
    text = (root / "images.csv").read_text().replace("pictures/", f"{root}/pictures/")
    (root / "images.csv").write_text(text)


def in_a_folder(root: Path) -> None:
    (root / "pictures").rename(root.parent / f"{root.name}-pictures")
    text = (root / "images.csv").read_text()
    (root / "images.csv").write_text(text.replace("pictures/", f"../{root.name}-pictures/"))


def odd_name(root: Path) -> None:
    (root / "pictures" / "train1.png").rename(root / "pictures" / "a, b.png")


def lose(root: Path) -> None:
    for name in ("train2", "train5", "test0"):
        (root / "pictures" / f"{name}.png").unlink()


def damage(root: Path) -> None:
    for name in ("train2", "test0"):
        (root / "pictures" / f"{name}.png").write_bytes(content_of(TRAIN[0])[:50])


def quoted(rows: list[list[Any]]) -> str:
    return text_of(rows).replace("pictures/train1.png", '"pictures/a, b.png"')


def bytes_of(encoding: str) -> Callable[[list[list[Any]]], bytes]:
    return lambda rows: text_of([[*row[:1], "né" if row[1] == 1 else row[1], *row[2:]] for row in rows]).encode(encoding)  # fmt: skip


ACCENT = expect(("0", "né"), TRAIN, TEST, lambda label: "né" if label else "0")
CSVS: dict[str, tuple[Write, Outcome]] = {
    "a column of splits": (csv_file(), BOTH),
    "no splits": (csv_file(parts=ALL[:1], split=False), POOL),
    "a file of each split": (csv_folder("train.csv", "test.csv"), BOTH),
    "files of each split by other words": (csv_folder("Training.csv", "val.csv"), BOTH),
    "two files of one split": (csv_folder("train.csv", "training.csv", "test.csv", parts=(TRAIN, OTHER, TEST)), Refused((r"training\.csv",))),
    "a file of training images alone": (csv_folder("train.csv", parts=(TRAIN,)), POOL),
    "files of no split": (csv_folder("a.csv", "b.csv"), Refused((r"csv", r"split|train"))),
    "a folder without CSV files": (lambda root: {**CSV, "root": str(root)}, Refused((r"csv",))),
    "a file that does not exist": (lambda root: {**CSV, "root": str(root / "no.csv")}, Refused((r"exist",))),
    "splits by other words": (csv_file(lambda rows: [[*r[:2], {"train": "TRAIN", "test": "Validation"}.get(r[2], r[2])] for r in rows]), BOTH),
    "training, validation and test rows": (csv_file(parts=(*ALL, ("val", OTHER))), said(BOTH, left_out=r"4\b|validation")),
    "a split that no word says": (csv_file(changed(3, "pictures/train2.png", 0, "holdout")), Refused((r"holdout", r"split"))),
    "a row without a split": (csv_file(changed(3, "pictures/train2.png", 0, "")), Refused((r"split|line 4",))),
    "training rows alone in a column of splits": (csv_file(parts=ALL[:1]), POOL),
    "test rows alone": (csv_file(parts=ALL[1:]), Refused((r"train",))),
    "a byte order mark": (csv_file(lambda rows: codecs.BOM_UTF8 + text_of(rows).encode()), BOTH),
    "semicolons, said so": (csv_file(lambda rows: text_of(rows, ";"), delimiter=";"), BOTH),
    "semicolons": (csv_file(lambda rows: text_of(rows, ";")), (Refused((r"delimiter",)), BOTH)),
    "tabs, said so": (csv_file(lambda rows: text_of(rows, "\t"), delimiter="\t"), BOTH),
    "line ends of another system": (csv_file(lambda rows: text_of(rows).replace("\n", "\r\n")), BOTH),
    "empty lines": (csv_file(lambda rows: text_of(rows).replace("\n", "\n\n") + "\n"), BOTH),
    "a row that is too short": (csv_file(changed(3, "pictures/train2.png")), Refused((r"row|line", r"\b[234]\b"))),
    "a row that is too long": (csv_file(changed(3, "pictures/train2.png", 0, "train", "more")), Refused((r"row|line", r"\b[234]\b"))),
    "no header": (csv_file(lambda rows: rows[1:]), Refused((r"column", r"path|label"))),
    "only a header": (csv_file(lambda rows: rows[:1]), Refused((r"row|image|hold",))),
    "an empty file": (csv_file(lambda rows: ""), Refused((r"row|image|hold|column|header",))),
    "other names of columns": (csv_file(head=["file", "kind", "split"]), Refused((r"file", r"kind", r"column"))),
    "other names of columns, said so": (csv_file(head=["file", "kind", "split"], image_column="file", label_column="kind"), BOTH),
    "a column twice": (csv_file(lambda rows: [[*r, r[1]] for r in rows]), (Refused((r"label",)), BOTH)),
    "other columns": (csv_file(lambda rows: [["7", *r, "x"] if n else ["id", *r, "note"] for n, r in enumerate(rows)]), BOTH),
    "a row without a label": (csv_file(changed(3, "pictures/train2.png", "", "train")), Refused((r"label", r"empty|without|\b[234]\b"))),
    "a row without a path": (csv_file(changed(3, "", 0, "train")), Refused((r"path|image", r"empty|without|\b[234]\b"))),
    "paths to nothing": (csv_file(also=lose), Refused((r"train2\.png", r"train5\.png", r"test0\.png"))),
    "damaged images": (csv_file(also=damage), Refused((r"train2\.png", r"test0\.png"))),
    "a path to a folder": (csv_file(changed(3, "pictures", 0, "train")), Refused((r"pictures",))),
    "an address in place of a path": (csv_file(changed(3, "https://example.org/1.png", 0, "train")), Refused((r"example\.org",))),
    "a path twice with two labels": (csv_file(lambda rows: [*rows, ["pictures/train0.png", 1, "train"]]), Refused((r"train0\.png|line 14", r"label|twice"))),
    "a path in training and in test with two labels": (csv_file(lambda rows: [*rows, ["pictures/train0.png", 1, "test"]]), Refused((r"train0\.png|line 14", r"label|twice"))),
    "absolute paths": (csv_file(also=absolute), BOTH),
    "paths to a folder beside": (csv_file(also=in_a_folder), BOTH),
    "a comma in a path": (csv_file(quoted, also=odd_name), BOTH),
    "text of another encoding": (csv_file(bytes_of("latin-1")), Refused((r"UTF-8|encod|text",))),
    "text of UTF-16": (csv_file(bytes_of("utf-16")), (Refused((r"UTF-8|encod|text|column",)), ACCENT)),
    "text with accents": (csv_file(bytes_of("utf-8")), ACCENT),
    "a file of zeros": (csv_file(lambda rows: bytes(300)), Refused((r"text|column|csv|NUL|row",))),
    "an image in place of a table": (csv_file(lambda rows: content_of(TRAIN[0])), Refused((r"text|column|csv|UTF-8",))),
    "an open quotation mark": (csv_file(changed(3, '"pictures/train2.png', 0, "train")), Refused((r"row|line|quot|path|image|decoded|exist",))),
    "fractions": (csv_file(lambda rows: [rows[0], *([r[0], r[1] + 0.5, r[2]] for r in rows[1:])]), Refused((r"label", r"0\.5"))),
    "whole numbers as floating point": (csv_file(lambda rows: [rows[0], *([r[0], float(r[1]), r[2]] for r in rows[1:])]), (BOTH, Refused((r"label", r"0\.0|1\.0")))),
}  # fmt: skip


def cases() -> Iterator[Case]:
    for idea, (write, outcome) in CSVS.items():
        yield Case(f"{idea} [csv]", write, outcome if isinstance(outcome, tuple) else (outcome,))
