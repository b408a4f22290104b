"""`sweeps verify`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from backdoor.errors import Mistake, UserError, escaped
from backdoor.wording import counted, noun_for
from sweeps.cli.console import FAILURES, FINE, INTERRUPTED, say
from sweeps.cli.verify_announcing import announce, announce_time
from sweeps.cli.verify_basis import basis_note
from sweeps.cli.verify_ending import renewed, said_learned
from sweeps.records.failure_text import open_line
from sweeps.storage.shell import command

if TYPE_CHECKING:
    from backdoor.config import Attack
    from sweeps.ledger import Ledger
    from sweeps.records.verification_file import VerificationFile
    from sweeps.results.changed_code import CodeCheck
    from sweeps.spec import SweepSpec
    from sweeps.storage.paths import SweepPaths
    from sweeps.verify.plan import Plan
    from sweeps.verify.run import Verification


def verify(args: argparse.Namespace) -> int:
    """Prove the region with fresh seeds: exit code 0 if it passes, 1 if that is not proven."""
    from sweeps.results.changed_code import check_code
    from sweeps.results.create import reopen
    from sweeps.spec.former import former_notes
    from sweeps.storage.paths import open_results
    from sweeps.verify.learn import refuse_learning

    code = check_code(open_results(args.dir), args.accept_changed_code)
    paths, spec = reopen(args.dir)
    for note in (*former_notes(spec), *code.notes):
        say(f"note: {note}")
    if args.learn is not None:
        refuse_learning(paths, spec)
    if args.learn:
        _refuse_others(args)
        learned = said_learned(paths, spec, args.learn)
        print(json.dumps(learned)) if args.json else None
        return FINE
    _record(code, paths)
    return _verify(paths, spec, args)


def _record(code: CodeCheck, paths: SweepPaths) -> None:
    """Records changed code that was accepted, in sweep.json."""
    from sweeps.storage.files import locked

    if code.accepted:
        with locked(paths.lock):
            code.record(paths)


def _refuse_others(args: argparse.Namespace) -> None:
    """`UserError` where something is asked that an answered verification cannot be asked for."""
    given = [name for name in ASKED if getattr(args, name) is not None]
    if given:
        rule = f"must be without an id where --{given[0]} asks for a verification"
        remedy = "Verify first with `--learn` alone, or leave the other options out."
        raise UserError(Mistake("--learn", rule, args.learn, remedy))


#: Options that say what is verified.
ASKED = ("draws", "claim", "seeds", "target", "basis")


def _verify(paths: SweepPaths, spec: SweepSpec, args: argparse.Namespace) -> int:
    """Verifies; says once how to go on where it is interrupted, at any moment."""
    from sweeps.driver.hard_stop import Once, ends_soon, ignore_signals

    ledgers: list[Ledger] = []

    def tell() -> None:
        count = len(ledgers[0].finished) if ledgers else 0
        recorded = f"{counted(count, 'trial')} {noun_for(count, 'is', 'are')} recorded"
        say(f"Interrupted: {recorded}. Go on with: {_again(args)}")

    told = Once(tell)
    with ends_soon(told):
        try:
            if (code := _proven(paths, spec, args, ledgers)) is not None:
                return code
        except KeyboardInterrupt:
            pass
        told()
        ignore_signals()
        return INTERRUPTED


def _proven(
    paths: SweepPaths, spec: SweepSpec, args: argparse.Namespace, ledgers: list[Ledger]
) -> int | None:
    """The exit code; None where it was interrupted. ledgers: is given the verification's."""
    from sweeps.driver.runner import check_code_travels
    from sweeps.driver.was_running import say_was_running
    from sweeps.ledger import Ledger
    from sweeps.records.control_text import control_warning, takes_nowhere
    from sweeps.results.changed_code import check_code
    from sweeps.storage.files import locked
    from sweeps.storage.leftovers import clear_leftovers
    from sweeps.verify.plan import settings_of
    from sweeps.verify.run import verification
    from sweeps.verify.transfer import transfer_attacks
    from sweeps.verify.verification_text import next_step, verification_text

    settings = settings_of(args.draws, args.seeds, args.target or spec.region.target, args.claim)
    transfer = transfer_attacks(spec, args.transfer, say)
    check_code_travels(args.runner, spec.document, [attack.identity() for attack in transfer])
    if (note := basis_note(paths, args.basis)) is not None:
        say(note)
    case = verification(paths, spec, settings, transfer, args.basis)
    with locked(case.paths.lock):
        own = check_code(paths, args.accept_changed_code, ledger=case.paths.ledger)
        _record(own, paths)
        clear_leftovers(case.paths)
        plan, ledger = case.plan, Ledger(case.paths.ledger)
        say_was_running(case.paths, ledger, args.runner, say)
        ledgers.append(ledger)
        announce(case, plan, ledger)
        announce_time(paths, case, plan, ledger, args.runner)
        left = _train(case, plan, ledger, args, transfer)
        if left is None:
            return None
        if left:
            say(open_line(left, "training", f"`{command('sweeps', 'status', case.paths.root)}`"))
            say(f"The verification is not answered; to go on: {_again(args)}")
            return FAILURES
        answer = case.answer(ledger, plan)
    region = renewed(paths)
    if (warning := control_warning(region)) is not None:
        say(warning)
    nowhere = takes_nowhere(region)
    text = _unfinished(paths, answer) or verification_text(answer, nowhere)
    print(json.dumps(answer) if args.json else text)
    say(f"\nFull answer: {escaped(str(case.paths.answer))}")
    if answer["trials"]["failed"]:
        failed = counted(answer["trials"]["failed"], "training")
        kept = "; nothing was fed back" if args.learn is not None else ""
        say(f"{failed} failed{kept}; to try again: {_again(args)}")
    if (following := next_step(answer, paths.root, lambda draws: _again(args, draws))) is not None:
        say(following)
    if args.learn is not None and answer["inside"]["draws"] and not answer["trials"]["failed"]:
        said_learned(paths, spec, answer["verification_id"])
    return FINE if answer["verdict"] == "passed" and not nowhere else FAILURES


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
    names = ("claim", "draws", "seeds", "target", "basis", "transfer", "runner")
    options: list[object] = []
    for name in names:
        value = draws if name == "draws" and draws is not None else getattr(args, name)
        if value is not None and value != DEFAULTS.get(name):
            options += [f"--{name}", value]
    if args.learn is not None:
        options.append("--learn")
    return command("sweeps", "verify", Path(args.dir), *options)


