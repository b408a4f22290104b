"""A results folder as tables, for notebooks, spreadsheets and reports."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from backdoor.errors import Mistake, UserError
from backdoor.settings.schema import suggest
from sweeps.ledger.flat import Measures, flat_rows, flat_table
from sweeps.ledger.flat_probe_results import ProbeTable, flat_probe_results, probe_tables
from sweeps.ledger.ledger import Ledger
from sweeps.storage.paths import SweepPaths, open_results, read_sweep

#: What tables are made of: a results folder, or its ledger where that is open already, which then
#: need not be read again.
Source = Path | str | Ledger


def load_results(folder: Source, probe: str | None = None) -> pa.Table:
    """A sweep as one flat table, one row for each measurement; `.to_pandas()` gives a data frame.

    Columns: `trial_id`, `defence_id`, `attack_id`, `measure_id`, `seed`, `status`, the factors by
    dotted name, counts, and the fractions `clean_accuracy`, `validation_accuracy`,
    `attack_success` and `robust_accuracy` in [0, 1]. A clean baseline has a row for every trigger
    that it was measured with, at `attack.poison_rate` 0; `attack.trigger` then names the trigger
    measured. A failed or stopped trial has one row, without figures; `cause`, `failed_at`, `host`
    and `node_id` say why and where one failed. A factor of which some values are numbers and others
    text (`gamma: [scale, 0.1]`) is a column of text.

    With `probe`, the name of a kind or `all`, what it found instead, one row for each measured
    point: `trial_id`, the factors, `probe`, its settings as `probe.NAME`, the probe's own columns,
    and `baseline_NAME`, the same figure of the clean model of equal defence point and seed.

    folder: the results folder, or its open ledger.

    Raises:
        UserError: the folder holds no sweep, or there is no such probe.
    """
    ledger, measures = _open(folder)
    if probe is None:
        return flat_table([row for trial in ledger.trials() for row in flat_rows(trial, measures)])
    results = ledger.probe_results.rows()
    if probe != "all":
        _check_probe(probe, {result.kind for result in results})
        results = [result for result in results if result.kind == probe]
    return flat_table(list(flat_probe_results(ledger.trials(), results, measures)))


def _check_probe(probe: str, found: set[str]) -> None:
    """`UserError` for what is no kind: an empty table would look like an answer."""
    if probe in found:
        return
    from backdoor.settings.registry import PROBES  # loads torch

    known = found | set(PROBES.kinds())
    if probe not in known and ":" not in str(probe):
        rule = "must be `all` or the name of a probe"
        raise UserError(Mistake("probe", rule, probe, suggest(probe, known)))


def load_probe_results(folder: Source) -> list[ProbeTable]:
    """What each probe of a sweep found, with what there is to draw.

    folder: the results folder, or its open ledger.
    """
    ledger, measures = _open(folder)
    results = ledger.probe_results.rows()
    return probe_tables(ledger.trials(), results, measures) if results else []


def _open(folder: Source) -> tuple[Ledger, Measures]:
    if isinstance(folder, Ledger):
        ledger, paths = folder, SweepPaths(folder.folder.parent)
    else:
        paths = open_results(folder)
        ledger = Ledger(paths.ledger)
    return ledger, read_sweep(paths).get("measures", {})
