"""Parquet files that are whole, their columns in small pieces, and the types of values."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from backdoor.errors import UserError
from backdoor.reading.files import listed, wrong_root

BROKEN = (pa.ArrowException, OSError, ValueError, KeyError, StopIteration, RuntimeError)
#: Bytes of images that are in memory at a time, and the most rows.
BATCH_BYTES, BATCH_ROWS = 4 << 20, 1024
#: Files that a message names.
NAMED = 20
#: How files begin that stand for others in a repository.
POINTER = b"version https://git-lfs"


@dataclass(frozen=True)
class Table:
    """A file whose footer is whole. name: its path from `root`."""

    name: str
    file: Path
    rows: int
    schema: pa.Schema


def open_tables(parts: Sequence[tuple[str, Path]]) -> list[Table]:
    """The files, (name, path) each.

    Raises:
        UserError: with the names of all that are damaged, encrypted, empty or no Parquet files.
    """
    wrong = [f"{name} ({why})" for name, file in parts if (why := _trouble(file))]
    if wrong:
        raise _not_whole(wrong)
    footers = [(name, file, pq.read_metadata(file)) for name, file in parts]
    return [
        Table(n, f, footer.num_rows, footer.schema.to_arrow_schema()) for n, f, footer in footers
    ]


def count_rows(file: Path) -> int:
    """Its number of rows; 0 if it cannot be read."""
    return 0 if _trouble(file) else int(pq.read_metadata(file).num_rows)


def _not_whole(wrong: Sequence[str]) -> UserError:
    rule = "must hold whole Parquet files with rows in them"
    value = f"{len(wrong)} file{'s' * (len(wrong) > 1)} that cannot be used"
    return wrong_root(rule, value, f"Fetch or write again: {listed(wrong, NAMED)}.")


def _trouble(file: Path) -> str:
    """What is wrong with a file whose content was not looked at; "" if nothing."""
    try:
        with file.open("rb") as stream:
            if stream.read(len(POINTER)) == POINTER:
                return "a pointer of Git LFS: `git lfs pull` fetches the file"
        return "" if pq.read_metadata(file).num_rows else "no rows"
    except BROKEN as error:
        return _why(error)


def _why(error: Exception) -> str:
    if "crypt" in str(error).lower():
        return "encrypted"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return "damaged, or no Parquet file"


def check_beginnings(tables: Sequence[Table], columns: Sequence[str]) -> None:
    """Reads the first row of the column, one for each file.

    Raises:
        UserError: with the names of all files whose column cannot be read.
    """
    if wrong := _unreadable(tables, columns, _beginning):
        raise _not_whole(wrong)


def damaged(tables: Sequence[Table], columns: Sequence[str]) -> UserError:
    """The error that names all files whose column, one for each, cannot be read to its end."""
    wrong = _unreadable(tables, columns, _to_the_end)
    return _not_whole(wrong or [table.name for table in tables])


def _unreadable(
    tables: Sequence[Table], columns: Sequence[str], read: Callable[[Table, str], None]
) -> list[str]:
    wrong = []
    for table, column in zip(tables, columns, strict=True):
        try:
            read(table, column)
        except BROKEN as error:
            wrong.append(f"{table.name} ({_why(error)})")
    return wrong


def _beginning(table: Table, column: str) -> None:
    first_cell(table, column)


def first_cell(table: Table, column: str) -> Any:
    """The value in the first row of the column."""
    with opened(table) as parquet:
        return next(parquet.iter_batches(1, columns=[column])).column(0)[0].as_py()


def _to_the_end(table: Table, column: str) -> None:
    _beginning(table, column)
    for _ in all_batches(table, column):
        pass


def opened(table: Table) -> pq.ParquetFile:
    """The file, to be read in pieces."""
    # Without these settings pyarrow keeps a whole row group in memory.
    return pq.ParquetFile(table.file, pre_buffer=False, buffer_size=1 << 20)


def batches(parquet: pq.ParquetFile, column: str, group: int) -> Iterator[pa.Array]:
    """The column in one row group, in pieces."""
    # What footers say of single columns is not asked for: where it is damaged or encrypted, pyarrow
    # ends the process.
    rows = _rows_at_once(parquet.metadata.row_group(group))
    for batch in parquet.iter_batches(rows, row_groups=[group], columns=[column]):
        yield batch.column(0)


def all_batches(table: Table, column: str) -> Iterator[pa.Array]:
    """The column in pieces."""
    with opened(table) as parquet:
        for group in range(parquet.num_row_groups):
            yield from batches(parquet, column, group)


def _rows_at_once(group: Any) -> int:
    size = max(group.total_byte_size, 1)
    return int(min(max(BATCH_BYTES * group.num_rows // size, 1), BATCH_ROWS))


def plain(kind: pa.DataType) -> pa.DataType:
    """The type of the values, which may be stored in another form."""
    if isinstance(kind, pa.BaseExtensionType):
        return plain(kind.storage_type)
    return plain(kind.value_type) if pa.types.is_dictionary(kind) else kind


def is_bytes(kind: pa.DataType) -> bool:
    """Whether values are bytes, such as encoded images."""
    kind, types = plain(kind), pa.types
    fits = (types.is_binary, types.is_large_binary, types.is_fixed_size_binary)
    return any(fit(kind) for fit in (*fits, types.is_binary_view))


def is_text(kind: pa.DataType) -> bool:
    """Whether values are text, such as paths."""
    kind, types = plain(kind), pa.types
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def field_of(kind: pa.DataType, name: str) -> pa.DataType | None:
    """The type of a field of a struct; None if there is none, or nothing in it."""
    kind = plain(kind)
    if not pa.types.is_struct(kind) or kind.get_field_index(name) < 0:
        return None
    field = kind.field(name).type
    return None if pa.types.is_null(field) else field


def is_image(kind: pa.DataType) -> bool:
    """Whether values can be images: bytes, or structs with bytes or paths."""
    return is_bytes(kind) or has_bytes(kind) or has_paths(kind)


def has_bytes(kind: pa.DataType) -> bool:
    """Whether it is a struct with bytes."""
    field = field_of(kind, "bytes")
    return field is not None and is_bytes(field)


def has_paths(kind: pa.DataType) -> bool:
    """Whether it is a struct with paths, and maybe with bytes."""
    field, inside = field_of(kind, "path"), field_of(kind, "bytes")
    return field is not None and is_text(field) and (inside is None or is_bytes(inside))


def is_label(kind: pa.DataType) -> bool:
    """Whether values can be labels."""
    return is_text(kind) or pa.types.is_integer(plain(kind)) or pa.types.is_boolean(plain(kind))
