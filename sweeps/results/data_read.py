"""What was read of a spec's data."""

from __future__ import annotations

from typing import cast

from backdoor.datasets.source import load_source
from backdoor.datasets.summary import DataSummary, summarize
from sweeps.records.data_entry import DataEntry
from sweeps.spec import SweepSpec


def data_read(spec: SweepSpec) -> DataSummary:
    """The data set that all trials share, split for the first seed."""
    return summarize(spec.data, load_source(spec.data, spec.seeds), spec.seeds[0])


def data_entry(spec: SweepSpec) -> DataEntry:
    """The same as sweep.json has it."""
    return cast(DataEntry, data_read(spec).as_json())
