"""The plan: the frozen region, and every draw with its seeds, fixed before anything is trained.

Its id follows from what is frozen and from what was asked, so that the same command resumes the
same plan, and a region that has changed since gets a plan of its own. The file carries a hash of
its content: a plan that was changed afterwards is refused.
"""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from backdoor.config import Attack, TrialConfig, build_attack, build_defence
from backdoor.errors import Mistake, StoredDataError, UserError
from backdoor.settings.digest import digest
from backdoor.settings.user_file import files_of
from backdoor.streams import stream
from sweeps.ledger import Ledger
from sweeps.records.model_answer import DefenceEntry
from sweeps.records.thresholds import MEDIAN, SHARE
from sweeps.records.verification_file import (
    PLAN_VERSION,
    FrozenThresholds,
    FrozenValues,
    PlanContent,
    PlanFile,
    SettingsEntry,
)
from sweeps.spec import SweepSpec
from sweeps.statistics.binomial import draws_for, fewest_draws
from sweeps.storage.files import read_versioned, write_json
from sweeps.storage.paths import SweepPaths, VerificationPaths
from sweeps.verify.regions import BORDER, INSIDE, OUTSIDE, SampledRegion

#: Keys of plan.json that its hash leaves out.
HEAD = ("schema_version", "hash")
#: The share of draws inside that must pass, by target.
CLAIMS = {MEDIAN: 0.95, SHARE: 0.90}
#: The least and the most that may be claimed: that less than half of the draws pass claims nothing.
LEAST_CLAIMED, MOST_CLAIMED = 0.5, 0.9999
#: Draws inside: if all of these pass, then with 95 % confidence at least 95 % of all would.
DRAWS = 59
#: Fresh seeds whose median judges a point, by default and at least.
SEEDS = 5


