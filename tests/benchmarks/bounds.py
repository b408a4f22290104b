"""How often bounds over seeds hold, and what they prove: simulated, old bounds beside new ones.

    OPENBLAS_NUM_THREADS=1 python tests/benchmarks/bounds.py [--only coverage,modes,alarms] [--draws 2000]

Old: Student's t on logits with binomial noise as the least spread, for seeds of any kind. New:
`sweeps.statistics.seed_bounds`, for seeds of any distribution where `sweeps.statistics.bimodality`
finds two modes in a sweep. Prints tables and criteria, and ends with exit code 1 where a criterion is missed.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from itertools import product

import numpy as np
from figures import make_command, markdown, record
from scipy.special import expit, logit, stdtrit
from seed_families import SHARES, SPREADS, Family, one_mode, two_modes

from sweeps.statistics.bimodality import CRITICAL, above_falling, bimodality
from sweeps.statistics.seed_bounds import FEWEST_BIMODAL, Sample, rates_of

CONFIDENCE, LEAST = 0.95, 0.93
SEEDS, IMAGES, CELLS = (3, 5, 10, 20), (100, 450, 5000), (36, 216)
#: The threshold that points are proven to lie below, and true means whose power is shown.
THRESHOLD = 0.2
LEVELS = {"truth to 0.06": (0.0, 0.06), "truth 0.06 to 0.15": (0.06, 0.15)}
#: Sweeps a row, for power of the test and for its false alarms.
SWEEPS = 200


def old(hits: np.ndarray, images: int) -> tuple[np.ndarray, np.ndarray]:
    """Student's t on logits, with the mean binomial noise as the least spread."""
    inside = (hits + 0.5) / (images + 1)
    logits, noise = logit(inside), 1 / ((images + 1) * inside * (1 - inside))
    variance = np.maximum(logits.var(axis=1, ddof=1), noise.mean(axis=1))
    seeds = hits.shape[1]
    reach = stdtrit(seeds - 1, CONFIDENCE) * np.sqrt(variance / seeds)
    centre = logits.mean(axis=1)
    lower = np.where((hits == 0).all(axis=1), 0, expit(centre - reach))
    return lower, np.where((hits == images).all(axis=1), 1, expit(centre + reach))


def new(hits: np.ndarray, images: int, bimodal: bool = False) -> tuple[np.ndarray, ...]:
    """Lower and upper bounds, and whether they may prove that a point is inside."""
    sample = Sample.of(hits, np.full_like(hits, images))
    found = rates_of(sample, CONFIDENCE, bimodal)
    return tuple(np.array([(rate.lower, rate.upper, rate.firm) for rate in found]).T)


