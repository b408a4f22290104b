"""What one probe found on one trained model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

#: Values of one column: figures, counts, or texts.
Column = list[float] | list[int] | list[str]


@dataclass(frozen=True)
class ProbeRow:
    """One probe on one trial's model. probe: its kind and settings; outcome: found, nothing or
    failed, with `error`; columns: name to values, all of one length, a row a point of what it
    measured; seconds: what it took; finished_at: seconds since 1970."""

    trial_id: str
    probe_id: str
    probe: Mapping[str, Any]
    outcome: str
    error: str | None
    columns: Mapping[str, Column]
    seconds: float | None
    finished_at: float

    @property
    def kind(self) -> str:
        """The kind of the probe, such as `persistence`."""
        return str(self.probe["kind"])

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> ProbeRow:
        """From a row of Parquet as plain values: `probe` is JSON text, `columns` a list."""
        columns: dict[str, Column] = {}
        for column in stored["columns"] or ():
            lists = (column[kind] for kind in ("floats", "ints", "texts"))
            columns[column["name"]] = next(values for values in lists if values is not None)
        return cls(
            stored["trial_id"],
            stored["probe_id"],
            json.loads(stored["probe"]),
            stored["outcome"],
            stored["error"],
            columns,
            stored["seconds"],
            stored["finished_at"],
        )
