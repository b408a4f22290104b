"""Which rows of CSV files are for training and which for test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from backdoor.errors import UserError
from backdoor.reading.files import listed, wrong_root
from backdoor.reading.layout import Split, split_of
from backdoor.reading.other_kinds import other_kind
from backdoor.reading.tables.csv_rows import Columns, Row, Sheet, read_sheet
from backdoor.reading.tables.named_files import counted, short, split_in

ENDINGS = (".csv", ".tsv")
BySplit = dict[Split, list[Row]]


@dataclass(frozen=True)
class Rows:
    """Rows that are read. folder: where paths begin. sheets: the CSV files. test_from: the number
    of the first test row; None if there is one pool."""

    folder: Path
    sheets: list[Path]
    train: list[Row]
    test: list[Row]
    left_out: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def test_from(self) -> int | None:
        """The number of the first test row; None if there is one pool."""
        return len(self.train) if self.test else None


def find_rows(root: Path, columns: Columns) -> Rows:
    """The rows of the CSV file `root`, or of those in the folder `root`.

    Raises:
        UserError: with all mistakes in all files.
    """
    if not root.is_dir():
        sheet = _whole([read_sheet(root, columns, alone=True)])[0]
        by: BySplit = _by_column(sheet.rows) if sheet.split else {"train": sheet.rows}
        return _rows(root.parent, {root: sheet}, by, sheet.split, [])
    files, unknown = _files(root)
    read = _whole([read_sheet(file, columns) for file in files.values()])
    sheets = dict(zip(files.values(), read, strict=True))
    by = {split: sheets[file].rows for split, file in files.items()}
    _agree(sheets, by)
    names = listed([file.name for file in unknown])
    left_out = [f"{len(unknown)} file{'s' * (len(unknown) > 1)} of no known split ({names})"]
    return _rows(root, sheets, by, True, left_out if unknown else [])


def csv_files(root: Path) -> list[Path]:
    """The file `root`, or the CSV files in the folder `root`."""
    if not root.is_dir():
        return [root]
    return sorted(
        file
        for file in root.iterdir()
        if file.suffix.lower() in ENDINGS and file.name[0] != "." and file.is_file()
    )


def _whole(sheets: list[Sheet]) -> list[Sheet]:
    if mistakes := [mistake for sheet in sheets for mistake in sheet.mistakes]:
        raise UserError(mistakes)
    return sheets


def _files(root: Path) -> tuple[dict[Split, Path], list[Path]]:
    """The file of each split that is read, and those whose names say no split."""
    _all_files(root)
    tables = csv_files(root)
    found: dict[Split, list[Path]] = {}
    for file in tables:
        if split := split_in(file.stem)[0]:
            found.setdefault(split, []).append(file)
    unknown = [file for file in tables if split_in(file.stem)[0] is None]
    if "train" not in found:
        names = listed([file.name for file in tables])
        rule = "must be a CSV file, or a folder with train*.csv and test*.csv"
        one = tables[0] if len(tables) == 1 else root / "FILE.csv"
        remedy = f"Found: {names or 'no CSV file'}. Name one: --set data.root={one}."
        if not tables and (other := other_kind("csv", root)):
            remedy = f"Found: no CSV file. {other}"
        raise wrong_root(rule, str(root), remedy)
    if "test" in found and "validation" in found and len(found["validation"]) > 1:
        found["validation"] = found["validation"][:1]
    if twice := [file.name for files in found.values() if len(files) > 1 for file in files]:
        rule, remedy = "must hold one file for each split", "Put the rows of a split into one file."
        raise wrong_root(rule, listed(twice), remedy)
    order: tuple[Split, ...] = ("train", "test", "validation")
    return {split: found[split][0] for split in order if split in found}, unknown


def _all_files(root: Path) -> None:
    """Raises `UserError` if folders, pipes or links to nothing are called like CSV files."""
    named = (path for path in root.iterdir() if path.suffix.lower() in ENDINGS)
    if wrong := [path.name for path in named if path.name[0] != "." and not path.is_file()]:
        remedy = "Fix or remove them (no files, or links to nothing)."
        raise wrong_root("must hold CSV files that can be read", listed(sorted(wrong)), remedy)


def _by_column(rows: Sequence[Row]) -> BySplit:
    """Rows by what their column `split` says."""
    by: BySplit = {}
    wrong = []
    meant = {text: split_of(text) for text in {row.split for row in rows}}
    for row in rows:
        if split := meant[row.split]:
            by.setdefault(split, []).append(row)
        else:
            wrong.append(f"{row.at}: {short(row.split)}")
    if wrong:
        rule = "must have train, test or validation in the column `split`"
        remedy = "Write train, test or validation, or rename the column."
        raise wrong_root(rule, counted("other row", wrong), remedy)
    if "train" not in by:
        value = ", ".join(sorted(by))
        raise wrong_root("must have rows for training", f"only {value}", "Add such rows.")
    return by


def _agree(sheets: dict[Path, Sheet], by: BySplit) -> None:
    """A column `split` must not contradict the name of the file."""
    wrong = [
        f"{row.at}: {short(row.split)}"
        for split, rows in by.items()
        for row in rows
        if row.split and split_of(row.split) != split
    ]
    if wrong:
        rule = "must have the split of the file in the column `split`"
        one = next(iter(sheets))
        remedy = f"Read one file alone (--set data.root={one}), or remove the column."
        raise wrong_root(rule, counted("other row", wrong), remedy)


def _rows(
    folder: Path, sheets: dict[Path, Sheet], by: BySplit, split: bool, left_out: list[str]
) -> Rows:
    test, validation = by.get("test", []), by.get("validation", [])
    notes = [_columns(sheets)]
    if not test and validation:
        notes.append("the validation images are the test set")
    elif not test and split:
        notes.append("there are training images only: all splits are drawn from them")
    elif validation:
        left_out = [f"{len(validation)} validation images", *left_out]
    unread = sorted({name for sheet in sheets.values() for name in sheet.unread})
    columns = f"{len(unread)} column{'s' * (len(unread) > 1)} ({listed(unread)})"
    left_out = [*left_out, *([columns] if unread else [])]
    return Rows(
        folder, list(sheets), by["train"], test or validation, tuple(left_out), tuple(notes)
    )


def _columns(sheets: dict[Path, Sheet]) -> str:
    taken = dict.fromkeys((sheet.image, sheet.label) for sheet in sheets.values())
    return "; ".join(f"paths from the column `{p}`, labels from `{label}`" for p, label in taken)
