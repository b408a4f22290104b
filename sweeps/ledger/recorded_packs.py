"""What the latest packs of a ledger took, read in one pass over its columns."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from sweeps.ledger.rows import Rows
from sweeps.records.trial_row import FINISHED

#: So many of the latest packs are read: what a sweep trains now is like these, and of 200,000 rows
#: a tenth of a second is spent on them.
MOST = 2000


@dataclass(frozen=True)
class RecordedPack:
    """defence: of one of its trials, as in a canonical form. cpus, gpus: what it held. seconds: of
    all its trials together."""

    defence: dict[str, Any]
    cpus: float
    gpus: float
    trials: int
    seconds: float


def recorded_packs(table: Rows, most: int = MOST) -> Iterator[RecordedPack]:
    """The latest packs of which all rows are finished trials of this sweep, the oldest first.

    table: rows of the ledger. Rows that other sweeps trained are left out, since their machines may
    be others, and so are packs of which a trial failed or was stopped early, or whose seconds are
    not known.
    """
    if not table.num_rows:
        return
    rows = table.select(["pack_id", "seconds", "finished_at", "cpus", "gpus"])
    usable = pc.and_(pc.equal(table["status"], FINISHED), pc.is_finite(rows["seconds"]))
    rows = rows.append_column("usable", pc.fill_null(usable, False))
    rows = rows.append_column("row", pa.array(range(rows.num_rows), pa.int64()))
    rows = rows.filter(pc.and_(pc.is_null(table["reused_from"]), pc.is_valid(table["pack_id"])))
    packs = rows.group_by("pack_id").aggregate(
        [("row", "min"), ("row", "count"), ("seconds", "sum"), ("finished_at", "max"),
         ("usable", "min"), ("cpus", "max"), ("gpus", "max")]
    )  # fmt: skip
    packs = packs.filter(packs["usable_min"]).sort_by("finished_at_max")
    packs = packs.slice(max(0, packs.num_rows - most))
    configs = table["config"].take(packs["row_min"]).to_pylist()
    for pack, config in zip(packs.to_pylist(), configs, strict=True):
        yield RecordedPack(
            json.loads(config)["defence"],
            math.nan if pack["cpus_max"] is None else pack["cpus_max"],
            math.nan if pack["gpus_max"] is None else pack["gpus_max"],
            pack["row_count"],
            pack["seconds_sum"],
        )
