"""Probe results as a flat table, one row for each measured point, beside the clean baseline's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backdoor.result import FAILED
from sweeps.ledger.flat import FlatRow, Measures, flatten_factors, measured_factors
from sweeps.ledger.rows import canonical_json
from sweeps.records.probe_row import ProbeRow
from sweeps.records.trial_row import TrialRow

#: One row of a probe's columns.
Values = dict[str, Any]


def flat_probe_results(
    trials: Iterable[TrialRow], results: Iterable[ProbeRow], measures: Measures
) -> Iterator[FlatRow]:
    """The rows of all probe results that found something.

    Beside every float column of a poisoned model stands `baseline_...`: the same of the clean
    model of equal defence point and seed, in the row of its result that has the same texts and the
    same first column; null where it has none.
    """
    by_id = {trial.trial_id: trial for trial in trials}
    known = [(by_id[r.trial_id], r) for r in results if r.trial_id in by_id and r.columns]
    baselines = {
        _partner(trial, result): {_place(row): row for row in _rows(result)}
        for trial, result in known
        if trial.is_clean
    }
    for trial, result in known:
        clean = {} if trial.is_clean else baselines.get(_partner(trial, result), {})
        for row in _rows(result):
            beside = _baseline(result, clean.get(_place(row), {}))
            yield _factors(trial, result, row, measures) | row | beside


def _partner(trial: TrialRow, result: ProbeRow) -> tuple[str, int, str]:
    """What a poisoned model has in common with its clean baseline."""
    return trial.defence_id, trial.seed, result.probe_id


def _rows(result: ProbeRow) -> Iterator[Values]:
    for values in zip(*result.columns.values(), strict=True):
        yield dict(zip(result.columns, values, strict=True))


def _place(row: Values) -> tuple[Any, ...]:
    """What tells the rows of a result apart: its first column and its texts."""
    first = next(iter(row.values()))
    return (first, *(value for value in row.values() if isinstance(value, str)))


def _baseline(result: ProbeRow, clean: Mapping[str, Any]) -> Values:
    """The clean model's figures under their names here; the first column is the place."""
    _, *others = result.columns.items()
    floats = [name for name, values in others if isinstance(values[0], float)]
    return {f"baseline_{name}": clean.get(name) for name in floats}


def _factors(trial: TrialRow, result: ProbeRow, row: Values, measures: Measures) -> FlatRow:
    """Which trial and probe, with the factors; a row's `measure_id` names a baseline's trigger."""
    factors = flatten_factors(trial.config)
    if (measure := measures.get(row.get("measure_id", ""))) is not None:
        factors |= measured_factors(measure, factors["attack.poison_rate"])
    return {
        "trial_id": trial.trial_id,
        "defence_id": trial.defence_id,
        "attack_id": trial.attack_id,
        "seed": trial.seed,
        **factors,
        "probe": result.kind,
        "probe_id": result.probe_id,
        **{f"probe.{name}": value for name, value in result.probe.items() if name != "kind"},
    }


# --- for pictures and tables -------------------------------------------------------------------


@dataclass(frozen=True)
class ProbeTable:
    """What one probe, with its settings, found in a sweep.

    probe: kind and settings. rows: as of `load_results` with this probe. x: the column to draw
    against, the first one where some result has several rows, else None. figures: its other columns
    of fractional numbers; whole numbers are counts. failed: error to the number of trials with it.
    """

    probe: dict[str, Any]
    x: str | None
    figures: tuple[str, ...]
    rows: list[FlatRow]
    failed: dict[str, int]


def probe_tables(
    trials: Iterable[TrialRow], results: Iterable[ProbeRow], measures: Measures
) -> list[ProbeTable]:
    """A table for each probe that has results, in the order of their kinds and settings."""
    known = list(trials)
    by_probe: dict[tuple[str, str], list[ProbeRow]] = {}
    for result in results:
        key = result.kind, canonical_json(dict(result.probe))
        by_probe.setdefault(key, []).append(result)
    return [_table_of(known, by_probe[key], measures) for key in sorted(by_probe)]


def _table_of(
    trials: Sequence[TrialRow], results: Sequence[ProbeRow], measures: Measures
) -> ProbeTable:
    fractional: dict[str, bool] = {}  # column → whether it holds fractional numbers
    several = False
    for result in results:
        several |= any(len(values) > 1 for values in result.columns.values())
        for name, values in result.columns.items():
            fractional[name] = fractional.get(name, True) and isinstance(values[0], float)
    x = next(iter(fractional)) if several else None
    figures = tuple(name for name, is_float in fractional.items() if is_float and name != x)
    failed = Counter(str(result.error) for result in results if result.outcome == FAILED)
    rows = list(flat_probe_results(trials, results, measures))
    return ProbeTable(dict(results[0].probe), x, figures, rows, dict(failed.most_common()))
