"""`sweeps verify`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeps.cli.console import FAILURES, FINE, INTERRUPTED, say
from sweeps.storage.shell import command

if TYPE_CHECKING:
    from sweeps.ledger import Ledger
    from sweeps.verify.plan import Plan
    from sweeps.verify.run import Verification


def verify(args: argparse.Namespace) -> int:
    """Prove the region with fresh seeds: exit code 0 if it passes, 1 if that is not proven."""
    from sweeps.ledger import Ledger
    from sweeps.results.create import reopen
    from sweeps.storage.files import locked
    from sweeps.verify.plan import settings_of
    from sweeps.verify.run import verification
    from sweeps.verify.transfer import transfer_attacks
    from sweeps.verify.verification_text import verification_text

    paths, spec = reopen(args.dir)
    settings = settings_of(args.draws, args.seeds, args.target or spec.region.target)
    transfer = transfer_attacks(spec, args.transfer, say)
    case = verification(paths, spec, settings, transfer, args.basis)
    with locked(case.paths.lock, "sweeps verify"):
        plan, ledger = case.plan, Ledger(case.paths.ledger)
        _announce(case, plan, ledger)
        if not _train(case, plan, ledger, args):
            say(f"Interrupted: {len(ledger.finished)} trials are recorded. Go on with: "
                f"{_again(args)}")  # fmt: skip
            return INTERRUPTED
        answer = case.answer(ledger, plan)
    print(json.dumps(answer) if args.json else verification_text(answer))
    say(f"\nAll of it: {case.paths.answer}")
    if answer["trials"]["failed"]:
        say(f"{answer['trials']['failed']} trainings failed; to try them again: {_again(args)}")
    return FINE if answer["verdict"] == "passed" else FAILURES


def _again(args: argparse.Namespace) -> str:
    """The same command: what was asked is part of which verification it is."""
    given = {"draws": args.draws, "seeds": args.seeds, "target": args.target,
             "basis": args.basis, "transfer": args.transfer, "runner": args.runner}  # fmt: skip
    options = [text for name, value in given.items() if value is not None
               and value != DEFAULTS.get(name) for text in (f"--{name}", value)]  # fmt: skip
    return command("sweeps", "verify", Path(args.dir), *options)


#: Of options that have one; they need not be repeated.
DEFAULTS = {"transfer": "standard-1", "runner": "tune"}


def _announce(case: Verification, plan: Plan, ledger: Ledger) -> None:
    from sweeps.statistics.binomial import chance_to_prove, fewest_draws
    from sweeps.verify.plan import CLAIMS
    from sweeps.verify.regions import INSIDE

    planned = len({trial.trial_id for trial in plan.trials(case.spec)})
    say(f"{case.spec.name}: {planned} trials, {len(ledger.finished)} recorded, "
        f"in {case.paths.root}")  # fmt: skip
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
        say(f"{draws} draws inside, of which the model expects {100 * mean:.1f} % to pass: "
            f"they prove it with a chance of {100 * power:.0f} %")  # fmt: skip


def _train(case: Verification, plan: Plan, ledger: Ledger, args: Any) -> bool:
    """Whether it came to its end."""
    from sweeps.cli.progress import Progress
    from sweeps.cli.running import runner_of

    planned = len({trial.trial_id for trial in plan.trials(case.spec)})
    if len(ledger.finished) == planned:
        return True
    if args.runner == "tune":
        say("starting Ray ...")
    progress = Progress(planned, len(ledger.finished))
    try:
        outcome = case.train(
            ledger, plan, runner_of(args.runner, case.spec, ledger), [progress],
            lambda: say("\nStopping: running packs end first. Ctrl-C again stops at once."),
        )  # fmt: skip
    except KeyboardInterrupt:
        return False
    finally:
        progress.show(last=True)
        ledger.compact()
    return not outcome.interrupted