def counted(family: Family, shape: tuple[int, ...], images: int, seed: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return generator.binomial(images, family.draw(generator, shape)).astype(np.float64)


def by_kind() -> dict[str, list[Family]]:
    kinds = defaultdict(list)
    for family in one_mode():
        kinds[family.kind].append(family)
    return kinds


# --- coverage and power, one mode ---------------------------------------------------------------


def coverage(draws: int):
    """One row for a kind of family, a number of images and of seeds."""
    cells, power, least = [], [], 1.0
    for (kind, own), images, seeds in product(by_kind().items(), IMAGES, SEEDS):
        row = {"seeds": kind, "families": len(own), "images": images, "number": seeds}
        both = [_both(family, images, seeds, draws, at) for at, family in enumerate(own)]
        before, now = ([each[side] for each in both] for side in (0, 1))
        cells.append({**row, **_covers("old", before), **_covers("new", now)})
        power.append({**row, **_proves("old", before), **_proves("new", now)})
        least = min(least, cells[-1]["new: upper"], cells[-1]["new: lower"])
    return {"coverage": cells, "power": power}, {
        f"coverage of the new bounds, one mode, at least {LEAST}": (least, least >= LEAST)
    }


def _both(family: Family, images: int, seeds: int, draws: int, seed: int):
    """(truth, lower, upper) by old bounds and by new ones, from equal draws."""
    hits = counted(family, (draws, seeds), images, seed)
    return [(family.mean, *bounds(hits, images)[:2]) for bounds in (old, new)]


def _covers(name: str, found) -> dict[str, float]:
    """The least coverage, and how far the upper bound lies above the truth, by median."""
    upper = [float((high >= truth).mean()) for truth, _, high in found]
    lower = [float((low <= truth).mean()) for truth, low, _ in found]
    return {
        f"{name}: upper": min(upper),
        f"{name}: lower": min(lower),
        f"{name}: below {LEAST}": sum(share < LEAST for share in upper + lower),
        f"{name}: width": float(np.median([np.median(high) - truth for truth, _, high in found])),
    }


def _proves(side: str, found) -> dict[str, object]:
    """How often true points are proven to lie below the threshold, by their true mean."""
    shown = {}
    for name, (low, high) in LEVELS.items():
        own = [(upper <= THRESHOLD).mean() for truth, _, upper in found if low < truth <= high]
        shown[f"{side}: {name}"] = float(np.mean(own)) if own else "none"
    return shown


# --- two modes, whole sweeps --------------------------------------------------------------------


def modes(draws: int):
    """One row for a share of seeds that take, a number of seeds, and how they take."""
    rows = []
    for together, seeds, share in product((False, True), SEEDS, SHARES):
        row = {"seeds take": "together" if together else "by cell", "number": seeds, "share": share}
        rows.append({**row, **_sweeps(share, seeds, together, draws)})
    # Seeds that take together are one draw of `number` seeds a sweep: the test seldom fires there.
    least = min(
        row["coverage where it fired"]
        for row in rows
        if row["number"] >= FEWEST_BIMODAL and row["seeds take"] == "by cell"
    )
    wrong = sum(row["called IN where it fired"] for row in rows if row["number"] < FEWEST_BIMODAL)
    return {"two modes": rows}, {
        f"coverage of the new bounds, two modes, {FEWEST_BIMODAL} seeds, at least {LEAST}": (
            least,
            least >= LEAST,
        ),
        f"called IN with fewer than {FEWEST_BIMODAL} seeds of two modes": (wrong, wrong == 0),
    }


def _sweeps(share: float, seeds: int, together: bool, draws: int) -> dict[str, object]:
    """Sweeps of two sizes and two spreads. Of seeds that take together one cell of each sweep
    counts, since its cells miss together."""
    fired, covered, called, drawn = {}, {True: [], False: []}, 0, {True: 0, False: 0}
    for number, (cells, spread) in enumerate(product(CELLS, SPREADS)):
        family, alarms, kept = two_modes(share, spread, together), [], {True: [], False: []}
        for seed in range(SWEEPS):
            hits = counted(family, (cells, seeds), 450, seed + SWEEPS * number)
            alarms.append(bimodality(hits, np.full_like(hits, 450)).fired)
            kept[alarms[-1]].append(hits[:1] if together else hits)
        fired.setdefault(cells, []).append(np.mean(alarms))
        for bimodal, some in kept.items():
            if some:
                hits = np.concatenate(some)[: draws // 4 + 1]
                lower, upper, firm = new(hits, 450, bimodal)
                covered[bimodal] += [upper >= family.mean, lower <= family.mean]
                drawn[bimodal] += len(hits)
                called += int(bimodal and (firm.astype(bool) & (upper <= THRESHOLD)).sum())
    return {
        **{f"fires, {cells} cells": float(np.mean(shares)) for cells, shares in fired.items()},
        "drawn where it fired": drawn[True],
        "coverage where it fired": _least(covered[True]),
        "called IN where it fired": called,
        "drawn where it did not": drawn[False],
        "coverage where it did not": _least(covered[False]),
    }


def _least(covered) -> float | str:
    """The lesser coverage of upper and of lower bounds."""
    if not covered:
        return "none"
    return float(min(np.concatenate(covered[side::2]).mean() for side in (0, 1)))


# --- false alarms -------------------------------------------------------------------------------


def alarms(draws: int):
    """How often the test fires where there is one mode: by kind of family, and for the flattest
    distribution, even differences."""
    rows, worst = [], 0.0
    for (kind, own), cells, seeds, shared in product(
        by_kind().items(), CELLS, SEEDS, (False, True)
    ):
        shares = [_alarm(own[at % len(own)], cells, seeds, shared, at) for at in range(SWEEPS)]
        rows.append(
            {
                "seeds": kind + (", with an effect in all cells" if shared else ""),
                "cells": cells,
                "number": seeds,
                "sweeps": SWEEPS,
                "fires": float(np.mean(shares)),
            }
        )
        worst = max(worst, rows[-1]["fires"])
    generator = np.random.default_rng(0)
    for number in (10, 30, 100, 300, 1000):
        far = [above_falling(_even(generator, number)) * np.sqrt(number) for _ in range(draws)]
        share = float(np.mean(np.array(far) > CRITICAL))
        rows.append({"seeds": f"even, {number} differences", "cells": 1, "number": 2 * number,
                     "sweeps": draws, "fires": share})  # fmt: skip
    flattest = max(row["fires"] for row in rows if row["seeds"].startswith("even"))
    return {"false alarms": rows}, {
        "false alarms in sweeps of one mode, at most 0.05": (worst, worst <= 0.05),
        "false alarms of even differences, at most 0.06": (flattest, flattest <= 0.06),
    }


def _even(generator: np.random.Generator, number: int) -> np.ndarray:
    """Sizes of differences of two evenly distributed values."""
    return np.abs(generator.random(number) - generator.random(number))


def _alarm(family: Family, cells: int, seeds: int, shared: bool, seed: int) -> bool:
    """shared: half the variance of logits, or so, is of the seed in all cells."""
    generator = np.random.default_rng(seed)
    rates = family.draw(generator, (cells, seeds))
    if shared:
        common = logit(np.clip(family.draw(generator, (1, seeds)), 1e-6, 1 - 1e-6))
        own = logit(np.clip(rates, 1e-6, 1 - 1e-6))
        rates = expit(np.median(own) + (own + common - 2 * np.median(own)) / np.sqrt(2))
    hits = generator.binomial(450, rates).astype(np.float64)
    return bimodality(hits, np.full_like(hits, 450)).fired


PARTS = {"coverage": coverage, "modes": modes, "alarms": alarms}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default=",".join(PARTS), help="parts, with commas")
    parser.add_argument("--draws", type=int, default=2000, help="of the seeds of one cell")
    options = parser.parse_args()
    criteria = {}
    for part in options.only.split(","):
        tables, reached = PARTS[part](options.draws)
        for name, rows in tables.items():
            print(f"\n{name}\n\n{markdown(rows)}", flush=True)
            record(f"bounds: {name}", make_command("bench-bounds"), rows,
                   f"{options.draws} draws a cell, confidence {CONFIDENCE}.")  # fmt: skip
        criteria |= reached
    print("\ncriteria")
    for criterion, (value, met) in criteria.items():
        print(f"  {'met   ' if met else 'MISSED'} {criterion}: {value:.4g}")
    return 0 if all(met for _, met in criteria.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
