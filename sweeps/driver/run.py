"""From a question to region.json: sweeps as functions, to run, resume and extend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from sweeps.answer.write import write_region
from sweeps.driver.execute import execute, holding
from sweeps.driver.messages import Messages
from sweeps.driver.runner import RunnerName, check_runner
from sweeps.ledger import Ledger
from sweeps.results.changed_code import CodeCheck, check_code
from sweeps.results.create import create_results, reopen
from sweeps.results.extend import extend_results
from sweeps.results.in_use import holds_sweep, refuse_folder_in_use
from sweeps.runners import Runner
from sweeps.scheduling.loop import SweepOutcome
from sweeps.scheduling.reuse import check_reusable
from sweeps.spec import SweepSpec, load_spec
from sweeps.storage.named_places import named_place
from sweeps.storage.paths import SweepPaths, open_results


def run_sweep(
    spec: SweepSpec | Mapping[str, Any] | Path | str,
    out: Path | str | None = None,
    runner: RunnerName | Runner = "tune",
    quiet: bool = False,
    reuse: Sequence[Path | str] = (),
) -> SweepOutcome:
    """Trains what a question asks for, keeps every result, and says where the region is.

    Example:
        outcome = run_sweep("digits", out="results/digits", runner="serial")
        outcome.finished, read_region(outcome.folder)["recommended"]

    Trials go to the ledger in `out` as they end, and to MLflow unless the spec says `tracking:
    none`; region.json is written at the end. The first Ctrl-C lets running trials end, the second
    stops at once; `outcome.interrupted` is then true, and `resume_sweep` goes on from there.

    Args:
        spec: a question: what `load_spec` returns or accepts.
        out: the results folder, new or empty; by default results/NAME.
        runner: `tune` is Ray Tune, on the cluster at $RAY_ADDRESS if set, else on this machine;
            `serial` is this process. Or a runner, such as `ReplayRunner`.
        quiet: without progress and messages on stderr; warnings stay.
        reuse: results folders of other sweeps, whose finished trials are taken over where id, data,
            engine and its version, and the source code of users' kinds agree.

    Returns:
        Counts of trials, and the folder. Failed trials raise nothing: `sweeps status` says why
        they failed.

    Raises:
        UserError: the spec is wrong, with all mistakes; or the folder holds something.
    """
    given = None if out is None else named_place(out, "out")
    if given is not None and not holds_sweep(given):
        refuse_folder_in_use(given, "out")
    checked = spec if isinstance(spec, SweepSpec) else load_spec(spec)
    check_runner(runner, checked)
    folder = given if given is not None else Path("results") / checked.name
    refuse_folder_in_use(folder, "out", checked)
    check_reusable(reuse, "reuse")
    paths = create_results(checked, folder, ["sweeps.run_sweep"], "out", reuse)
    return _run_to_region(paths, checked, runner, Messages(quiet))


#: How Python accepts changed source code of users' kinds.
ACCEPT = "accept_changed_code=True"


def resume_sweep(
    folder: Path | str,
    runner: RunnerName | Runner = "tune",
    quiet: bool = False,
    accept_changed_code: bool = False,
) -> SweepOutcome:
    """Goes on with a sweep that was interrupted; what is recorded is not trained again.

    Args:
        folder: its results folder. runner, quiet: as for `run_sweep`.
        accept_changed_code: whether to go on where source code of your own kinds has changed since
            trials were recorded; sweep.json then records it.

    Raises:
        UserError: the folder holds no sweep, its data have changed, or code of your own kinds has.
    """
    messages = Messages(quiet)
    with holding(open_results(folder)) as lock:
        code = check_code(open_results(folder), accept_changed_code, ACCEPT)
        paths, spec = reopen(folder)
        check_runner(runner, spec)
        _record_code(code, paths, messages)
        return _run_to_region(paths, spec, runner, messages, lock)


def extend_sweep(
    folder: Path | str,
    spec: SweepSpec | Mapping[str, Any] | Path | str | None = None,
    changes: Sequence[str] = (),
    runner: RunnerName | Runner = "tune",
    quiet: bool = False,
    reuse: Sequence[Path | str] = (),
    accept_changed_code: bool = False,
) -> SweepOutcome:
    """Asks more of a sweep, and trains exactly what is new: seeds, values, attacks, budget, or
    other thresholds.

    Example:
        extend_sweep("results/digits", changes=["seeds=10", "region.attack_success=0.1"])

    Clean baselines are trained again where they lack a new trigger, and so are trials that were
    stopped as certain by other thresholds.

    Args:
        folder: its results folder.
        spec: the whole question, as `load_spec` takes it; by default the sweep's own.
        changes: `key=value` with a dotted key, as after `--set`.
        runner, quiet, reuse: as for `run_sweep`. accept_changed_code: as for `resume_sweep`.

    Raises:
        UserError: the question is wrong, or no extension; then with everything that differs.
    """
    check_reusable(reuse, "reuse")
    source = spec.document if isinstance(spec, SweepSpec) else spec
    messages = Messages(quiet)
    with holding(open_results(folder)) as lock:
        code = check_code(open_results(folder), accept_changed_code, ACCEPT)
        paths, extended, found = extend_results(
            folder,
            source,
            changes,
            ["sweeps.extend_sweep"],
            reuse,
            lambda spec: check_runner(runner, spec),
        )
        _record_code(code, paths, messages)
        messages.say_added(found.added, str(paths.spec))
        return _run_to_region(paths, extended, runner, messages, lock)


def _record_code(code: CodeCheck, paths: SweepPaths, messages: Messages) -> None:
    code.record(paths)
    for note in code.notes:
        messages.say(f"note: {note}")


def _run_to_region(
    paths: SweepPaths,
    spec: SweepSpec,
    runner: RunnerName | Runner,
    messages: Messages,
    lock: ExitStack | None = None,
) -> SweepOutcome:
    def answer(outcome: SweepOutcome, ledger: Ledger) -> None:
        write_region(paths, spec, ledger, finished=True)

    return execute(paths, spec, runner, messages, answer, lock=lock)[0]
