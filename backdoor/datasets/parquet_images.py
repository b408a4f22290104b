"""Images in a column of Parquet files, few of which are in memory at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from backdoor.datasets.contents import Ids
from backdoor.datasets.parquet_tables import (
    BROKEN,
    Table,
    all_batches,
    batches,
    damaged,
    has_bytes,
    is_bytes,
    is_text,
    leaves_of,
    opened,
)


@dataclass(frozen=True)
class ImageColumn:
    """The images of some files. columns: where they are in each. paths: for each file, row → image
    file, for rows that have no bytes. notes: what was assumed."""

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
        inside = np.array([row for row in rows.tolist() if row not in files], dtype=np.int64)
        cells = _cells(table, column, inside)
        try:
            for row in rows.tolist():
                yield f"{table.name}, row {row}", files[row] if row in files else next(cells, b"")
        except BROKEN:
            raise damaged(self.tables, self.columns) from None


def rows_without_bytes(table: Table, column: str) -> dict[int, str | None]:
    """Row → path of the image, for the rows that have no bytes; None if they have no path."""
    kind = table.schema.field(column).type
    if not is_text(kind) and _all_bytes(table, column):
        return {}
    found: dict[int, str | None] = {}
    start = 0
    try:
        for cells in all_batches(table, column):
            for number in np.flatnonzero(_without_bytes(cells, kind)).tolist():
                found[start + number] = _path(cells[number].as_py())
            start += len(cells)
    except BROKEN:
        raise damaged([table], [column]) from None
    return found


def _all_bytes(table: Table, column: str) -> bool:
    """Whether the footer says that every row has bytes."""
    kind = table.schema.field(column).type
    place = column if is_bytes(kind) else f"{column}.bytes"
    footer = pq.read_metadata(table.file)
    groups = [footer.row_group(number) for number in range(footer.num_row_groups)]
    leaves = [at for group in groups for at in leaves_of(group, column)]
    told = [at.statistics for at in leaves if at.path_in_schema == place and at.is_stats_set]
    known = [at.null_count for at in told if at.has_null_count]
    return len(known) == len(groups) and not any(known)


def _without_bytes(cells: pa.Array, kind: pa.DataType) -> npt.NDArray[np.bool_]:
    if not is_bytes(kind) and not has_bytes(kind):
        return np.ones(len(cells), dtype=bool)
    absent = pc.is_null(cells)
    if has_bytes(kind):
        storage = cells.storage if isinstance(cells, pa.ExtensionArray) else cells
        absent = pc.or_(absent, pc.is_null(storage.field("bytes")))
    return np.asarray(absent.to_numpy(zero_copy_only=False))


def _path(cell: Any) -> str | None:
    path = cell.get("path") if isinstance(cell, dict) else cell
    return path if isinstance(path, str) and path else None


def _cells(table: Table, column: str, rows: Ids) -> Iterator[bytes]:
    """The bytes in these rows, ascending."""
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


def _cells_of_group(pieces: Iterator[pa.Array], rows: Ids) -> Iterator[bytes]:
    start = 0
    for cells in pieces:
        end = start + len(cells)
        for row in rows[np.searchsorted(rows, start) : np.searchsorted(rows, end)].tolist():
            cell = cells[row - start].as_py()
            yield cell["bytes"] if isinstance(cell, dict) else cell
        if end > rows[-1]:
            return
        start = end
