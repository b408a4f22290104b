"""What does each regularizer, at each strength, do to attack success and to clean accuracy?

Finding 3 of Truong et al. 2020 (arXiv 2004.11514), whose figures were never published. Every
model with a regularizer is compared with the model that has none and is equal in all else: the
architecture and the other settings of the defence, the attack, the data and the seed, which is to
say the same images, poison, order and initial weights. A *cell* is such a pair without its seed.
Differences are with minus without: below 0 the regularizer lowered attack success.

Intervals are Student's t over seeds. Over several cells a seed counts once, by the mean over these
cells, and only seeds that all cells have are used, since cells of a seed share images: the claim is
about new seeds and the same cells. Nothing is corrected for the number of comparisons.

A pair of which a model collapsed (one answer for nearly all images) or diverged says nothing about
a backdoor, whichever way its figure went: it is counted as broken and left out of all else.

The schema of what `effects` returns, fractions in [0, 1] and differences of them:

    schema_version  1
    confidence      as asked for
    regularizers    one entry a regularizer with its settings:
        regularizer     label
        strength        the name and value of its dial, {name, value}; null where it has none
        cells           one entry a cell: {label, attack, seeds, broken: pairs left out,
                        success: {without, with: means}, clean: {without, with: means},
                        success_change, clean_change: {n, mean, lower, upper}}; `success` and
                        `success_change` are null for clean models, whose attack is "clean"
        overall         over the poisoned cells: {cells, seeds: those that all cells have, broken,
                        success_change, clean_change: over these seeds,
                        pairs: {lower, higher, equal}: of attack success, one by one,
                        cells_lower, cells_higher: cells whose interval lies below or above 0}
    unpaired        models with a regularizer that had no finished partner without one
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict

from backdoor.settings.outside import TOGETHER
from backdoor.settings.registry import REGULARIZERS
from sweeps.analyses.trials import attack_label, clean_accuracy
from sweeps.ledger import CLEAN, flatten_factors
from sweeps.records.trial_row import TrialRow
from sweeps.region.labels import kind_label, point_labels
from sweeps.statistics.intervals import MeanIntervalEntry, mean_interval

SCHEMA_VERSION = 1
NONE = "none"
#: Means of models without the regularizer and with it.
Means = TypedDict("Means", {"without": float | None, "with": float | None})


class Strength(TypedDict):
    """The value of a regularizer's dial."""

    name: str
    value: float


class CellEntry(TypedDict):
    """One cell; `success` and its change are None for clean models."""

    label: str
    attack: str
    seeds: list[int]
    broken: int
    success: Means | None
    clean: Means
    success_change: MeanIntervalEntry | None
    clean_change: MeanIntervalEntry


class Signs(TypedDict):
    """How many pairs changed which way."""

    lower: int
    higher: int
    equal: int


class Overall(TypedDict):
    """Over the poisoned cells."""

    cells: int
    seeds: list[int]
    broken: int
    success_change: MeanIntervalEntry
    clean_change: MeanIntervalEntry
    pairs: Signs
    cells_lower: int
    cells_higher: int


class RegularizerEntry(TypedDict):
    """One regularizer with its settings."""

    regularizer: str
    strength: Strength | None
    cells: list[CellEntry]
    overall: Overall


class Effects(TypedDict):
    """What `effects` returns."""

    schema_version: int
    confidence: float
    regularizers: list[RegularizerEntry]
    unpaired: int


@dataclass(frozen=True)
class Pair:
    """Equal models with a regularizer and without. success: attack success of both, None where
    no image counts or the models are clean; clean: clean accuracy of both."""

    success: tuple[float, float] | None
    clean: tuple[float, float]


@dataclass
class Cell:
    """The pairs of one cell by seed, and how many were broken."""

    factors: dict[str, Any]
    attack: str
    pairs: dict[int, Pair] = field(default_factory=dict)
    broken: int = 0


def effects(rows: Iterable[TrialRow], confidence: float = 0.95) -> Effects:
    """Plain values; see the module for their schema."""
    finished = [row for row in rows if row.finished]
    without = {_all_else(row): row for row in finished if _kind(row) == NONE}
    grouped: dict[str, dict[str, Cell]] = {}
    unpaired = 0
    for row in finished:
        if _kind(row) == NONE:
            continue
        partner = without.get(_all_else(row))
        if partner is None:
            unpaired += 1
        else:
            cells = grouped.setdefault(_text(row.config["defence"]["regularizer"]), {})
            _add(cells.setdefault(_all_else(row, with_seed=False), _cell(row)), row, partner)
    found = [_entry(json.loads(name), cells, confidence) for name, cells in grouped.items()]
    return {
        "schema_version": SCHEMA_VERSION,
        "confidence": confidence,
        "regularizers": sorted(found, key=_order),
        "unpaired": unpaired,
    }


def _kind(row: TrialRow) -> str:
    return str(row.config["defence"].get("regularizer", {"kind": NONE})["kind"])


