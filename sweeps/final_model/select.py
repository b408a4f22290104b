"""Which point of a sweep, which attack and which seed a final model is trained with."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backdoor.config import Attack, TrialConfig, build_defence
from backdoor.errors import Mistake, UserError
from backdoor.settings.schema import LARGEST
from sweeps.ledger import FINISHED, STOPPED, Ledger
from sweeps.region.point_table import region_of
from sweeps.spec import SweepSpec
from sweeps.storage.paths import SweepPaths, read_sweep
from sweeps.storage.shell import command

RECOMMENDED, BEST, WORST = "recommended", "best", "worst"


@dataclass(frozen=True)
class Chosen:
    """A trial at a point of a sweep, with what the sweep knows of that point.

    point: its entry in the region; of a region search's `recommended` or `best` one that of its
    model, beside the ids, with all of it under `modelled`. why: the words that chose it.
    attack: its entry in the region's panel, with `number` from 1; None for the data as they are.
    rows: the point's finished trials, which a region search may have none of.
    """

    trial: TrialConfig
    point: Mapping[str, Any]
    why: str
    attack: Mapping[str, Any] | None
    panel: Sequence[Mapping[str, Any]]
    rows: Sequence[Mapping[str, Any]]

    @property
    def known_seed(self) -> bool:
        """Whether the sweep itself has trained this very trial."""
        return any(row["trial_id"] == self.trial.trial_id for row in self.rows)

    @property
    def name(self) -> str:
        """What its folder is called by default."""
        attack = self.trial.attack_id[:8]
        return f"{self.trial.defence_id[:8]}-{attack}-seed{self.trial.seed}"


def choose(
    spec: SweepSpec, paths: SweepPaths, point: str = RECOMMENDED, attack: str | None = None,
    seed: int | None = None,
) -> Chosen:  # fmt: skip
    """The trial that these words ask for.

    Args:
        point: `recommended`, `best` (highest validation accuracy), or the beginning of an id.
        attack: None for the data as they are; a number from 1 in the panel, `worst` (of this
            point), or the beginning of an attack's id.
        seed: by default the smallest that the sweep does not use.

    Raises:
        UserError: one of them names nothing.
    """
    ledger = Ledger(paths.ledger)
    region = region_of(spec, ledger, read_sweep(paths)["planned"])
    rows = [row for row in ledger.rows() if row["status"] in (FINISHED, STOPPED)]
    model_answer = spec.search.kind == "region" and point in (RECOMMENDED, BEST)
    find = _modelled_point if model_answer else _point
    entry, why = find(spec, ledger, region, point, paths)
    panel = [{"number": i, **each} for i, each in enumerate(region["panel"], 1)]
    foe = None if attack is None else _attack(panel, entry, attack)
    own = [row for row in rows if row["defence_id"] == entry["defence_id"]]
    factors = entry["defence"] if model_answer else own[0]["config"]["defence"]
    defence = build_defence(factors, spec.files)
    member: Attack | None = None if foe is None else spec.panel[foe["number"] - 1]
    if seed is None:
        seed = fresh_seed([*spec.seeds, *(row["seed"] for row in rows)])
    elif not 0 <= seed <= LARGEST:
        rule = f"must be from 0 to {LARGEST}"
        raise UserError(Mistake("--seed", rule, seed, "Leave it out for a fresh one."))
    finished = [row for row in own if row["status"] == FINISHED]
    return Chosen(spec.trial(defence, member, seed), entry, why, foe, panel, finished)


def fresh_seed(used: Iterable[int]) -> int:
    """The smallest seed that is not among those used."""
    taken = set(used)
    return next(seed for seed in itertools.count() if seed not in taken)


def _modelled_point(
    spec: SweepSpec, ledger: Ledger, region: Mapping[str, Any], wanted: str, paths: SweepPaths
) -> tuple[Any, str]:
    """The point that a region search's answer names: its model's, and hardly one that was tried."""
    from sweeps.region.model_region import model_answer

    answer = model_answer(spec, ledger)
    found = answer and answer["recommended" if wanted == RECOMMENDED else "most_accurate"]
    if not found:
        raise UserError(_nothing_recommended(region, paths))
    trial = spec.trial(build_defence(found["defence"], spec.files), None, spec.seeds[0])
    (worst,) = (a for a in region["panel"] if a["label"] == found["worst_attack"])
    entry = {"defence_id": trial.defence_id, **found, "worst_attack": worst["attack_id"]}
    inside = f"P(inside) {found['probability']:.2f}"
    why = f"recommended, {inside}" if wanted == RECOMMENDED else f"the most accurate, {inside}"
    return {**entry, "modelled": found}, why


def _point(
    spec: SweepSpec, ledger: Ledger, region: Mapping[str, Any], wanted: str, paths: SweepPaths
) -> tuple[Any, str]:
    points = region["points"]
    if wanted == RECOMMENDED:
        if (found := region["recommended"]) is None:
            raise UserError(_nothing_recommended(region, paths))
        return _by_id(points, found["defence_id"]), f"recommended, IN by {found['basis']}"
    if wanted == BEST:
        best = region["thresholds"]["clean_accuracy"]["best_point"]
        if best is None:
            rule = "needs a point that every attack of the panel has met with every seed"
            raise UserError(Mistake("--point", rule, wanted, _go_on(paths)))
        return _by_id(points, best), "of the best validation accuracy"
    matching = [entry for entry in points if wanted and entry["defence_id"].startswith(wanted)]
    if len(matching) != 1:
        rule = f"must be {RECOMMENDED}, {BEST}, or the beginning of exactly one point's id"
        # The answer of a region search is no table of points.
        table = (
            ("export", paths.root, "--csv", "FILE")
            if spec.search.kind == "region"
            else ("region", paths.root)
        )
        remedy = f"{len(matching)} points match; `{command('sweeps', *table)}` lists their ids."
        raise UserError(Mistake("--point", rule, wanted, remedy))
    return matching[0], "chosen by its id"


def _by_id(points: Sequence[Any], name: str) -> Any:
    return next(entry for entry in points if entry["defence_id"] == name)


def _nothing_recommended(region: Mapping[str, Any], paths: SweepPaths) -> Mistake:
    trials, seen = region["trials"], len(region["points"])
    rule = "needs a point that is IN, and this sweep has none"
    value = f"{RECOMMENDED}, with {seen} points tried"
    if trials["finished"] + trials["stopped"] < (trials["planned"] or 0):
        return Mistake("--point", rule, value, _go_on(paths))
    remedy = "Take `--point best` or a point's id, or sweep again with stronger defences or with "
    return Mistake("--point", rule, value, f"{remedy}other thresholds under `region`.")


def _go_on(paths: SweepPaths) -> str:
    return f"Finish the sweep first: {command('sweeps', 'resume', paths.root)}"


def _attack(panel: Sequence[Any], entry: Mapping[str, Any], wanted: str) -> Any:
    if wanted == WORST:
        if entry["worst_attack"] is None:
            rule = "needs a point that every attack of the panel has met with every seed"
            remedy = "Name an attack by its number, or finish the sweep first."
            raise UserError(Mistake("--attack", rule, wanted, remedy))
        wanted = entry["worst_attack"]
    if wanted.isdecimal() and 1 <= int(wanted) <= len(panel):
        return panel[int(wanted) - 1]
    matching = [attack for attack in panel if wanted and attack["attack_id"].startswith(wanted)]
    if len(matching) != 1:
        rule = f"must be a number from 1 to {len(panel)}, `{WORST}`, or the beginning of an "
        rule += "attack's id"
        listed = "; ".join(f"{attack['number']} is {attack['label']}" for attack in panel)
        raise UserError(Mistake("--attack", rule, wanted, f"{listed}."))
    return matching[0]
