"""What one probe found on the trained model of one trial."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypedDict

#: Values of one column: figures, counts, or texts.
Column = list[float] | list[int] | list[str]


class ProbeDocument(TypedDict):
    """A `ProbeRow` as JSON has it: NaN is null."""

    probe: Mapping[str, Any]
    probe_id: str
    outcome: str
    error: str | None
    seconds: float | None
    columns: dict[str, list[float | int | str | None]]


@dataclass(frozen=True)
class ProbeRow:
    """One probe on one trial's model.

    probe: its kind and settings. outcome: found, nothing (it does not suit this kind of model) or
    failed, with `error`. columns: name to values, all of one length; a row of them is a point that
    was measured, such as an epoch or an image. seconds: what it took. finished_at: seconds since
    1970.
    """

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

    def plain(self) -> ProbeDocument:
        """The result as JSON has it, without what names the trial."""
        return {
            "probe": self.probe,
            "probe_id": self.probe_id,
            "outcome": self.outcome,
            "error": self.error,
            "seconds": self.seconds,
            "columns": {
                name: [None if value != value else value for value in values]
                for name, values in self.columns.items()
            },
        }

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> ProbeRow:
        """From a row of Parquet as plain values: `probe` is JSON text, `columns` a list."""
        columns: dict[str, Column] = {}
        for column in stored["columns"] or ():
            lists = (column[kind] for kind in ("floats", "ints", "texts"))
            columns[column["name"]] = next((values for values in lists if values is not None), [])
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