def _all_else(row: TrialRow, with_seed: bool = True) -> str:
    """All settings but the regularizer, as text."""
    config = dict(row.config)
    config["defence"] = {k: v for k, v in config["defence"].items() if k != "regularizer"}
    return _text(config if with_seed else {k: v for k, v in config.items() if k != "seed"})


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _cell(row: TrialRow) -> Cell:
    config = row.config
    defence = {k: v for k, v in config["defence"].items() if k != "regularizer"}
    flat = flatten_factors({"data": {}, "defence": defence, "training": {}, "attack": None})
    factors = {k: v for k, v in flat.items() if k.startswith("defence.")}
    return Cell(factors, CLEAN if config["attack"] is None else attack_label(config["attack"]))


def _add(cell: Cell, row: TrialRow, partner: TrialRow) -> None:
    if row.broken or partner.broken:
        cell.broken += 1
        return
    success = None
    if not row.is_clean:
        before, after = partner.attack_success, row.attack_success
        success = None if before is None or after is None else (before, after)
    clean = (clean_accuracy(partner), clean_accuracy(row))
    cell.pairs[row.seed] = Pair(success, clean)


# --- entries -----------------------------------------------------------------------------------


def _entry(
    regularizer: Mapping[str, Any], cells: Mapping[str, Cell], confidence: float
) -> RegularizerEntry:
    some = list(cells.values())
    labels = point_labels([cell.factors for cell in some])
    entries = [
        _cell_entry(cell, label, confidence) for cell, label in zip(some, labels, strict=True)
    ]
    return {
        "regularizer": kind_label(regularizer),
        "strength": strength_of(regularizer),
        "cells": sorted(entries, key=lambda e: (e["label"], e["attack"] == CLEAN, e["attack"])),
        "overall": _overall(some, entries, confidence),
    }


def strength_of(regularizer: Mapping[str, Any]) -> Strength | None:
    """The name and value of a regularizer's dial; None of several at once or without one."""
    kind = regularizer["kind"]
    if TOGETHER in kind or kind not in REGULARIZERS.kinds():
        return None
    name = getattr(REGULARIZERS.find(kind), "dial", "strength")
    return {"name": name, "value": regularizer[name]} if name in regularizer else None


def _order(entry: RegularizerEntry) -> tuple[str, float, str]:
    strength = entry["strength"]
    kind = entry["regularizer"].partition("(")[0]
    return (
        kind,
        float("-inf") if strength is None else float(strength["value"]),
        entry["regularizer"],
    )


def _cell_entry(cell: Cell, label: str, confidence: float) -> CellEntry:
    pairs = list(cell.pairs.values())
    success = [pair.success for pair in pairs if pair.success is not None]
    poisoned = cell.attack != CLEAN
    return {
        "label": label,
        "attack": cell.attack,
        "seeds": sorted(cell.pairs),
        "broken": cell.broken,
        "success": _means(success) if poisoned else None,
        "clean": _means([pair.clean for pair in pairs]),
        "success_change": _change(success, confidence) if poisoned else None,
        "clean_change": _change([pair.clean for pair in pairs], confidence),
    }


def _means(pairs: Sequence[tuple[float, float]]) -> Means:
    without, having = (_mean([p[i] for p in pairs]) if pairs else None for i in (0, 1))
    return {"without": without, "with": having}


def _change(pairs: Sequence[tuple[float, float]], confidence: float) -> MeanIntervalEntry:
    return mean_interval([after - before for before, after in pairs], confidence).plain()


def _overall(cells: Sequence[Cell], entries: Sequence[CellEntry], confidence: float) -> Overall:
    """Over the poisoned cells that have a pair at all; see the schema."""
    used = [
        {seed: pair for seed, pair in cell.pairs.items() if pair.success is not None}
        for cell in cells
        if cell.attack != CLEAN
    ]
    used = [pairs for pairs in used if pairs]
    seeds = sorted(set.intersection(*map(set, used))) if used else []
    changed = [_change_of(p.success) for pairs in used for p in pairs.values()]
    changes = [e["success_change"] for e in entries if e["success_change"] is not None]
    return {
        "cells": len(used),
        "seeds": seeds,
        "broken": sum(cell.broken for cell in cells if cell.attack != CLEAN),
        "success_change": mean_interval(
            [_mean([_change_of(pairs[s].success) for pairs in used]) for s in seeds], confidence
        ).plain(),
        "clean_change": mean_interval(
            [_mean([_change_of(pairs[s].clean) for pairs in used]) for s in seeds], confidence
        ).plain(),
        "pairs": {
            "lower": sum(d < 0 for d in changed),
            "higher": sum(d > 0 for d in changed),
            "equal": sum(d == 0 for d in changed),
        },
        "cells_lower": sum(c["upper"] is not None and c["upper"] < 0 for c in changes),
        "cells_higher": sum(c["lower"] is not None and c["lower"] > 0 for c in changes),
    }


def _change_of(pair: tuple[float, float] | None) -> float:
    assert pair is not None
    return pair[1] - pair[0]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
