"""Images in a column of Parquet files, few of which are in memory at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from backdoor.errors import Mistake, UserError
from backdoor.reading.contents import Ids
from backdoor.reading.tables.named_files import counted, together
from backdoor.reading.tables.parquet_tables import (
    BROKEN,
    Table,
    all_batches,
    batches,
    damaged,
    first_cell,
    has_bytes,
    is_bytes,
    opened,
)


@dataclass(frozen=True)
class ImageColumn:
    """The images of some files. columns: where they are in each. paths: for each file, row → image
    file, where images are files of their own; else {}. notes: what was assumed."""

    tables: Sequence[Table]
    columns: Sequence[str]
    paths: Sequence[dict[int, Path]]
    notes: tuple[str, ...] = ()

    @property
    def files(self) -> list[Path]:
        """All image files, in the order of the rows."""
        return [file for paths in self.paths for file in paths.values()]

    def read(self, ids: Ids) -> Iterator[tuple[str, bytes | Path]]:
        """Name, and bytes or file, of images by number over all tables, ids ascending; of each
        table only the row groups in which there is one, few rows at a time."""
        start = 0
        for table, column, files in zip(self.tables, self.columns, self.paths, strict=True):
            own = ids[np.searchsorted(ids, start) : np.searchsorted(ids, start + table.rows)]
            yield from self._read_table(table, column, files, own - start)
            start += table.rows

    def _read_table(
        self, table: Table, column: str, files: dict[int, Path], rows: Ids
    ) -> Iterator[tuple[str, bytes | Path]]:
        cells = iter(()) if files else _cells(table, column, rows)
        try:
            for row in rows.tolist():
                encoded = files[row] if files else next(cells, b"")
                if encoded is None:
                    raise self._incomplete()
                yield f"{table.name}, row {row}", encoded
        except BROKEN:
            raise damaged(self.tables, self.columns) from None

    def _incomplete(self) -> UserError:
        """The error that names all rows without bytes, in files whose first row has bytes."""
        return UserError(
            together(
                mistake
                for table, column, files in zip(self.tables, self.columns, self.paths, strict=True)
                for mistake in ([] if files else _without_bytes(table, column))
            )
        )


def row_paths(table: Table, column: str) -> list[str] | None:
    """The path of each row, where images are files beside the table; None where rows have bytes.

    Where there may be both, the first row says which: only bytes that are read are looked at.

    Raises:
        UserError: rows with neither, or with bytes in place of a path.
    """
    kind = table.schema.field(column).type
    if is_bytes(kind) or (has_bytes(kind) and _encoded(first_cell(table, column)) is not None):
        return None
    paths, with_bytes = _look(table, column)
    nothing = [row for row, path in enumerate(paths) if path is None and row not in with_bytes]
    if mistakes := _unlike(table, nothing, _fewer(paths, with_bytes)):
        raise UserError(mistakes)
    return [path or "" for path in paths]


def _look(table: Table, column: str) -> tuple[list[str | None], set[int]]:
    """The path of each row, and the rows that have bytes."""
    paths: list[str | None] = []
    with_bytes: set[int] = set()
    try:
        for cell in chain.from_iterable(all_batches(table, column)):
            value = cell.as_py()
            if _encoded(value) is not None:
                with_bytes.add(len(paths))
            paths.append(_path(value))
    except BROKEN:
        raise damaged([table], [column]) from None
    return paths, with_bytes


def _without_bytes(table: Table, column: str) -> list[Mistake]:
    """Mistakes in rows of a table of bytes that have none, or a path."""
    paths, with_bytes = _look(table, column)
    nothing = [row for row, path in enumerate(paths) if path is None and row not in with_bytes]
    return _unlike(table, nothing, _fewer(paths, with_bytes))


def _fewer(paths: list[str | None], with_bytes: set[int]) -> list[int]:
    """The rows of the kind, bytes or path, that is rarer in a table."""
    others = [row for row, path in enumerate(paths) if path is not None and row not in with_bytes]
    return min(others, sorted(with_bytes), key=len)


def _unlike(table: Table, nothing: list[int], other: list[int]) -> list[Mistake]:
    """Mistakes in rows that have no image, and in those that have one of the other kind."""
    named = [[f"{table.name}, row {row}" for row in rows] for rows in (nothing, other)]
    mistakes = []
    if nothing:
        rule, remedy = "must have an image in every row", "Leave out these rows."
        mistakes.append(Mistake("root", rule, counted("empty row", named[0]), remedy))
    if other:
        rule = "must have bytes in all rows of a file, or paths in all"
        value, remedy = counted("other row", named[1]), "Write all images in one way."
        mistakes.append(Mistake("root", rule, value, remedy))
    return mistakes


def _encoded(cell: Any) -> bytes | None:
    """The bytes of a value."""
    found = cell.get("bytes") if isinstance(cell, dict) else cell
    return found if isinstance(found, bytes) else None


def _path(cell: Any) -> str | None:
    found = cell.get("path") if isinstance(cell, dict) else cell
    return found if isinstance(found, str) and found else None


def _cells(table: Table, column: str, rows: Ids) -> Iterator[bytes | None]:
    """The bytes in these rows, ascending; None where there are none."""
    if not len(rows):
        return
    start = 0
    with opened(table) as parquet:
        for group in range(parquet.num_row_groups):
            end = start + parquet.metadata.row_group(group).num_rows
            own = rows[np.searchsorted(rows, start) : np.searchsorted(rows, end)] - start
            if len(own):
                yield from _cells_of_group(batches(parquet, column, group), own)
            start = end


def _cells_of_group(pieces: Iterator[pa.Array], rows: Ids) -> Iterator[bytes | None]:
    start = 0
    for cells in pieces:
        end = start + len(cells)
        for row in rows[np.searchsorted(rows, start) : np.searchsorted(rows, end)].tolist():
            yield _encoded(cells[row - start].as_py())
        if end > rows[-1]:
            return
        start = end
