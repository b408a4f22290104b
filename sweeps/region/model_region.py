"""The answer of a region search: what its model says of the whole defence space.

`model_answer` gives the value of `model` in region.json, all of it plain values:

- `space`: fractions of the defence space that are IN, OUT and UNDECIDED, P(inside) being at least
  `cutoff`, at most 1 - `confidence`, or between. `cutoff`: `confidence`, or more where so many of
  the points might be wrong together, see `sweeps.levelset.excursion_set`; null where all might.
  `volume`: the fraction inside, with a 90 % interval. `categories`: the same for each combination
  of kinds. `expected_f1`: of the set where P(inside) >= 1/2, against the truth as the model
  sees it.
- `limits`: of the points that are OUT, the shares at which clean accuracy or one of the attacks is
  the least likely to pass.
- `box` and `rule`: intervals of factors, and of products and ratios of factors, that hold inside
  the region, with precision and coverage on points that they were not found on; null for none.
- `front`: the volume that is left with the panel's attacks up to each poison rate.
- `recommended`, `most_accurate`: points (`defence`, as a trial has it) with the expected clean
  accuracy and worst attack success and 95 % limits for one new seed; the first is IN with the
  largest margin in standard deviations, null where nothing is IN. `resists`: for each attack but
  its poison rate, the largest rate of the panel up to which it fails there with `confidence`, null
  for none. `suspect`: the point most likely to be inside, where nothing is IN.
- `text`: all this as lines for people, `sweeps.region.model_text`.
- `maps`: P(inside) over two factors, see `sweeps.region.model_map`.
- `next`: what the search would try next. `stopped_by`: why it has ended, null if it has not.

"Inside" is about the seeds that `target` asks for: the median one, or 90 % of them. A region
search does not complete points, so that the table of points is no answer to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
from scipy.special import expit

from backdoor.config import build_defence
from backdoor.settings.schema import round_significant
from sweeps.ledger import Ledger
from sweeps.levelset.columns import Bools, Floats
from sweeps.levelset.describe import PRECISION, Description, describe, judged, products
from sweeps.levelset.encoding import SpaceDomain
from sweeps.levelset.excursion_set import cutoff
from sweeps.levelset.membership import IN, OUT, UNDECIDED, labels, probability, summary
from sweeps.levelset.volume import joint_draws, passing, probability_of, volume
from sweeps.region.labels import attack_label, goal_label, kind_label, point_labels
from sweeps.region.model_map import maps
from sweeps.search.level_set import RegionSearch
from sweeps.spec import SweepSpec

#: Points that the answer is computed at, drawn evenly over the space.
POINTS = 4096
#: Intervals of a rule, and standard deviations of a 95 % interval.
SHORT, Z = 3, 1.96
#: By so much the expected F1 may differ when a search that had ended is fitted anew.
REFIT = 0.005


def model_answer(spec: SweepSpec, ledger: Ledger) -> dict[str, Any] | None:
    """The answer as plain values; None where too few trials have finished to say anything."""
    search = RegionSearch(spec)
    search.tell(ledger.table())
    optimizer = search.optimizer
    if optimizer.trials_known < optimizer.initial and not (
        optimizer.trials_known and optimizer.used_up
    ):
        return None
    return _Answer(spec, search).as_dict()


@dataclass
class _Answer:
    spec: SweepSpec
    search: RegionSearch

    def __post_init__(self) -> None:
        optimizer = self.search.optimizer
        assert isinstance(optimizer.domain, SpaceDomain)
        self.domain, self.model = optimizer.domain, optimizer.current()
        self.points = self.domain.sample(POINTS, seed=1)
        self.inside = probability(self.model, self.points)
        confidence = self.spec.region.confidence
        self.cutoff = cutoff(self.model, self.points, self.inside, confidence)
        self.labels = labels(self.inside, confidence, self.cutoff)
        self.clean, self.attack = passing(self.model, self.points)
        self.rng = np.random.default_rng(0)

    def as_dict(self) -> dict[str, Any]:
        least, best = self._levels()
        return {
            "trials": self.search.optimizer.trials_known,
            "target": self.spec.region.target,
            "clean_accuracy": least,
            "best_accuracy": best,
            "expected_f1": summary(self.inside, self.spec.region.confidence).expected_f1,
            "cutoff": self.cutoff if np.isfinite(self.cutoff) else None,
            "space": self._fractions(np.ones(POINTS, dtype=np.bool_)),
            **self._volumes(),
            "limits": self._limits(),
            "box": self._described(derived=False),
            "rule": self._described(derived=True),
            "recommended": self._recommended(),
            "suspect": None if self._any_in else self._point(int(np.argmax(self.inside))),
            "most_accurate": self._point(self._most_accurate()),
            "stopped_by": (ended := self._ended()),
            "maps": maps(
                self.domain,
                partial(probability, self.model),
                self.points,
                self.inside,
                self._category,
            ),
            "next": [] if ended else self._next(),
        }

    @property
    def _any_in(self) -> bool:
        return bool((self.labels == IN).any())

    # --- how much -------------------------------------------------------------------------------

    def _fractions(self, where: Bools) -> dict[str, float]:
        found = self.labels[where]
        names = {"IN": IN, "OUT": OUT, "UNDECIDED": UNDECIDED}
        return {name: float((found == value).mean()) for name, value in names.items()}

    def _volumes(self) -> dict[str, Any]:
        """The volume, by category, and against the poison rate."""
        drawn = joint_draws(self.model, self.points, self.rng)
        everything = np.ones(len(self.model.panel), dtype=np.bool_)
        inside = drawn.inside(everything)
        groups = self.domain.group(self.points)
        categories = []
        for group in np.unique(groups).tolist():
            where = groups == group
            part = inside[:, where[: inside.shape[1]]]
            size = volume(part, float(self.inside[where].mean()))
            kinds = self.domain.space.branches[group].kinds
            name = ", ".join(f"{slot} {kind}" for slot, kind in kinds) or "all"
            categories.append({"label": name, **self._fractions(where), "volume": asdict(size)})
        front = []
        for rate in sorted({attack.poison_rate for attack in self.spec.panel}):
            upto = np.array([attack.poison_rate <= rate for attack in self.spec.panel])
            fraction = float(probability_of(self.model, self.points, upto).mean())
            size = volume(drawn.inside(upto), fraction)
            front.append({"poison_rate": rate, "volume": asdict(size)})
        whole = asdict(volume(inside, float(self.inside.mean())))
        return {"volume": whole, "categories": categories, "front": front}

    def _limits(self) -> list[dict[str, Any]]:
        """What fails first where the region ends, the most frequent first."""
        out = self.labels == OUT
        if not out.any():
            return []
        chances = np.column_stack([self.clean, self.attack])[out]
        names = ["clean accuracy", *(attack_label(attack) for attack in self.spec.panel)]
        counts = np.bincount(chances.argmin(axis=1), minlength=len(names)) / out.sum()
        found = [{"label": n, "share": float(c)} for n, c in zip(names, counts, strict=True) if c]
        return sorted(found, key=lambda entry: -float(entry["share"]))

    # --- in words -------------------------------------------------------------------------------

    def _described(self, derived: bool) -> dict[str, Any] | None:
        """The best description of one category: numbers only have an order within one."""
        best: tuple[Description, dict[str, Any]] | None = None
        total = self.inside.sum()
        codes = self.points[:, list(self.domain.columns.codes)]
        for combination in np.unique(codes, axis=0):
            where = (codes == combination).all(axis=1)
            found = self._describe_part(where, derived)
            if found is None:
                continue
            share = found[0].coverage * self.inside[where].sum() / total
            entry = {
                "category": self._category(int(np.flatnonzero(where)[0])),
                "intervals": found[1],
                "precision": found[0].precision,
                "coverage": float(share),
            }
            if best is None or share > best[1]["coverage"]:
                best = found[0], entry
        return None if best is None else best[1]

    def _describe_part(
        self, where: Bools, derived: bool
    ) -> tuple[Description, list[dict[str, Any]]] | None:
        names = self.domain.number_axes
        used = [c for c in names if np.ptp(self.points[where, c]) > 0]
        if not used:
            whole = judged(self.points[where], self.inside[where], ())
            return (whole, []) if whole.precision >= PRECISION else None
        if where.sum() < 64:
            return None
        # Logarithms of values where the scale has them, so that sums are products of factors.
        scales = [names[c][1] for c in used]
        both = zip(used, scales, strict=True)
        features = np.column_stack([s.to_value_axis(self.points[where, c]) for c, s in both])
        made: list[tuple[int, int, int]] = []
        if derived:
            logarithmic = [i for i, scale in enumerate(scales) if scale.log]
            features, made = products(features, logarithmic)
        found = describe(features, self.inside[where], SHORT if derived else None)
        if found is None:
            return None
        labelled = [(names[c][0], scale.log) for c, scale in zip(used, scales, strict=True)]
        for a, b, sign in made:
            word = "x" if sign > 0 else "/"
            labelled.append((f"{labelled[a][0]} {word} {labelled[b][0]}", True))
        shown = []
        for interval in found.intervals:
            name, log = labelled[interval.column]
            bounds = [
                None if v is None else round_significant(10**v if log else v)
                for v in (interval.low, interval.high)
            ]
            shown.append({"factor": name, "low": bounds[0], "high": bounds[1]})
        return found, shown

    def _category(self, index: int) -> dict[str, Any]:
        """The factors of a point that have no order and differ between points. One that also has a
        scale counts by its value beside that, or is told as the whole of the scale."""
        numbers = {_last(name) for name, _ in self.domain.number_axes.values()}
        beside = {_last(n): at for n, at in self.domain.on_scale(self.points[index]).items()}
        others = [self._factors(i) for i in range(64)]
        found: dict[str, Any] = {}
        for name, value in self._factors(index).items():
            if (last := _last(name)) in beside:
                scale, on_it = beside[last]
                found[name] = f"{scale.low:g} to {scale.high:g}" if on_it else value
            elif last not in numbers and any(other.get(name, value) != value for other in others):
                found[name] = value
        return found

    def _factors(self, index: int) -> dict[str, Any]:
        from sweeps.ledger import flatten_factors

        active = build_defence(self.domain.decode(self.points[index])).active()
        flat = flatten_factors({"data": {}, "training": {}, "attack": None, "defence": active})
        return {name: value for name, value in flat.items() if name.startswith("defence.")}

    # --- points ---------------------------------------------------------------------------------

    def _levels(self) -> tuple[float, float | None]:
        """The accuracy asked for, and the best one if it hangs on that."""
        thresholds, model = self.model.thresholds, self.model
        if thresholds.clean_accuracy is not None:
            return thresholds.clean_accuracy, None
        least = float(expit(model.accuracy_threshold.mean + model.centre[0]))
        return least, least + (thresholds.below_best or 0.0)

    def _deviations(self) -> Floats:
        """The smallest margin of each point, in standard deviations of one new seed, (n,)."""
        model, width = self.model, len(self.model.panel)
        clean, attack = model.clean.at(self.points), model.attack.at(model.crossed(self.points))
        mean, variance = model.clean_margin(clean)
        of_clean = mean / np.sqrt(variance + model.seed_noise(clean, 0))
        spread = np.sqrt(attack.variance() + model.seed_noise(attack, 1))
        of_attack = (-attack.mean / spread).reshape(-1, width)
        return np.asarray(np.minimum(of_clean, of_attack.min(axis=1)), dtype=np.float64)

    def _recommended(self) -> dict[str, Any] | None:
        if not self._any_in:
            return None
        margins = np.where(self.labels == IN, self._deviations(), -np.inf)
        return self._point(int(np.argmax(margins)))

    def _most_accurate(self) -> int:
        return int(np.argmax(self.model.clean.at(self.points).mean))

    def _point(self, index: int) -> dict[str, Any]:
        one = self.points[index : index + 1]
        clean, attack = self.model.clean.at(one), self.model.attack.at(self.model.crossed(one))
        accuracy = _rates(clean.mean, clean.variance() + self.model.seed_noise(clean, 0),
                          self.model.centre[0])  # fmt: skip
        success = _rates(attack.mean, attack.variance() + self.model.seed_noise(attack, 1),
                         self.model.centre[1])  # fmt: skip
        worst = int(np.argmax(attack.mean))
        factors = self._factors(index)
        return {
            "label": self._label(factors),
            "factors": factors,
            "defence": build_defence(self.domain.decode(self.points[index])).active(),
            "probability": float(self.inside[index]),
            "clean_accuracy": accuracy[0],
            "attack_success": success[worst],
            "worst_attack": attack_label(self.spec.panel[worst]),
            "resists": self._resists(self.attack[index]),
        }

    def _label(self, factors: dict[str, Any]) -> str:
        """Its name among all points that the answer was computed at."""
        others = [self._factors(i) for i in range(64)]
        return point_labels([factors, *others])[0]

    def _resists(self, chances: Floats) -> list[dict[str, Any]]:
        """For each attack but its rate, how high a poison rate it survives."""
        by_kind: dict[str, list[tuple[float, bool]]] = {}
        for attack, chance in zip(self.spec.panel, chances.tolist(), strict=True):
            name = f"{kind_label(attack.trigger.identity())} {goal_label(attack.identity())}"
            passes = chance >= self.spec.region.confidence
            by_kind.setdefault(name, []).append((attack.poison_rate, passes))
        return [
            {"attack": name, "poison_rate": _largest(sorted(rates))}
            for name, rates in by_kind.items()
        ]

    def _ended(self) -> str | None:
        """Why the search asks for nothing more."""
        optimizer = self.search.optimizer
        found = summary(self.inside, self.spec.region.confidence, self.cutoff)
        if len(optimizer.points) >= optimizer.settings.budget:
            return f"its budget of {optimizer.settings.budget} trials is spent"
        if self.search.affordable < 1:
            budget = self.spec.search.budget
            return f"its budget of {budget.gpu_hours if budget else 0:g} GPU-hours is spent"
        if optimizer.used_up:
            return "every point has had all of its seeds"
        certain = found.expected_f1 >= optimizer.settings.f1 - REFIT
        certain |= found.undecided <= optimizer.settings.undecided
        return (
            "it is certain enough"
            if certain and optimizer.trials_known >= optimizer.enough
            else None
        )

    def _next(self) -> list[dict[str, Any]]:
        """The trials that the search would choose now; none once it has ended."""
        asked = self.search.ask(self.spec.search.at_once)
        return [
            {
                "defence": trial.defence.active(),
                "attack": None if trial.attack is None else attack_label(trial.attack),
                "seed": trial.seed,
            }
            for trial in asked
        ]


def _last(name: str) -> str:
    """The last part of a factor's dotted name, or of a column's."""
    return name.rpartition("=")[2].rpartition(".")[2]


def _rates(mean: Floats, variance: Floats, centre: float) -> list[dict[str, float]]:
    """Expected rates with the limits of one new seed."""
    spread = Z * np.sqrt(variance)
    return [
        {"expected": float(e), "lower": float(low), "upper": float(high)}
        for e, low, high in zip(
            expit(mean + centre), expit(mean - spread + centre), expit(mean + spread + centre),
            strict=True,
        )
    ]  # fmt: skip


def _largest(rates: Sequence[tuple[float, bool]]) -> float | None:
    """The last rate before the first that is not passed."""
    found = None
    for rate, passes in rates:
        if not passes:
            break
        found = rate
    return found
