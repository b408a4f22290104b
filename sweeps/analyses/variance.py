"""How much of the variance of attack success do architecture, trigger and regularizer explain?

A balanced analysis of variance of finding 1 of Truong et al. 2020 (arXiv 2004.11514), whose
figures were never published. Attack success of every poisoned model goes into one table of
architecture x trigger x regularizer x seed; where other settings vary too (the poison rate, the
weight decay, ...) there is a table for each combination of them, a *stratum*. A setting of which
every architecture has one value, such as a learning rate of its own, belongs to the architecture:
their effects cannot be separated. An axis with one
level has no effect and is left out. The sums of squares of all effects and interactions, of the
seeds as blocks and of the residual add up to the total. Levels are those that were swept, each
counting once: other levels would explain another share.

scale: `plain` takes fractions as they are; `logit` takes log((k + 1/2) / (n - k + 1/2)) of k
successes in n images, on which differences near 0 and 1 count as much as those in between.

Intervals resample seeds with replacement (a percentile bootstrap, all n^n resamples where they are
few).
A resample has fewer distinct seeds, so that the means of its cells vary more and small shares are
biased upwards; with three seeds intervals are too narrow. omega2 corrects the share itself for the
noise.

The schema of what `variance` returns:

    schema_version  1
    scale, confidence  as asked for
    strata          one entry a combination of the other settings:
        settings        dotted factor to value, of those that vary over strata
        factors         one entry an axis: {name, levels: labels}
        seeds           seeds that every cell has; the table is theirs
        cells, missing  cells of the table, and those among them without one finished model
        models, broken  models in the table, and those among them that collapsed or diverged: they
                        are in the table with the attack success that was counted on them
        mean            mean attack success, a fraction; null without a table
        total_ss        on the scale; null without a table or without variance
        terms           one entry an effect, an interaction, `seed` and `residual`:
                        {factors, ss, df, eta2, eta2_lower, eta2_upper, omega2}; nulls where a
                        figure does not exist. Empty without a table or without variance
        levels          one entry a level of a factor: {factor, level, mean: attack success,
                        lower, upper: t-interval over seeds, within [0, 1]}
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any, Literal, TypedDict

import numpy as np

from sweeps.analyses.trials import BySeed, trigger_label
from sweeps.ledger import flatten_factors
from sweeps.records.trial_row import TrialRow
from sweeps.region.labels import kind_label
from sweeps.statistics.anova import Anova, Floats, anova
from sweeps.statistics.equivalence import resamples
from sweeps.statistics.intervals import rate_interval

SCHEMA_VERSION = 1
FACTORS = ("architecture", "trigger", "regularizer")
#: Resamples of seeds for an interval, where there are too many to use them all.
RESAMPLES = 1000

Scale = Literal["plain", "logit"]
Levels = tuple[str, ...]
Cells = dict[Levels, BySeed]


class FactorEntry(TypedDict):
    """One axis of the table."""

    name: str
    levels: list[str]


class ShareEntry(TypedDict):
    """A share of the sum of squares, with its interval."""

    eta2: float
    eta2_lower: float | None
    eta2_upper: float | None


class TermEntry(ShareEntry):
    """One effect, interaction, `seed` or `residual`."""

    factors: list[str]
    ss: float
    df: int
    omega2: float | None


class Shares(TypedDict):
    """The analysis of one table."""

    total_ss: float | None
    terms: list[TermEntry]


class LevelEntry(TypedDict):
    """One level of a factor: mean attack success."""

    factor: str
    level: str
    mean: float | None
    lower: float | None
    upper: float | None


class StratumEntry(Shares):
    """One combination of the other settings."""

    settings: dict[str, Any]
    factors: list[FactorEntry]
    seeds: list[int]
    cells: int
    missing: int
    models: int
    broken: int
    mean: float | None
    levels: list[LevelEntry]


class Variance(TypedDict):
    """What `variance` returns."""

    schema_version: int
    scale: Scale
    confidence: float
    strata: list[StratumEntry]


def variance(
    rows: Iterable[TrialRow], scale: Scale = "plain", confidence: float = 0.95
) -> Variance:
    """Plain values; see the module for their schema."""
    strata: dict[str, Cells] = {}
    counted = [row for row in rows if _counts(row)]
    own = _of_architectures(counted)
    for row in counted:
        cells = strata.setdefault(_stratum(row.config, own), {})
        cells.setdefault(_levels(row.config), {})[row.seed] = row
    settings = [json.loads(name) for name in strata]
    varying = {k for one in settings for k in one if len({_text(s.get(k)) for s in settings}) > 1}
    found = [
        _stratum_entry({k: v for k, v in one.items() if k in varying}, cells, scale, confidence)
        for one, cells in zip(settings, strata.values(), strict=True)
    ]
    return {
        "schema_version": SCHEMA_VERSION,
        "scale": scale,
        "confidence": confidence,
        "strata": sorted(found, key=lambda entry: _order(entry["settings"])),
    }


def _counts(row: TrialRow) -> bool:
    return row.finished and not row.is_clean and row.attack_success is not None


def _of_architectures(rows: Sequence[TrialRow]) -> set[str]:
    """Settings of the defence of which every architecture has one value, or none."""
    values: dict[str, dict[str, set[str]]] = {}
    for row in rows:
        architecture = kind_label(row.config["defence"]["architecture"])
        for name, value in _settings(row.config).items():
            values.setdefault(name, {}).setdefault(architecture, set()).add(_text(value))
    return {
        name
        for name, by_architecture in values.items()
        if name.startswith("defence.") and all(len(some) == 1 for some in by_architecture.values())
    }


def _levels(config: Mapping[str, Any]) -> Levels:
    defence = config["defence"]
    regularizer = kind_label(defence.get("regularizer", {"kind": "none"}))
    return kind_label(defence["architecture"]), trigger_label(config["attack"]), regularizer


def _stratum(config: Mapping[str, Any], own: Container[str]) -> str:
    """All settings but the three factors and those that belong to the architecture, as text that
    tells strata apart."""
    return _text({k: v for k, v in _settings(config).items() if k not in own})


def _settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted factor to value, of all but the three factors."""
    defence = {k: v for k, v in config["defence"].items() if k not in FACTORS}
    parts = {"data": config["data"], "defence": defence, "training": config["training"]}
    flat = flatten_factors({**parts, "attack": None})
    return flat | {"attack.poison_rate": config["attack"]["poison_rate"]}


