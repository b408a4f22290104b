"""Parquet files of the ledger: written whole, named by time, refused when damaged or unreadable."""

from __future__ import annotations

import io
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from backdoor.errors import Mistake, StoredDataError
from sweeps.storage.files import write_atomic

#: How files are written: a segment (part) of a few rows for speed, a merged file (fold) for size.
_WRITING: dict[str, dict[str, Any]] = {
    "part": {"compression": "none", "use_dictionary": False, "write_statistics": False},
    "fold": {"compression": "zstd"},
}


def write_table(folder: Path, word: str, table: pa.Table, schema: pa.Schema) -> Path:
    """A new file, durable when this returns. word: part for a segment, fold for a merged file."""
    sink = io.BytesIO()
    pq.write_table(table.replace_schema_metadata(schema.metadata), sink, **_WRITING[word])
    # Names sort by time, so that the earliest row of a trial is the one that counts.
    name = f"{word}-{time.time_ns():020d}-{uuid.uuid4().hex[:6]}.parquet"
    write_atomic(folder / name, sink.getvalue(), follow=False)
    return folder / name


def read_table(file: Path, readable: Sequence[int], columns: list[str] | None = None) -> pa.Table:
    """The table in a file, some of its columns if they are named; its version is in its metadata.

    Raises:
        FileNotFoundError: it has been merged into another since it was listed.
        StoredDataError: it is damaged, or of a version that is not `readable`.
    """
    try:
        # A relative name with a colon, such as run:1/..., would be read as an address.
        table = pq.read_table(file.absolute(), partitioning=None, columns=columns)
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError) as error:
        remedy = "Move the file away and use `sweeps resume`: its trials are trained again."
        raise StoredDataError(
            Mistake(str(file), "must be a readable Parquet file", str(error), remedy)
        ) from None
    version = version_of(table)
    if version not in readable:
        rule = f"must have schema version {' or '.join(map(str, readable))}"
        remedy = "Use the release of backdoor-sweeps that wrote it."
        raise StoredDataError(Mistake(str(file), rule, version, remedy))
    return table


def version_of(table: pa.Table) -> int:
    """The schema version that a table was written with; 0 where it names none."""
    return int((table.schema.metadata or {}).get(b"schema_version", b"0"))
