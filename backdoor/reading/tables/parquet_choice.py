"""Which column of Parquet files has the images, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa

from backdoor.errors import Mistake, UserError
from backdoor.reading.files import listed
from backdoor.reading.tables.named_files import beside, together, wrong_files
from backdoor.reading.tables.parquet_images import ImageColumn, row_paths
from backdoor.reading.tables.parquet_tables import (
    Table,
    check_beginnings,
    is_image,
    is_label,
    is_text,
    plain,
)

#: Columns of images, if none is named; the first one that is there counts.
IMAGE_COLUMNS = ("img", "image")
#: The column of labels, if none is named.
LABEL_COLUMN = "label"
#: Columns that a message names.
COLUMNS_SHOWN = 20


def image_column(tables: Sequence[Table], given: str | None, label: str) -> ImageColumn:
    """The column of images, `given` or a usual one; label: the column of labels.

    Raises:
        UserError: a column is missing or of another type; rows without an image; image files that
            do not exist.
    """
    usual = [[n for n in IMAGE_COLUMNS if n in table.schema.names] for table in tables]
    columns = [given or next(iter(names), IMAGE_COLUMNS[0]) for names in usual]
    mistakes = _wrong_columns(tables, given, columns, label) or _wrong_types(tables, columns)
    if mistakes:
        raise UserError(mistakes)
    check_beginnings(tables, columns)
    texts = _texts(tables, columns)
    paths = [
        {row: beside(table.file.parent, text) for row, text in enumerate(own)}
        for table, own in zip(tables, texts, strict=True)
    ]
    if mistakes := _absent(tables, texts, paths):
        raise UserError(mistakes)
    both = given is None and any(len(names) > 1 for names in usual)
    notes = ("images are those of the column `img`, not of `image`",) if both else ()
    if columns[0] not in IMAGE_COLUMNS or label != LABEL_COLUMN:
        notes = (f"images from the column `{columns[0]}`, labels from `{label}`",)
    return ImageColumn(tables, columns, paths, notes)


def _texts(tables: Sequence[Table], columns: Sequence[str]) -> list[list[str]]:
    """The paths in each table, none where it has bytes; `UserError` names the rows of all tables
    that have neither."""
    texts: list[list[str]] = []
    mistakes: list[Mistake] = []
    for table, name in zip(tables, columns, strict=True):
        try:
            texts.append(row_paths(table, name) or [])
        except UserError as error:
            mistakes += error.mistakes
    if mistakes:
        raise UserError(together(mistakes))
    return texts


def _wrong_columns(
    tables: Sequence[Table], given: str | None, columns: Sequence[str], label: str
) -> list[Mistake]:
    pairs = zip(tables, columns, strict=True)
    odd = [(table, name) for table, name in pairs if not {name, label} <= set(table.schema.names)]
    if not odd:
        return _doubled(tables, columns, label)
    table, column = odd[0]
    schema, others = (
        table.schema,
        f", and {len(odd) - 1} more have not both" if len(odd) > 1 else "",
    )
    rule = f"must have a column {given or ' or '.join(IMAGE_COLUMNS)} and a column {label}"
    value = f"{table.name}: {', '.join(schema.names)}"
    ask = [
        f"--set data.{setting}={_only(schema, fits)}"
        for setting, name, fits in (
            ("image_column", column, is_image),
            ("label_column", label, is_label),
        )
        if name not in schema.names
    ]
    remedy = f"Name the columns: {' '.join(ask)}. Columns: {_columns(schema)}{others}."
    return [Mistake("root", rule, value, remedy)]


def _doubled(tables: Sequence[Table], columns: Sequence[str], label: str) -> list[Mistake]:
    for table, column in zip(tables, columns, strict=True):
        for name in (column, label):
            if table.schema.names.count(name) > 1:
                rule, remedy = f"must have one column `{name}`", "Rename or remove the other one."
                value = f"{table.name}: {', '.join(table.schema.names)}"
                return [Mistake("root", rule, value, remedy)]
    return []


def _only(schema: pa.Schema, fits: Callable[[pa.DataType], bool]) -> str:
    """The only column that fits, else NAME."""
    names = [field.name for field in schema if fits(field.type)]
    return names[0] if len(names) == 1 else "NAME"


def _columns(schema: pa.Schema) -> str:
    return listed(
        [
            f"{field.name} ({field.type}{', looks like images' if is_image(field.type) else ''})"
            for field in schema
        ],
        COLUMNS_SHOWN,
    )


def _wrong_types(tables: Sequence[Table], columns: Sequence[str]) -> list[Mistake]:
    for table, column in zip(tables, columns, strict=True):
        kind = table.schema.field(column).type
        if is_image(kind) or is_text(kind):
            continue
        rule = "must hold images as encoded bytes, structs with `bytes` or `path`, or paths"
        value = f"{table.name}: `{column}` is {kind}"
        return [Mistake("root", rule, value, _other_form(table.schema, plain(kind)))]
    return []


def _other_form(schema: pa.Schema, kind: pa.DataType) -> str:
    """The remedy where the column is of the type `kind`."""
    decoded = pa.types.is_nested(kind) and not pa.types.is_struct(kind)
    form = (
        "These are decoded images: save them as PNG, or as uint8 in an .npz file for "
        "`kind: arrays`. Or name"
    )
    ask = f"another column: --set data.image_column={_only(schema, is_image)}"
    return f"{form if decoded else 'Name'} {ask}. Columns: {_columns(schema)}."


def _absent(
    tables: Sequence[Table], texts: Sequence[list[str]], paths: Sequence[dict[int, Path]]
) -> list[Mistake]:
    named = [
        (f"{table.name}, row {row}", own[row], file)
        for table, own, files in zip(tables, texts, paths, strict=True)
        for row, file in files.items()
    ]
    return wrong_files(named, "Parquet")
