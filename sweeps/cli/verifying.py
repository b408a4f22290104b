"""`sweeps verify`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from backdoor.errors import escaped
from sweeps.cli.console import FAILURES, FINE, INTERRUPTED, duration, say
from sweeps.storage.shell import command

if TYPE_CHECKING:
    from sweeps.ledger import Ledger
    from sweeps.records.verification_file import VerificationFile
    from sweeps.storage.paths import SweepPaths
    from sweeps.verify.plan import Plan
    from sweeps.verify.run import Verification


def verify(args: argparse.Namespace) -> int:
    """Prove the region with fresh seeds: exit code 0 if it passes, 1 if that is not proven."""
    from sweeps.ledger import Ledger
    from sweeps.records.control_text import control_warning, takes_nowhere
    from sweeps.region.panel import criteria_of
    from sweeps.region.point_table import region_of
    from sweeps.results.create import reopen
    from sweeps.spec.former import former_notes
    from sweeps.storage.files import locked
    from sweeps.storage.leftovers import clear_leftovers
    from sweeps.verify.plan import settings_of
    from sweeps.verify.run import verification
    from sweeps.verify.transfer import transfer_attacks
    from sweeps.verify.verification_text import next_step, verification_text

    paths, spec = reopen(args.dir)
    for note in former_notes(spec):
        say(f"note: {note}")
    settings = settings_of(args.draws, args.seeds, args.target or spec.region.target)
    transfer = transfer_attacks(spec, args.transfer, say)
    case = verification(paths, spec, settings, transfer, args.basis)
    with locked(case.paths.lock):
        clear_leftovers(case.paths)
        plan, ledger = case.plan, Ledger(case.paths.ledger)
        _announce(case, plan, ledger)
        _announce_time(paths, case, plan, ledger, args.runner)
        if not _train(case, plan, ledger, args):
            recorded = f"{len(ledger.finished)} trials are recorded"
            say(f"Interrupted: {recorded}. Go on with: {_again(args)}")
            return INTERRUPTED
        answer = case.answer(ledger, plan)
    region = region_of(criteria_of(spec), Ledger(paths.ledger))
    if (warning := control_warning(region)) is not None:
        say(warning)
    text = _unfinished(paths, answer) or verification_text(answer, takes_nowhere(region))
    print(json.dumps(answer) if args.json else text)
    say(f"\nFull answer: {escaped(str(case.paths.answer))}")
    if answer["trials"]["failed"]:
        say(f"{answer['trials']['failed']} trainings failed; to try them again: {_again(args)}")
    if (following := next_step(answer, paths.root, lambda draws: _again(args, draws))) is not None:
        say(following)
    return FINE if answer["verdict"] == "passed" else FAILURES


def _unfinished(paths: SweepPaths, answer: VerificationFile) -> str | None:
    """Why there is nothing to verify, where that is because the sweep has not ended."""
    from sweeps.ledger import Ledger
    from sweeps.storage.paths import read_sweep
    from sweeps.verify.answer import EMPTY
    from sweeps.verify.verification_text import unfinished_text

    if answer["verdict"] != EMPTY:
        return None
    ledger, planned = Ledger(paths.ledger), read_sweep(paths)["planned"]
    ended = len(ledger.ended | ledger.failed)
    return unfinished_text(ended, planned, paths.root) if ended < planned else None


def _again(args: argparse.Namespace, draws: int | None = None) -> str:
    """The command that resumes this verification: other options would begin another one.
    draws: another number of them."""
    names = ("draws", "seeds", "target", "basis", "transfer", "runner")
    options: list[object] = []
    for name in names:
        value = draws if name == "draws" and draws is not None else getattr(args, name)
        if value is not None and value != DEFAULTS.get(name):
            options += [f"--{name}", value]
    return command("sweeps", "verify", Path(args.dir), *options)


#: Defaults of options, which need not be repeated.
DEFAULTS = {"transfer": "standard-1", "runner": "tune"}


def _announce(case: Verification, plan: Plan, ledger: Ledger) -> None:
    from sweeps.statistics.binomial import chance_to_prove, fewest_draws
    from sweeps.verify.plan import CLAIMS
    from sweeps.verify.regions import INSIDE

    planned = len({trial.trial_id for trial in plan.trials(case.spec)})
    have = f"{planned} trials, {len(ledger.finished)} recorded"
    say(f"{case.spec.name}: {have}, in {escaped(str(case.paths.root))}")
    claim = CLAIMS[plan.settings.target]
    draws = sum(draw.stratum == INSIDE for draw in plan.draws)
    if not draws:
        return
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


def _announce_time(
    paths: SweepPaths, case: Verification, plan: Plan, ledger: Ledger, runner: str
) -> None:
    """How long it will take here, from what the trials of the sweep took."""
    from sweeps.cost.estimate import workers_here
    from sweeps.ledger import Ledger
    from sweeps.runners.ray_address import ray_address

    missing = len({trial.trial_id for trial in plan.trials(case.spec)} - set(ledger.finished))
    took = [trial.seconds for trial in Ledger(paths.ledger).trials() if trial.seconds]
    if not missing or not took or ray_address():
        return
    resources = case.spec.resources
    workers = 1 if runner == "serial" else workers_here(resources.cpu, resources.gpu)
    lasts = duration(missing * sum(took) / len(took) / workers)
    shorter = "shorter with fewer --draws or --transfer none"
    say(f"about {lasts} here, if each takes as long as those of the sweep did ({shorter})")


def _train(case: Verification, plan: Plan, ledger: Ledger, args: argparse.Namespace) -> bool:
    """Trains what is missing; whether nothing is missing then."""
    from sweeps.driver.messages import STOPPING
    from sweeps.driver.progress import Progress
    from sweeps.driver.runner import runner_of

    planned = len({trial.trial_id for trial in plan.trials(case.spec)})
    if len(ledger.finished) == planned:
        return True
    if args.runner == "tune":
        say("starting Ray ...")
    progress = Progress(planned, len(ledger.finished))
    try:
        runner = runner_of(args.runner, case.spec, ledger)

        def stopping() -> None:
            progress.stop()
            say(STOPPING)

        outcome = case.train(ledger, plan, runner, [progress], stopping)
    except KeyboardInterrupt:
        return False
    finally:
        progress.show(last=True)
        ledger.compact()
    return not outcome.interrupted
