"""Labels in a column of Parquet files, and the names that a hub gives them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from backdoor.errors import Mistake, UserError
from backdoor.reading.files import listed
from backdoor.reading.tables.label_texts import LONGEST_LABEL, NOT_PRINTED, TOO_LONG
from backdoor.reading.tables.named_files import short, together
from backdoor.reading.tables.parquet_tables import BROKEN, Table, damaged, is_text, plain

Labels = npt.NDArray[Any]


def read_labels(train: Sequence[Table], test: Sequence[Table], column: str) -> Labels:
    """The labels of all training and then of all test images: (n,) int64, or text.

    Raises:
        UserError: labels that are no whole numbers, text or booleans; empty ones; several types;
            test images without labels.
    """
    tables = [*train, *test]
    try:
        cells = [_plain_cells(table, column) for table in tables]
    except BROKEN:
        raise damaged(tables, [column] * len(tables)) from None
    mistakes = together(
        mistake
        for table, values in zip(tables, cells, strict=True)
        for mistake in _mistakes(table.name, column, values)
    )
    kinds: dict[str, list[str]] = {}
    for table, values in zip(tables, cells, strict=True):
        kinds.setdefault(_kind(values.type), []).append(f"{table.name}: {values.type}")
    if len(kinds) > 1 and not mistakes:
        rule, remedy = "must hold labels of one type in all files", "Write the files again alike."
        value = "; ".join(names[0] for names in kinds.values())
        mistakes.append(Mistake("root", rule, value, remedy))
    if mistakes:
        raise UserError(mistakes)
    arrays = [_array(values) for values in cells]
    _labelled(arrays, len(train), test)
    return np.concatenate(arrays)


def class_names(table: Table, column: str, labels: Labels) -> tuple[str, ...]:
    """Names of whole numbers from the metadata of the hub, if it names all labels; else ()."""
    if labels.dtype.kind != "i":
        return ()
    names = _names(table, column)
    return names if len(names) > labels.max() else ()


def _names(table: Table, column: str) -> tuple[str, ...]:
    metadata = table.schema.metadata or {}
    try:
        features = json.loads(metadata[b"huggingface"])["info"]["features"]
        return tuple(str(name) for name in features[column]["names"])
    except (KeyError, TypeError, ValueError):
        return ()


def same_names(tables: Sequence[Table], column: str) -> list[Mistake]:
    """A mistake where two files name the same labels differently."""
    given = [(table.name, names) for table in tables if (names := _names(table, column))]
    odd = [(file, names) for file, names in given if names != given[0][1]]
    if not odd:
        return []
    value = "; ".join(f"{file}: {listed(names)}" for file, names in (given[0], odd[0]))
    rule = "must name the classes alike in all files"
    return [Mistake("root", rule, value, "Fetch or write the files again, all alike.")]


def _plain_cells(table: Table, column: str) -> pa.ChunkedArray:
    with pq.ParquetFile(table.file) as parquet:
        cells = parquet.read(columns=[column]).column(0)
    if isinstance(cells.type, pa.BaseExtensionType):
        cells = cells.cast(cells.type.storage_type)
    if pa.types.is_dictionary(cells.type):
        cells = cells.cast(cells.type.value_type)
    # Few functions of pyarrow take views.
    return cells.cast(pa.large_string()) if pa.types.is_string_view(cells.type) else cells


def _kind(given: pa.DataType) -> str:
    kind = plain(given)
    if pa.types.is_integer(kind):
        return "number"
    if pa.types.is_boolean(kind):
        return "boolean"
    return "text" if is_text(kind) else ""


def _mistakes(name: str, column: str, cells: pa.ChunkedArray) -> list[Mistake]:
    """What is wrong with the labels of one file."""
    kind, rows = _kind(cells.type), len(cells)
    absent = pc.is_null(cells, nan_is_null=True).to_numpy()
    if not kind:
        rule = "must hold whole numbers, text or booleans as labels"
        value = f"{name}: `{column}` is {cells.type}{_shares(cells, absent)}"
        remedy = (
            "Store whole numbers or names, or name another column: --set data.label_column=NAME."
        )
        return [Mistake("root", rule, value, remedy)]
    mistakes = []
    if kind == "text":
        if not _valid(cells):
            rule, remedy = "must have labels that are UTF-8 text", "Write them again as UTF-8."
            return [Mistake("root", rule, f"{name}: `{column}` is not", remedy)]
        cells = pc.fill_null(cells, "")
        absent |= pc.equal(pc.utf8_trim_whitespace(cells), "").to_numpy()
        mistakes += _wrong_text(name, cells)
    if absent.any():
        rule = "must have a label for every image"
        value = f"{name}: {int(absent.sum())} of {rows} empty, first row {int(absent.argmax())}"
        mistakes.append(Mistake("root", rule, value, "Leave out images without a label."))
    if pa.types.is_uint64(cells.type) and (top := pc.max(cells).as_py() or 0) > 2**63 - 1:
        rule = f"must hold labels up to {2**63 - 1}"
        mistakes.append(Mistake("root", rule, f"{name}: {top}", "Number the classes 0, 1, ..."))
    return mistakes


def _valid(cells: pa.ChunkedArray) -> bool:
    try:
        cells.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _wrong_text(name: str, cells: pa.ChunkedArray) -> list[Mistake]:
    """Labels that are too long or cannot be printed, found before they are Python's."""
    wrong = (
        (TOO_LONG, pc.greater(pc.utf8_length(cells), LONGEST_LABEL)),
        (NOT_PRINTED, pc.match_substring_regex(cells, r"[\p{Cc}\x{2028}\x{2029}]")),
    )
    mistakes = []
    for (rule, remedy), found in wrong:
        rows = np.flatnonzero(found.to_numpy())
        if len(rows):
            first = short(repr(cells[int(rows[0])].as_py()))
            value = f"{name}: {len(rows)} of {len(cells)}, first row {rows[0]}: {first}"
            mistakes.append(Mistake("root", rule, value, remedy))
    return mistakes


def _shares(cells: pa.ChunkedArray, absent: npt.NDArray[np.bool_]) -> str:
    """How many labels are empty, and how many of those that are numbers have a fraction."""
    text = f", {int(absent.sum())} of {len(cells)} empty" if absent.any() else ""
    if pa.types.is_floating(cells.type):
        values = cells.to_numpy()[~absent]
        text += f", {int((values != np.round(values)).sum())} with a fraction"
    return text


def _array(cells: pa.ChunkedArray) -> Labels:
    kind = _kind(cells.type)
    if kind == "number":
        return np.asarray(cells.to_numpy(), dtype=np.int64)
    if kind == "boolean":
        return np.where(cells.to_numpy(), "true", "false")
    return np.array(cells.to_pylist(), dtype=str)


def _labelled(arrays: Sequence[Labels], train: int, test: Sequence[Table]) -> None:
    """Hubs mark images whose labels are kept secret by -1."""
    numbers = np.concatenate(arrays[train:])
    if numbers.dtype.kind == "i" and (numbers < 0).all():
        rule = "must have labels for the test images"
        value = f"{listed([table.name for table in test])}: only {numbers.max()}"
        remedy = "Remove these files; labelled validation files beside them are then the test set."
        raise UserError(Mistake("root", rule, value, remedy))
