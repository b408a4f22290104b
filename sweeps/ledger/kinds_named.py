"""Rows of trials that name kinds of users."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from sweeps.records.trial_row import FAILED

#: A kind `module:Class` as a value of a canonical configuration.
_KIND_VALUE = r'"kind":"[^"]*:'


def rows_naming_kinds(rows: pa.Table) -> list[dict[str, Any]]:
    """Config, source digest and end of the trials that may name one, without those that failed."""
    columns = rows.select(["config", "source_digest", "status", "finished_at"])
    named = pc.match_substring_regex(columns["config"], _KIND_VALUE)
    chosen = pc.and_(named, pc.not_equal(columns["status"], FAILED))
    found: list[dict[str, Any]] = columns.filter(chosen).to_pylist()
    return found