def _order(settings: Mapping[str, Any]) -> list[tuple[str, bool, float, str]]:
    """Sorts settings by name, numbers by their size and before texts."""
    return [
        (name, not number, value if number else 0.0, _text(value))
        for name, value in sorted(settings.items())
        for number in [isinstance(value, (int, float))]
    ]


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


# --- a stratum ---------------------------------------------------------------------------------


def _stratum_entry(
    settings: dict[str, Any], cells: Cells, scale: Scale, confidence: float
) -> StratumEntry:
    levels = [sorted({names[i] for names in cells}) for i in range(len(FACTORS))]
    kept = [i for i, some in enumerate(levels) if len(some) > 1]
    size = math.prod(len(some) for some in levels)
    whole = len(cells) == size
    seeds = sorted(set.intersection(*(set(by_seed) for by_seed in cells.values()))) if whole else []
    entry: StratumEntry = {
        "settings": settings,
        "factors": [{"name": FACTORS[i], "levels": levels[i]} for i in kept],
        "seeds": seeds,
        "cells": size,
        "missing": size - len(cells),
        "models": 0,
        "broken": 0,
        "mean": None,
        "total_ss": None,
        "terms": [],
        "levels": [],
    }
    if not seeds:
        return entry
    used = [by_seed[seed] for by_seed in cells.values() for seed in seeds]
    order = [cells[names] for names in itertools.product(*levels)]
    shape = (*(len(levels[i]) for i in kept), len(seeds))
    plain = _table(order, seeds, "plain").reshape(shape)
    table = plain if scale == "plain" else _table(order, seeds, scale).reshape(shape)
    names = [FACTORS[i] for i in kept]
    return {
        **entry,
        "models": len(used),
        "broken": sum(row.broken for row in used),
        "mean": float(plain.mean()),
        **_shares(table, names, confidence),
        "levels": [
            _level_entry(FACTORS[i], level, plain.take([place], axis), confidence)
            for axis, i in enumerate(kept)
            for place, level in enumerate(levels[i])
        ],
    }


def _table(cells: list[BySeed], seeds: list[int], scale: Scale) -> Floats:
    """(cells, seeds) of attack success on the scale."""
    return np.array([[_value(by_seed[seed], scale) for seed in seeds] for by_seed in cells])


def _value(row: TrialRow, scale: Scale) -> float:
    measured = row.measurements[0]
    if scale == "plain":
        return measured.success / measured.total
    return math.log((measured.success + 0.5) / (measured.total - measured.success + 0.5))


def _level_entry(factor: str, level: str, values: Floats, confidence: float) -> LevelEntry:
    """Of a level's values (..., seeds): the mean over cells of each seed, over seeds."""
    by_seed = values.reshape(-1, values.shape[-1]).mean(0)
    found = rate_interval(by_seed.tolist(), confidence)
    return {
        "factor": factor,
        "level": level,
        "mean": found.mean,
        "lower": found.lower,
        "upper": found.upper,
    }


def _shares(table: Floats, names: list[str], confidence: float) -> Shares:
    whole = anova(table)
    if whole is None:
        return {"total_ss": None, "terms": []}
    seeds = table.shape[-1]
    resampled: list[Anova] = []
    if seeds > 1:
        found = (anova(table[..., chosen]) for chosen in resamples(seeds, RESAMPLES))
        resampled = [one for one in found if one is not None]
    terms: list[TermEntry] = [
        {
            "factors": [names[f] for f in term.factors],
            "ss": term.ss,
            "df": term.df,
            **_share(term.eta2, [one.terms[i].eta2 for one in resampled], confidence),
            "omega2": term.omega2,
        }
        for i, term in enumerate(whole.terms)
    ]
    residual = whole.residual_ss / whole.total_ss
    rest = (
        ("seed", whole.seed.ss, whole.seed.df, whole.seed.eta2),
        ("residual", whole.residual_ss, whole.residual_df, residual),
    )
    terms += [
        {"factors": [name], "ss": ss, "df": df, **_share(eta2, [], confidence), "omega2": None}
        for name, ss, df, eta2 in rest
    ]
    return {"total_ss": whole.total_ss, "terms": terms}


def _share(eta2: float, resampled: list[float], confidence: float) -> ShareEntry:
    lower = upper = None
    if resampled:
        ends = [(1 - confidence) / 2, (1 + confidence) / 2]
        lower, upper = map(float, np.quantile(resampled, ends))
    return {"eta2": eta2, "eta2_lower": lower, "eta2_upper": upper}