@dataclass(frozen=True)
class VerificationSettings:
    """What is asked. draws: inside; a quarter as many near the border, and outside. 0 is as many
    as it takes, which the region can tell before anything is drawn or trained (`sized`).

    target: `median`, a draw is a point judged by the median of `seeds` fresh seeds; or `share`, a
    draw is a point with one fresh seed. own_claim: the share of draws that must pass, in (0, 1);
    None for that of the target.
    """

    draws: int = DRAWS
    seeds: int = SEEDS
    target: str = MEDIAN
    own_claim: float | None = None

    @property
    def claim(self) -> float:
        """The share of draws inside that must pass."""
        return CLAIMS[self.target] if self.own_claim is None else self.own_claim

    @property
    def entry(self) -> SettingsEntry:
        """What was asked, as plan.json has it; a claim that is the default is left out."""
        entry: SettingsEntry = {"draws": self.draws, "seeds": self.seeds, "target": self.target}
        if self.own_claim is not None:
            entry["claim"] = self.own_claim
        return entry

    def sized(self, predicted: float | None) -> VerificationSettings:
        """With as many draws as it takes where this share of them is expected to pass; without it,
        as few as can prove the claim."""
        if self.draws:
            return self
        if predicted is not None:
            return replace(self, draws=draws_for(self.claim, predicted))
        return replace(self, draws=DRAWS if self.own_claim is None else fewest_draws(self.claim))

    def count(self, stratum: str) -> int:
        """How many points are drawn from this part."""
        return self.draws if stratum == INSIDE else -(-self.draws // 4)


def settings_of(
    draws: int | None, seeds: int | None, target: str, claim: float | None = None
) -> VerificationSettings:
    """Checked settings; None takes the default."""
    mistakes = []
    if claim is not None and not LEAST_CLAIMED <= claim <= MOST_CLAIMED:
        rule = f"must be a share of draws from {LEAST_CLAIMED:g} to {MOST_CLAIMED:g}"
        remedy = f"For example 0.9; {MOST_CLAIMED:g} takes {fewest_draws(MOST_CLAIMED):,} draws."
        mistakes.append(Mistake("--claim", rule, claim, remedy))
    if draws is not None and draws < 1:
        mistakes.append(Mistake("--draws", "must be at least 1", draws, f"For example {DRAWS}."))
    if target == SHARE and seeds not in (None, 1):
        rule = "has no effect with the target `share`, where a draw is a point with one seed"
        mistakes.append(Mistake("--seeds", rule, seeds, "Leave it out; --draws sets the number."))
    if target == MEDIAN and seeds is not None and seeds < SEEDS:
        rule = f"must be at least {SEEDS}: a point is judged by their median"
        mistakes.append(Mistake("--seeds", rule, seeds, "Ask for more, or use --target share."))
    if mistakes:
        raise UserError(mistakes)
    each = 1 if target == SHARE else SEEDS if seeds is None else seeds
    own = None if claim in (None, CLAIMS[target]) else claim
    return VerificationSettings(draws or 0, each, target, own)


@dataclass(frozen=True)
class Draw:
    """One draw: a defence point by its active factors, and the seeds that it is trained with.

    probability: of being inside; passing: that it will pass, as it is judged.
    """

    stratum: str
    defence: DefenceEntry
    probability: float | None
    seeds: tuple[int, ...]
    passing: float | None = None

    @property
    def predicted(self) -> float | None:
        """The probability that it will pass; in older plans, which lack it, of being inside."""
        return self.probability if self.passing is None else self.passing


@dataclass(frozen=True)
class Plan:
    """Everything that a verification trains, and what it is judged by."""

    frozen: FrozenValues
    settings: VerificationSettings
    transfer: tuple[Attack, ...]
    draws: tuple[Draw, ...]
    created: str

    @property
    def above_baseline(self) -> bool:
        """Whether success is compared with that of the clean baseline of the same seed, which is
        then trained as well."""
        return "attack_rule" in self.frozen.get("thresholds", {})

    def attacks(self, spec: SweepSpec, draw: Draw) -> tuple[Attack, ...]:
        """The panel; inside, the attacks outside the panel as well."""
        return (*spec.panel, *(self.transfer if draw.stratum == INSIDE else ()))

    def trials(self, spec: SweepSpec) -> Iterator[TrialConfig]:
        """Everything that is trained; a trial may come twice."""
        clean = (None,) if self.above_baseline else ()
        for draw in self.draws:
            defence = build_defence(draw.defence, spec.files)
            for attack, seed in itertools.product((*clean, *self.attacks(spec, draw)), draw.seeds):
                yield spec.trial(defence, attack, seed)


def frozen_values(spec: SweepSpec, sweep_id: str, region: SampledRegion) -> FrozenValues:
    """The region and what it claims, as plain values."""
    frozen = region.frozen
    thresholds: FrozenThresholds = {
        "clean_accuracy": frozen["clean_accuracy"],
        "rule": spec.region.rule,
        "attack_success": spec.region.attack_success,
    }
    if spec.region.above_baseline:
        thresholds["attack_rule"] = spec.region.attack_rule
    return {
        "sweep_id": sweep_id,
        "region": frozen,
        "thresholds": thresholds,
        "panel": [attack.identity() for attack in spec.panel],
    }


def plan_id(
    frozen: FrozenValues, settings: VerificationSettings, transfer: Sequence[Attack]
) -> str:
    """Twelve hex digits that follow from what is frozen and what was asked."""
    asked = {"settings": settings.entry, "transfer": [a.identity() for a in transfer]}
    return digest("verify", {"frozen": frozen, **asked})[:12]


def make_plan(
    frozen: FrozenValues,
    region: SampledRegion,
    settings: VerificationSettings,
    transfer: Sequence[Attack],
    used: set[int],
) -> Plan:
    """Draws all points at random, seeded by the plan's id. used: seeds that are not fresh.

    No seed is given twice, so that the draws are independent of each other.
    """
    rng = stream("verify", plan_id(frozen, settings, transfer))
    fresh = (seed for seed in itertools.count() if seed not in used)
    draws: list[Draw] = []
    for stratum in (INSIDE, BORDER, OUTSIDE):
        for found in region.sample(stratum, settings.count(stratum), rng):
            seeds = tuple(itertools.islice(fresh, settings.seeds))
            draws.append(
                Draw(stratum, dict(found.defence), found.probability, seeds, found.passing)
            )
        if not draws:
            break  # nothing is inside, so there is nothing to verify
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return Plan(frozen, settings, tuple(transfer), tuple(draws), now)


def used_seeds(spec: SweepSpec, ledger: Ledger, paths: SweepPaths) -> set[int]:
    """Seeds of the spec, of the ledger, and of all verifications so far."""
    used = {*spec.seeds, *(row.seed for row in ledger.trials())}
    for folder in verifications(paths):
        used.update(seed for draw in read_plan(folder).draws for seed in draw.seeds)
    return used


def verifications(paths: SweepPaths) -> list[VerificationPaths]:
    """The verifications of a sweep that have a plan."""
    folders = sorted(paths.verifications.glob("*"))
    return [f for folder in folders if (f := VerificationPaths(folder)).plan.is_file()]


# --- on disk -----------------------------------------------------------------------------------


def write_plan(paths: VerificationPaths, plan: Plan) -> None:
    """Writes the plan, durably, with its hash."""
    content: PlanContent = {
        "frozen": plan.frozen,
        "settings": plan.settings.entry,
        "transfer": [attack.identity() for attack in plan.transfer],
        "files": {k: v for attack in plan.transfer for k, v in files_of(attack).items()},
        "draws": [
            {
                "stratum": draw.stratum,
                "defence": draw.defence,
                "probability": draw.probability,
                "seeds": list(draw.seeds),
                "passing": draw.passing,
            }
            for draw in plan.draws
        ],
        "created": plan.created,
    }
    head = {"schema_version": PLAN_VERSION, "hash": content_hash(content)}
    write_json(paths.plan, {**head, **content})


def content_hash(content: Mapping[str, object]) -> str:
    """Sixteen hex digits of everything but the head."""
    return digest("plan", content)


def read_plan(paths: VerificationPaths) -> Plan:
    """The plan as it was written; `StoredDataError` where it is damaged, too new or changed."""
    content = _read(paths.plan)
    given = content.get("hash")
    if given != content_hash({k: v for k, v in content.items() if k not in HEAD}):
        rule = "must be as it was written before anything was trained (its hash differs)"
        remedy = "Restore it, or move the folder away and verify again."
        raise StoredDataError(Mistake(str(paths.plan), rule, given, remedy))
    draws = (
        Draw(d["stratum"], d["defence"], d["probability"], tuple(d["seeds"]), d.get("passing"))
        for d in content["draws"]
    )
    return Plan(
        content["frozen"],
        _asked(content["settings"]),
        tuple(build_attack(a, content.get("files"), former=True) for a in content["transfer"]),
        tuple(draws),
        content["created"],
    )


def _asked(entry: SettingsEntry) -> VerificationSettings:
    return VerificationSettings(entry["draws"], entry["seeds"], entry["target"], entry.get("claim"))


def _read(file: Path) -> PlanFile:
    rule = "must be a verification's plan with schema version"
    return cast(PlanFile, read_versioned(file, PLAN_VERSION, rule))
