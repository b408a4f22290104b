"""Studies as a flat table, a row a point of a study, with the clean baseline's beside it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sweeps.ledger.flat import flatten_factors
from sweeps.ledger.probe_results import columns_of

Row = dict[str, Any]
CLEAN = "clean"


def flat_probe_results(
    trials: Iterable[Mapping[str, Any]], studies: Iterable[Mapping[str, Any]],
    measured: Mapping[str, Any],
) -> Iterator[Row]:  # fmt: skip
    """The rows of all studies that found something.

    trials: rows of the ledger, `config` as plain values. studies: rows of `studies.SCHEMA`.
    measured: what sweep.json says of measures, by id. Beside every float column of a poisoned
    model stands `baseline_...`: the same of the clean model of equal defence point and seed, in
    the row of its study that has the same texts and the same first column; null where it has none.
    """
    by_id = {trial["trial_id"]: trial for trial in trials}
    known = [study for study in studies if study["trial_id"] in by_id and study["columns"]]
    baselines = {
        _pair(by_id[study["trial_id"]], study): _by_place(columns_of(study))
        for study in known
        if by_id[study["trial_id"]]["attack_id"] == CLEAN
    }
    for study in known:
        trial, columns = by_id[study["trial_id"]], columns_of(study)
        beside = baselines.get(_pair(trial, study), {})
        for row in _rows(columns):
            clean = {} if trial["attack_id"] == CLEAN else beside.get(_place(columns, row), {})
            yield _what(trial, study, row, measured) | row | _baseline(columns, clean)


def _pair(trial: Mapping[str, Any], study: Mapping[str, Any]) -> tuple[Any, ...]:
    return trial["defence_id"], trial["seed"], study["probe_id"]


def _rows(columns: Mapping[str, Sequence[Any]]) -> Iterator[Row]:
    for values in zip(*columns.values(), strict=True):
        yield dict(zip(columns, values, strict=True))


def _place(columns: Mapping[str, Sequence[Any]], row: Row) -> tuple[Any, ...]:
    """What tells the rows of a study apart: its first column and its texts."""
    first = next(iter(columns))
    return (row[first], *(value for value in row.values() if isinstance(value, str)))


def _by_place(columns: Mapping[str, Sequence[Any]]) -> dict[tuple[Any, ...], Row]:
    return {_place(columns, row): row for row in _rows(columns)}


def _baseline(columns: Mapping[str, Sequence[Any]], clean: Mapping[str, Any]) -> Row:
    """The clean model's figures under their names here; its first column is the place."""
    first = next(iter(columns))
    floats = [name for name, values in columns.items() if isinstance(values[0], float)]
    return {f"baseline_{name}": clean.get(name) for name in floats if name != first}


def _what(
    trial: Mapping[str, Any], study: Mapping[str, Any], row: Row, measured: Mapping[str, Any]
) -> Row:
    """Which trial and probe, with the factors; a row's `measure_id` names a baseline's trigger."""
    probe = json.loads(study["probe"])
    keys = ("trial_id", "defence_id", "attack_id", "seed")
    factors = flatten_factors(trial["config"])
    if (measure := measured.get(row.get("measure_id", ""))) is not None:
        attack = {**measure, "poison_rate": factors["attack.poison_rate"]}
        parts = {"data": {}, "defence": {}, "training": {}, "attack": attack}
        factors |= flatten_factors(parts)
    names = {"probe": probe["kind"], "probe_id": study["probe_id"]}
    settings = {f"probe.{name}": value for name, value in probe.items() if name != "kind"}
    return {key: trial[key] for key in keys} | factors | names | settings


# --- for pictures and tables -------------------------------------------------------------------


@dataclass(frozen=True)
class ProbeTable:
    """What one probe, with its settings, found in a sweep.

    probe: kind and settings. rows: as of `load_results` with this probe. x: the column to draw
    against, the first one where some study has several rows, else None. figures: its other columns
    of fractional numbers; whole numbers are counts. failed: error to how many trials it cost.
    """

    probe: dict[str, Any]
    x: str | None
    figures: tuple[str, ...]
    rows: list[Row]
    failed: dict[str, int]


def probe_tables(
    trials: Iterable[Mapping[str, Any]], studies: Sequence[Mapping[str, Any]],
    measured: Mapping[str, Any],
) -> list[ProbeTable]:  # fmt: skip
    """A table for each probe that studied anything, in the order of their names."""
    known = list(trials)
    by_probe: dict[str, list[Mapping[str, Any]]] = {}
    for study in studies:
        by_probe.setdefault(study["probe"], []).append(study)
    return [
        _table_of(json.loads(probe), known, some, measured)
        for probe, some in sorted(by_probe.items(), key=lambda item: (kind_of(item[0]), item[0]))
    ]


def kind_of(probe: str) -> str:
    """The kind of a probe's identity in JSON."""
    return str(json.loads(probe)["kind"])


def _table_of(
    probe: dict[str, Any], trials: Iterable[Mapping[str, Any]],
    studies: Sequence[Mapping[str, Any]], measured: Mapping[str, Any],
) -> ProbeTable:  # fmt: skip
    names: dict[str, bool] = {}  # column to whether it holds fractional numbers
    several = False
    for study in studies:
        columns = columns_of(study)
        several |= any(len(values) > 1 for values in columns.values())
        for name, values in columns.items():
            names[name] = names.get(name, True) and isinstance(values[0], float)
    x = next(iter(names)) if several else None
    figures = tuple(name for name, fractional in names.items() if fractional and name != x)
    failed = Counter(study["error"] for study in studies if study["outcome"] == "failed")
    rows = list(flat_probe_results(trials, studies, measured))
    return ProbeTable(probe, x, figures, rows, dict(failed.most_common()))
