"""Which point of a sweep, which attack and which seed a final model is trained with."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from backdoor.config import TrialConfig, build_defence
from backdoor.errors import Mistake, UserError
from backdoor.settings.schema import LARGEST
from sweeps.final_model.asked import Asked, ModelLimits
from sweeps.final_model.point_text import not_in
from sweeps.ledger import FINISHED, STOPPED, Ledger
from sweeps.records.answer_entry import SettingEntry, VerificationEntry
from sweeps.records.final_model_file import AttackName
from sweeps.records.model_answer import DefenceEntry, Factors, ModelPointEntry
from sweeps.records.model_used import chance_words
from sweeps.records.region_file import PanelEntry, PointEntry, RegionFile
from sweeps.records.trial_row import TrialRow
from sweeps.region.point_table import INCOMPLETE
from sweeps.region.standing import in_words, standing
from sweeps.results.update_region import update_region
from sweeps.spec import SweepSpec
from sweeps.storage.paths import SweepPaths
from sweeps.storage.shell import command

RECOMMENDED, BEST, WORST = "recommended", "best", "worst"


@dataclass(frozen=True)
class ChosenPoint:
    """A defence point to train at.

    why: the words that chose it. worst_attack: the id of the panel's attack that succeeds most
    there, None where that is not known. predicted: what the model of a region search says of it,
    where the model chose it. limits: what such a model expects of one new seed there. not_in: how
    the point stands, None where it is IN by some verdict.
    """

    defence_id: str
    label: str
    factors: Factors
    defence: DefenceEntry
    why: str
    worst_attack: str | None
    predicted: ModelPointEntry | None = None
    limits: ModelLimits | None = None
    not_in: str | None = None


@dataclass(frozen=True)
class Chosen:
    """A trial at a point of a sweep, with what the sweep knows of that point.

    attack: None for the data as they are. panel: the attacks of the region, in order. rows: the
    point's finished trials, which a region search may have none of. asked: the thresholds.
    verification: how the region stands with fresh trainings, where region.json says it.
    """

    trial: TrialConfig
    point: ChosenPoint
    attack: PanelEntry | None
    panel: Sequence[PanelEntry]
    rows: Sequence[TrialRow]
    asked: Asked
    verification: VerificationEntry | None = None

    @property
    def known_seed(self) -> bool:
        """Whether the sweep itself has trained this very trial."""
        return any(row.trial_id == self.trial.trial_id for row in self.rows)

    @property
    def name(self) -> str:
        """What its folder is called by default."""
        attack = self.trial.attack_id[:8]
        return f"{self.trial.defence_id[:8]}-{attack}-seed{self.trial.seed}"

    @property
    def worst_attack(self) -> str | None:
        """The id of the attack that succeeds most at the point, if it is known."""
        return self.point.worst_attack

    def named(self, attack: PanelEntry) -> AttackName:
        """An attack of the panel with its number from 1."""
        number = self.panel.index(attack) + 1
        return {"number": number, "attack_id": attack["attack_id"], "label": attack["label"]}

    def words(self, name: str) -> str:
        """The trigger and the goal of a measure of the panel."""
        attack = next(attack for attack in self.panel if attack["measure_id"] == name)
        return f"{attack['trigger']} {attack['goal']}"


def choose(
    spec: SweepSpec,
    paths: SweepPaths,
    point: str = RECOMMENDED,
    attack: str | None = None,
    seed: int | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> Chosen:
    """The trial that these words ask for, by region.json, which is written again first.

    Args:
        point: `recommended`, `best` (highest validation accuracy), or the beginning of an id.
        attack: None for the data as they are; a number from 1 in the panel, `worst` (of this
            point), or the beginning of an attack's id.
        seed: by default the smallest that the sweep does not use.
        say: is told of what keeps region.json from being written.

    Raises:
        UserError: one of them names nothing.
    """
    if seed is not None and not 0 <= seed <= LARGEST:
        rule = f"must be from 0 to {LARGEST}"
        raise UserError(Mistake("--seed", rule, seed, "Leave it out for a fresh one."))
    ledger = Ledger(paths.ledger)
    region = update_region(paths, ledger, say)
    rows = [row for row in ledger.trials() if row.status in (FINISHED, STOPPED)]
    chosen = _point(spec, region, point, paths, rows)
    panel = region["panel"]
    number = None if attack is None else _attack_number(panel, chosen.worst_attack, attack)
    own = [row for row in rows if row.defence_id == chosen.defence_id and row.finished]
    if seed is None:
        seed = fresh_seed([*spec.seeds, *(row.seed for row in rows)])
    trial = spec.trial(
        build_defence(chosen.defence, spec.files),
        None if number is None else spec.panel[number],
        seed,
    )
    return Chosen(
        trial=trial,
        point=chosen,
        attack=None if number is None else panel[number],
        panel=panel,
        rows=own,
        asked=Asked.of(spec.region, region),
        verification=region.get("verification"),
    )


def fresh_seed(used: Iterable[int]) -> int:
    """The smallest seed that is not among those used."""
    taken = set(used)
    return next(seed for seed in itertools.count() if seed not in taken)


# --- the point ---------------------------------------------------------------------------------


def _point(
    spec: SweepSpec, region: RegionFile, asked: str, paths: SweepPaths, rows: Sequence[TrialRow]
) -> ChosenPoint:
    searched = "model" in region
    if asked == RECOMMENDED and (setting := region.get("setting")) is not None:
        return _of_setting(setting, region)
    if not searched or asked not in (RECOMMENDED, BEST):
        return _tried_point(_entry(spec, region, asked, paths), region, rows)
    model = region.get("model")
    found = model and (model["recommended" if asked == RECOMMENDED else "most_accurate"])
    if not found:
        raise UserError(_nothing_recommended(region, paths))
    return _of_model(spec, found, asked, region)


def _of_setting(setting: SettingEntry, region: RegionFile) -> ChosenPoint:
    """The recommended setting, of whatever search."""
    model, basis = region.get("model"), setting["basis"]
    predicted = model and model["recommended"]
    chance = setting["inside"]
    inside = "" if chance is None else f", P(inside) {chance_words(chance)}"
    worst = [a for a in region["panel"] if a["label"] == setting["worst_attack"]]
    return ChosenPoint(
        defence_id=setting["defence_id"],
        label=setting["label"],
        factors=setting["factors"],
        defence=setting["defence"],
        why=f"recommended, {in_words(basis)}{inside}",
        worst_attack=worst[0]["attack_id"] if worst else None,
        predicted=predicted if predicted and predicted["defence"] == setting["defence"] else None,
        limits=ModelLimits.of_setting(setting),
    )


def _of_model(
    spec: SweepSpec, found: ModelPointEntry, asked: str, region: RegionFile
) -> ChosenPoint:
    """The point that the model of a region search names, seldom one that was tried."""
    trial = spec.trial(build_defence(found["defence"], spec.files), None, spec.seeds[0])
    label, panel = found["worst_attack"], region["panel"]
    (worst,) = (a for a in panel if a["label"] == label)
    inside = f"P(inside) {chance_words(found['probability'])}"
    return ChosenPoint(
        defence_id=trial.defence_id,
        label=found["label"],
        factors=found["factors"],
        defence=found["defence"],
        why=f"{'recommended' if asked == RECOMMENDED else 'the most accurate'}, {inside}",
        worst_attack=worst["attack_id"],
        predicted=found,
        limits=ModelLimits.of_worst(found["clean_accuracy"], found["attack_success"], label, panel),
        not_in=None if found["probability"] >= spec.region.confidence else f"not IN: {inside}",
    )


def _tried_point(
    found: tuple[PointEntry, str], region: RegionFile, rows: Sequence[TrialRow]
) -> ChosenPoint:
    entry, why = found
    row = next(row for row in rows if row.defence_id == entry["defence_id"])
    limits = None
    if (of := entry.get("expected")) is not None:
        figures = of["clean_accuracy"], of["attack_success"]
        limits = ModelLimits.of_worst(*figures, of["worst_attack"], region["panel"])
    return ChosenPoint(
        defence_id=entry["defence_id"],
        label=entry["label"],
        factors=entry["factors"],
        defence=row.config["defence"],
        why=why,
        worst_attack=entry["worst_attack"],
        limits=limits,
        not_in=not_in(entry, region),
    )


def _entry(
    spec: SweepSpec, region: RegionFile, asked: str, paths: SweepPaths
) -> tuple[PointEntry, str]:
    """A point that was tried, and the words that chose it."""
    points = region["points"]
    if asked == RECOMMENDED:
        if (found := region["recommended"]) is None:
            raise UserError(_nothing_recommended(region, paths))
        entry = _by_id(points, found["defence_id"])
        return entry, f"recommended, {standing(entry)}"
    if asked == BEST:
        best = region["thresholds"]["clean_accuracy"]["best_point"]
        if best is None:
            if any(point["broken"] and point["attacks"] for point in points):
                rule = "needs a point with a seed for which no model collapsed or diverged"
                remedy = "Name a point by its id, or train with other settings."
                raise UserError(Mistake("--point", rule, asked, remedy))
            rule = "needs a point that every attack of the panel has met with every seed"
            raise UserError(Mistake("--point", rule, asked, _go_on(paths)))
        entry = _by_id(points, best)
        return entry, f"of the best validation accuracy, {standing(entry)}"
    matching = [entry for entry in points if asked and entry["defence_id"].startswith(asked)]
    if len(matching) != 1:
        rule = f"must be {RECOMMENDED}, {BEST}, or the beginning of exactly one point's id"
        # The answer of a region search is no table of points.
        table = (
            ("export", paths.root, "--csv", "FILE")
            if spec.search.kind == "region"
            else ("region", paths.root)
        )
        remedy = f"{len(matching)} points match; `{command('sweeps', *table)}` lists their ids."
        raise UserError(Mistake("--point", rule, asked, remedy))
    judged = matching[0]["by_means"] != INCOMPLETE
    return matching[0], f"chosen by its id{f', {standing(matching[0])}' if judged else ''}"


def _by_id(points: Sequence[PointEntry], name: str) -> PointEntry:
    return next(entry for entry in points if entry["defence_id"] == name)


def _nothing_recommended(region: RegionFile, paths: SweepPaths) -> Mistake:
    trials, tried = region["trials"], len(region["points"])
    rule = "needs a point that is IN, and this sweep has none"
    value = f"{RECOMMENDED}, with {tried} points tried"
    if trials["finished"] + trials["stopped"] < (trials["planned"] or 0):
        return Mistake("--point", rule, value, _go_on(paths))
    remedy = "Take `--point best` or a point's id, or sweep again with stronger defences or with "
    return Mistake("--point", rule, value, f"{remedy}other thresholds under `region`.")


def _go_on(paths: SweepPaths) -> str:
    return f"Finish the sweep first: {command('sweeps', 'resume', paths.root)}"


# --- the attack --------------------------------------------------------------------------------


def _attack_number(panel: Sequence[PanelEntry], worst: str | None, asked: str) -> int:
    """The position of an attack in the panel, from 0."""
    if asked == WORST:
        if worst is None:
            rule = "needs a point that every attack of the panel has met with every seed"
            remedy = "Name an attack by its number, or finish the sweep first."
            raise UserError(Mistake("--attack", rule, asked, remedy))
        asked = worst
    if asked.isdecimal() and 1 <= int(asked) <= len(panel):
        return int(asked) - 1
    ids = [attack["attack_id"] for attack in panel]
    matching = [i for i, attack_id in enumerate(ids) if asked and attack_id.startswith(asked)]
    if len(matching) != 1:
        rule = f"must be a number from 1 to {len(panel)}, `{WORST}`, or the beginning of an "
        rule += "attack's id"
        listed = "; ".join(f"{i} is {attack['label']}" for i, attack in enumerate(panel, 1))
        raise UserError(Mistake("--attack", rule, asked, f"{listed}."))
    return matching[0]