#: Defaults of options, which need not be repeated.
DEFAULTS = {"transfer": "standard-1", "runner": "tune"}


def _train(
    case: Verification,
    plan: Plan,
    ledger: Ledger,
    args: argparse.Namespace,
    transfer: Sequence[Attack] = (),
) -> int | None:
    """Trains what is missing; how many trainings are open then, None where it was interrupted.
    transfer: attacks off the panel."""
    from contextlib import closing

    from sweeps.cost.late_prediction import LatePrediction
    from sweeps.driver.messages import STOPPING
    from sweeps.driver.progress import Progress
    from sweeps.driver.runner import add_kinds, runner_of
    from sweeps.scheduling.loop import Surroundings
    from sweeps.storage.paths import read_sweep

    planned = len({trial.trial_id for trial in plan.trials(case.spec)})
    if len(ledger.finished) == planned:
        return 0
    if args.runner == "tune":
        say("starting Ray ...")
    progress = Progress(planned, len(ledger.finished))
    try:
        runner = runner_of(args.runner, case.spec, ledger)
        if args.runner == "tune":
            add_kinds(runner, [attack.identity() for attack in transfer])

        def stopping() -> None:
            progress.stop()
            say(STOPPING)

        fingerprint = read_sweep(case.sweep_paths)["data_fingerprint"]
        with closing(LatePrediction()) as predicted:
            around = Surroundings(progress.above(say), fingerprint, predicted)
            outcome = case.train(ledger, plan, runner, [progress], stopping, around)
    except KeyboardInterrupt:
        return None
    finally:
        progress.show(last=True)
        ledger.compact()
    return None if outcome.interrupted else outcome.open
