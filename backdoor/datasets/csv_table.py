"""CSV files: a row for each image, with a path and a label."""

from __future__ import annotations

import functools
import hashlib
import json
import os
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from backdoor.datasets.encoded import EncodedDataset
from backdoor.errors import Mistake, UserError
from backdoor.reading.contents import Contents, EncodedImages, Ids
from backdoor.reading.files import given_root, state_of, wrong_root
from backdoor.reading.other_kinds import other_kind
from backdoor.reading.tables.csv_labels import labels_of
from backdoor.reading.tables.csv_rows import DELIMITERS, Columns, Row
from backdoor.reading.tables.csv_splits import Rows, csv_files, find_rows
from backdoor.reading.tables.named_files import beside, content_hashes, counted, short, wrong_files
from backdoor.settings.schema import location


@dataclass(frozen=True, kw_only=True)
class CsvTable(EncodedDataset):
    """Image files that the CSV file `root` lists with their labels, or those in the folder `root`:
    one for each split (`train.csv`, `test.csv`).

    The first line names the columns. A column `split` says whether a row is for training, test or
    validation; without it, and with training rows alone, there is one pool. Paths begin at the
    folder of the CSV file. Spaces around values do not count, nor do empty lines. Labels are class
    numbers if all are whole numbers, else names.

    image_column: the column of paths, by default the only one called path, file, filename,
    file_name, filepath, file_path, image, image_path or img. label_column: the column of labels, by
    default the only one called label, class, target or category. delimiter: the character between
    values, or comma, semicolon, tab, pipe; by default a comma, in `.tsv` files a tab.
    """

    kind: ClassVar[str] = "csv"

    root: str | None = location(None)
    image_column: str | None = None
    label_column: str | None = None
    delimiter: str = location(",")

    def inert(self) -> frozenset[str]:
        names = ("image_column", "label_column")
        return super().inert() | {name for name in names if getattr(self, name) is None}

    def rules(self) -> Iterable[Mistake]:
        yield from super().rules()
        if self.delimiter in DELIMITERS:
            return
        if len(self.delimiter) != 1 or self.delimiter in '"\r\n ':
            rule = f"must be one character, or one of {', '.join(DELIMITERS)}"
            yield Mistake("delimiter", rule, self.delimiter, "Change the value.")

    def fingerprint(self) -> str:
        """Of labels, images and splits in the order of the rows: names of files and columns do not
        count."""
        listing = self._listing()
        how = [self.kind, self.image_size, *self.how(), listing.rows.test_from]
        digest = hashlib.sha256(json.dumps(how).encode())
        labels = labels_of(listing.rows.train, listing.rows.test).tolist()
        for label, content in zip(labels, content_hashes(listing.files), strict=True):
            digest.update(json.dumps(label).encode() + content)
        return digest.hexdigest()

    def signature(self) -> Hashable:
        listing = self._listing()
        return state_of(listing.rows.sheets), state_of(listing.files)

    def open(self) -> Contents:
        listing = self._listing()
        rows = listing.rows
        return Contents(
            labels_of(rows.train, rows.test),
            EncodedImages(len(listing.files), listing.read, self.decoding),
            test_from=rows.test_from,
            left_out=rows.left_out,
            notes=(*rows.notes, *listing.notes),
        )

    def _listing(self) -> _Listing:
        root = given_root(self.kind, self.root, "FILE.csv")
        if not os.path.exists(root):
            raise wrong_root(
                "must be a CSV file or a folder that exists", self.root, "Check the path."
            )
        if os.path.isfile(root) and (remedy := other_kind(self.kind, root)):
            raise wrong_root("must be a CSV file or a folder with CSV files", self.root, remedy)
        columns = Columns(self.image_column, self.label_column, self.delimiter)
        return _listing(root, columns, state_of(csv_files(root)))


@dataclass(frozen=True)
class _Listing:
    """The rows that are read, and their image files in the same order."""

    rows: Rows
    files: list[Path]
    notes: tuple[str, ...] = ()

    def read(self, ids: Ids) -> Iterator[tuple[str, Path]]:
        """Name and file of images by number."""
        rows = [*self.rows.train, *self.rows.test]
        for number in ids.tolist():
            yield f"{rows[number].at}: {rows[number].path}", self.files[number]


@functools.lru_cache(maxsize=1)
def _listing(root: Path, columns: Columns, state: Hashable) -> _Listing:
    """The rows and files; remembered while the CSV files are in the same state, since the same rows
    are needed several times."""
    found = find_rows(root, columns)
    rows = [*found.train, *found.test]
    files = [beside(found.folder, row.path) for row in rows]
    named = [(row.at, row.path, file) for row, file in zip(rows, files, strict=True)]
    again, contrary = _repeated(rows, files)
    mistakes = wrong_files(named, "CSV")
    if contrary:
        rule, remedy = "must give an image one label", "Keep the row that is right."
        mistakes.append(Mistake("root", rule, counted("image", contrary), remedy))
    if mistakes:
        raise UserError(mistakes)
    rows_again = f"{again} row{'s' * (again > 1)} of an image that has an earlier row: read twice"
    notes = (rows_again,) if again else ()
    return _Listing(found, files, notes)


def _repeated(rows: Sequence[Row], files: Sequence[Path]) -> tuple[int, list[str]]:
    """How many rows name an image again with its label, and images that have two labels."""
    first: dict[str, Row] = {}
    again, contrary = 0, []
    for row, file in zip(rows, files, strict=True):
        known = first.setdefault(os.path.normpath(file), row)
        if known is row:
            continue
        if known.label == row.label:
            again += 1
        else:
            contrary.append(f"{known.at}: {short(known.label)}, {row.at}: {short(row.label)}")
    return again, contrary
