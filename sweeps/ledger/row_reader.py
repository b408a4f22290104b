"""From Arrow to records, column by column: a row at a time takes twice as long."""

from __future__ import annotations

import contextlib
import gc
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from itertools import islice
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from backdoor.result import CurvePoint, Measurement
from sweeps.records.trial_row import COLUMNS, TrialRow

#: Field of `TrialRow` → the column that it is read from.
_STORED = {field.name: COLUMNS.get(field.name, field.name) for field in fields(TrialRow)}


#: Status, what stopped it, and how many triggers it was measured with: an extended sweep measures
#: clean baselines with more.
TrialState = tuple[str, str | None, int]


def trial_states(table: pa.Table) -> list[TrialState]:
    """What of each row may change when its trial is recorded again."""
    measured = pc.fill_null(pc.list_value_length(table["measurements"]), 0)
    columns = table["status"], table["stopped_by"], measured
    return list(zip(*(column.to_pylist() for column in columns), strict=True))


def trial_rows(table: pa.Table) -> list[TrialRow]:
    """Rows of the ledger's table as records; other columns are not looked at."""
    with _without_collection():
        columns = (_READ.get(name, _plain)(table[column]) for name, column in _STORED.items())
        return list(map(TrialRow, *columns))


@contextlib.contextmanager
def _without_collection() -> Iterator[None]:
    """While many objects are made, Python searches for garbage again and again, for half of the
    time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _plain(column: pa.ChunkedArray) -> Sequence[Any]:
    values: list[Any] = column.to_pylist()
    return values


def _configs(column: pa.ChunkedArray) -> Sequence[Any]:
    return [json.loads(text) for text in column.to_pylist()]


def _flags(column: pa.ChunkedArray) -> Sequence[bool]:
    return [bool(value) for value in column.to_pylist()]


def _counts(column: pa.ChunkedArray | pa.Array) -> Sequence[tuple[int, ...]]:
    return _lists(column, lambda values: values.to_pylist())


def _measurements(column: pa.ChunkedArray) -> Sequence[tuple[Measurement, ...]]:
    return _lists(column, lambda values: _structs(values, Measurement, {}))


def _curves(column: pa.ChunkedArray) -> Sequence[tuple[CurvePoint, ...]]:
    return _lists(column, lambda values: _structs(values, CurvePoint, {"success": _counts}))


_READ: dict[str, Callable[[pa.ChunkedArray], Sequence[Any]]] = {
    "config": _configs,
    "class_correct": _counts,
    "class_total": _counts,
    "collapsed": _flags,
    "diverged": _flags,
    "measurements": _measurements,
    "curve": _curves,
}


def _lists(
    column: pa.ChunkedArray | pa.Array, read: Callable[[pa.Array], list[Any]]
) -> list[tuple[Any, ...]]:
    """A tuple for each list of the column, empty for null; `read` takes all of their values."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    values: Iterator[Any] = iter(read(array.flatten()))
    lengths = pc.fill_null(pc.list_value_length(array), 0).to_pylist()
    return [tuple(islice(values, length)) for length in lengths]


def _structs(
    values: pa.StructArray,
    make: Callable[..., Any],
    reads: dict[str, Callable[[pa.Array], Sequence[Any]]],
) -> list[Any]:
    """What `make` makes of each struct, whose fields are its arguments in their order."""
    columns = zip(values.type, values.flatten(), strict=True)
    return list(map(make, *(reads.get(f.name, _plain)(array) for f, array in columns)))
