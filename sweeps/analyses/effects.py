"""What does each regularizer, at each strength, do to attack success and to clean accuracy?

Finding 3 of Truong et al. 2020 (arXiv 2004.11514), whose figures were never published. Every
model with a regularizer is compared with the model that has none and is equal in all else: the
architecture and the other settings of the defence, the attack, the data and the seed, which is to
say the same images, poison, order and initial weights. A *cell* is such a pair without its seed.
Differences are with minus without: below 0 the regularizer lowered attack success.

Intervals are Student's t over seeds. Over several cells a seed counts once, by the mean over the
cells that have all seeds in common, since cells of a seed share images: it is a claim about new
seeds and these very cells. Nothing is corrected for the number of comparisons.

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
from typing import Any

from backdoor.settings.registry import REGULARIZERS, TOGETHER
from sweeps.analyses.trials import CLEAN, Row, attack_label, clean_accuracy, is_broken
from sweeps.ledger import FINISHED, flatten_factors
from sweeps.region.labels import kind_label, point_labels
from sweeps.statistics.intervals import mean_interval

SCHEMA_VERSION = 1
NONE = "none"
Entry = dict[str, Any]


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


def effects(rows: Iterable[Row], confidence: float = 0.95) -> Entry:
    """Rows of `Ledger.rows` to plain values; see the module for their schema."""
    finished = [row for row in rows if row["status"] == FINISHED]
    without = {_else(row): row for row in finished if _kind(row) == NONE}
    grouped: dict[str, dict[str, Cell]] = {}
    unpaired = 0
    for row in finished:
        if _kind(row) == NONE:
            continue
        partner = without.get(_else(row))
        if partner is None:
            unpaired += 1
        else:
            cells = grouped.setdefault(_text(row["config"]["defence"]["regularizer"]), {})
            _add(cells.setdefault(_else(row, with_seed=False), _cell(row)), row, partner)
    found = [_entry(json.loads(name), cells, confidence) for name, cells in grouped.items()]
    return {
        "schema_version": SCHEMA_VERSION,
        "confidence": confidence,
        "regularizers": sorted(found, key=_order),
        "unpaired": unpaired,
    }


def _kind(row: Row) -> str:
    return str(row["config"]["defence"].get("regularizer", {"kind": NONE})["kind"])


def _else(row: Row, with_seed: bool = True) -> str:
    """All that is set beside the regularizer, as text."""
    config = dict(row["config"])
    config["defence"] = {k: v for k, v in config["defence"].items() if k != "regularizer"}
    return _text(config if with_seed else {k: v for k, v in config.items() if k != "seed"})


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _cell(row: Row) -> Cell:
    config = row["config"]
    defence = {k: v for k, v in config["defence"].items() if k != "regularizer"}
    flat = flatten_factors({"data": {}, "defence": defence, "training": {}, "attack": None})
    factors = {k: v for k, v in flat.items() if k.startswith("defence.")}
    return Cell(factors, CLEAN if config["attack"] is None else attack_label(config["attack"]))


def _add(cell: Cell, row: Row, partner: Row) -> None:
    if is_broken(row) or is_broken(partner):
        cell.broken += 1
        return
    success = None
    if row["attack_id"] != CLEAN:
        before, after = _success(partner), _success(row)
        success = None if before is None or after is None else (before, after)
    clean = (clean_accuracy(partner), clean_accuracy(row))
    cell.pairs[row["seed"]] = Pair(success, clean)


def _success(row: Row) -> float | None:
    first = next(iter(row["measurements"]), None)
    return first["success"] / first["total"] if first is not None and first["total"] else None


# --- entries -----------------------------------------------------------------------------------


def _entry(regularizer: Mapping[str, Any], cells: Mapping[str, Cell], confidence: float) -> Entry:
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


def strength_of(regularizer: Mapping[str, Any]) -> Entry | None:
    """The name and value of a regularizer's dial; None of several at once or without one."""
    kind = regularizer["kind"]
    if TOGETHER in kind or kind not in REGULARIZERS.kinds():
        return None
    name = getattr(REGULARIZERS.find(kind), "dial", "strength")
    return {"name": name, "value": regularizer[name]} if name in regularizer else None


def _order(entry: Entry) -> tuple[str, float, str]:
    strength = entry["strength"]
    kind = entry["regularizer"].partition("(")[0]
    return (
        kind,
        float("-inf") if strength is None else float(strength["value"]),
        entry["regularizer"],
    )


def _cell_entry(cell: Cell, label: str, confidence: float) -> Entry:
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


def _means(pairs: Sequence[tuple[float, float]]) -> Entry:
    names = ("without", "with")
    return {
        n: sum(p[i] for p in pairs) / len(pairs) if pairs else None for i, n in enumerate(names)
    }


def _change(pairs: Sequence[tuple[float, float]], confidence: float) -> Entry:
    return mean_interval([after - before for before, after in pairs], confidence).plain()


def _overall(cells: Sequence[Cell], entries: Sequence[Entry], confidence: float) -> Entry:
    """Over the poisoned cells that have a pair at all; see the schema."""
    used = [
        {seed: pair for seed, pair in cell.pairs.items() if pair.success is not None}
        for cell in cells
        if cell.attack != CLEAN
    ]
    used = [pairs for pairs in used if pairs]
    seeds = sorted(set.intersection(*map(set, used))) if used else []
    moved = [p.success[1] - p.success[0] for pairs in used for p in pairs.values() if p.success]
    changes = [e["success_change"] for e in entries if e["success_change"] is not None]
    return {
        "cells": len(used),
        "seeds": seeds,
        "broken": sum(cell.broken for cell in cells if cell.attack != CLEAN),
        "success_change": mean_interval(
            [_mean([_moved(pairs[s].success) for pairs in used]) for s in seeds], confidence
        ).plain(),
        "clean_change": mean_interval(
            [_mean([_moved(pairs[s].clean) for pairs in used]) for s in seeds], confidence
        ).plain(),
        "pairs": {
            "lower": sum(d < 0 for d in moved),
            "higher": sum(d > 0 for d in moved),
            "equal": sum(d == 0 for d in moved),
        },
        "cells_lower": sum(c["upper"] is not None and c["upper"] < 0 for c in changes),
        "cells_higher": sum(c["lower"] is not None and c["lower"] > 0 for c in changes),
    }


def _moved(pair: tuple[float, float] | None) -> float:
    assert pair is not None
    return pair[1] - pair[0]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
