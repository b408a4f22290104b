"""What `sweeps verify` says before it trains: draws, trainings, hours, and what less would take."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backdoor.errors import escaped
from backdoor.wording import counted, in_units
from sweeps.cli.console import say

if TYPE_CHECKING:
    from sweeps.ledger import Ledger
    from sweeps.storage.paths import SweepPaths
    from sweeps.verify.expected_cost import TrainingCost
    from sweeps.verify.plan import Plan
    from sweeps.verify.run import Verification


def announce(case: Verification, plan: Plan, ledger: Ledger) -> None:
    """What is trained, and what it can prove."""
    from sweeps.verify.regions import INSIDE

    planned = len({trial.trial_id for trial in plan.trials(case.spec)})
    have = f"{planned} trials, {len(ledger.finished)} recorded"
    say(f"{case.spec.name}: {have}, in {escaped(str(case.paths.root))}")
    draws = sum(draw.stratum == INSIDE for draw in plan.draws)
    if draws:
        say(_trained(case, plan, planned))
        _say_power(plan, draws)


def _trained(case: Verification, plan: Plan, planned: int) -> str:
    """`59 draws inside, 15 near the border and 15 outside, each with 5 fresh seeds ...`."""
    from sweeps.verify.regions import STRATA

    counts = [sum(draw.stratum == name for draw in plan.draws) for name in STRATA]
    words = (" inside", " near the border", " outside")
    parts = [f"{n}{word}" for n, word in zip(counts, words, strict=True) if n]
    seeds = counted(plan.settings.seeds, "fresh seed")
    attacks = counted(len(case.spec.panel), "attack of the panel", "attacks of the panel")
    other = f", inside {len(plan.transfer)} others" if plan.transfer else ""
    clean = ", and a clean baseline" if plan.above_baseline else ""
    return (
        f"draws: {', '.join(parts)}; each with {seeds}, and {attacks}{other}{clean}: "
        f"{counted(planned, 'training')}"
    )


def _say_power(plan: Plan, draws: int) -> None:
    """Whether so many draws inside can prove the claim, and how likely that is."""
    from sweeps.statistics.binomial import chance_to_prove, fewest_draws
    from sweeps.verify.regions import INSIDE

    claim = plan.settings.claim
    if draws < plan.settings.draws:
        say(f"note: so little is inside that {draws} of {plan.settings.draws} draws were found")
    if draws < (needed := fewest_draws(claim)):
        say(f"note: {draws} draws cannot prove {claim:g}, even if all pass; {needed} can")
    chances = [d.passing for d in plan.draws if d.stratum == INSIDE and d.passing is not None]
    if chances:
        mean = sum(chances) / len(chances)
        power = chance_to_prove(claim, draws, mean)
        expected = f"of which the model expects {100 * mean:.1f} % to pass"
        proven = f"the probability that they prove the claim is {100 * power:.0f} %"
        say(f"{draws} draws inside, {expected}: {proven}")


def announce_time(
    paths: SweepPaths, case: Verification, plan: Plan, ledger: Ledger, runner: str
) -> None:
    """How long it will take here, from what that is estimated, and what less takes."""
    from sweeps.cost.estimate import workers_here
    from sweeps.ledger import Ledger
    from sweeps.runners.ray_address import ray_address
    from sweeps.storage.paths import read_sweep
    from sweeps.verify.expected_cost import (
        RAY_END,
        closing_seconds,
        measured_now,
        nothing_measured,
        slowdown,
        smaller,
        start_seconds,
        training_cost,
    )

    rows, resources = Ledger(paths.ledger).trials(), case.spec.resources
    cluster, head = ray_address() is not None and runner != "serial", read_sweep(paths)
    workers = 1 if runner == "serial" or cluster else workers_here(resources.cpu, resources.gpu)
    measure = nothing_measured if cluster else measured_now
    cost = training_cost(plan, case.spec, rows, ledger.finished, workers, case.alike, measure)
    if cost is None:
        return
    slow = slowdown()
    fixed = closing_seconds(case.opened, paths.report.is_file(), slow)
    if runner != "serial":
        fixed += start_seconds(rows, head["created"], slow) + RAY_END * slow
    lasts = in_units(fixed + cost.on(workers))
    held = f" and {_hours(cost.total * resources.gpu / 3600)} of GPUs" if resources.gpu else ""
    where = "if one worker trains all, less on the cluster" if cluster else "here"
    say(f"claim {plan.settings.claim:g}: about {lasts}{held} {where}, {_basis(cost)}")
    if (less := smaller(plan, case.spec, cost, case.predicted())) is None:
        if plan.transfer:
            say("less: --transfer none")
        return
    settings, other = less
    draws, takes = counted(settings.draws, "draw"), in_units(fixed + other / workers)
    fewer = "; or --transfer none" if plan.transfer else ""
    say(f"less: --claim {settings.claim:g}: {draws}, about {takes}{fewer}")


def _basis(cost: TrainingCost) -> str:
    """From what the time is estimated."""
    if cost.measured is None:
        return "if trainings take as long as the sweep's did"
    return f"by {in_units(cost.measured)} of training now"


def _hours(hours: float) -> str:
    """`0.1 h`, with two digits that say something."""
    return f"{hours:.2g} h" if hours < 10 else f"{hours:.0f} h"
