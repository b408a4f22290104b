"""The runner that a name stands for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from backdoor.errors import Mistake, UserError
from backdoor.settings.outside import texts_in
from backdoor.settings.schema import suggest
from backdoor.settings.source_files import MAIN
from sweeps.runners.ray_address import ray_address, refuse_dead_address
from sweeps.runners.sent_code import code_to_send, named_kinds
from sweeps.spec.model import SweepSpec
from sweeps.storage.paths import SweepPaths

if TYPE_CHECKING:
    from sweeps.ledger import Ledger
    from sweeps.runners import Runner

RunnerName = Literal["tune", "serial"]
NAMES = ("tune", "serial")


def check_runner(runner: str | Runner, spec: SweepSpec, place: str = "runner") -> None:
    """`UserError` where there is no such runner, or it cannot do what the spec asks for.

    place: what the caller gave it as.
    """
    if isinstance(runner, str) and runner not in NAMES:
        rule = f"must be {' or '.join(NAMES)}, or a runner"
        raise UserError(Mistake(place, rule, runner, suggest(runner, NAMES)))
    if not isinstance(runner, str) and (isinstance(runner, type) or not hasattr(runner, "run")):
        rule = f"must be {' or '.join(NAMES)}, or an object with the method `run`"
        remedy = "For example ReplayRunner(FOLDER), with its arguments."
        raise UserError(Mistake(place, rule, repr(runner), remedy))
    name = runner if isinstance(runner, str) else type(runner).__name__
    # Without Ray Tune all trials would run to their end, and nobody would notice.
    if spec.stopped_by_tune and name not in ("tune", "TuneRunner"):
        rule = "must be `tune` for `stopping: asha` or `median`: Ray Tune stops the trials"
        raise UserError(Mistake(place, rule, name, f"Use {place} tune."))
    if name in ("tune", "TuneRunner") and (kind := _kind_of_this_process(spec.document)):
        rule = "must be `serial` for kinds of `__main__`, which other processes do not have"
        named = kind.removeprefix(f"{MAIN}:")
        remedy = f"Or move {named} into a module of your own: my_module:Class."
        raise UserError(Mistake(place, rule, name, remedy))
    if runner == "tune" and (address := ray_address()):
        check_code_travels(runner, spec.document)
        refuse_dead_address(address)
    if isinstance(runner, str) and (runner == "serial" or not _on_a_cluster()):
        check_gpus(spec.resources.gpu)


def check_code_travels(runner: str | Runner, *parts: object) -> None:
    """`UserError` where a cluster would have to be sent kinds of these plain values that cannot be
    sent."""
    if runner == "tune" and ray_address():
        code_to_send(named_kinds(*parts))


def check_gpus(gpu: float) -> None:
    """`UserError` where this machine has fewer GPUs than a pack asks for."""
    import torch

    if gpu > (have := torch.cuda.device_count()):
        rule = f"must not exceed the {have} GPUs of this machine that torch can use"
        remedy = "Set it to 0 for CPUs, or set RAY_ADDRESS to a cluster that has them."
        raise UserError(Mistake("resources.gpu", rule, gpu, remedy))


def _on_a_cluster() -> bool:
    """Whether Ray Tune will use a Ray that others have started."""
    if ray_address():
        return True
    from sweeps.runners.ray_session import is_connected

    return is_connected()


def _kind_of_this_process(part: object) -> str | None:
    """A kind in these plain values that was defined in a notebook or in the script that runs."""
    return next((name for _, name in texts_in(part) if name.startswith(f"{MAIN}:")), None)


def add_kinds(runner: Runner, *parts: object) -> None:
    """Lets workers have the kinds of these plain values too, if the runner sends code."""
    from sweeps.runners.tune import TuneRunner

    if isinstance(runner, TuneRunner):
        runner.kinds = sorted({*runner.kinds, *named_kinds(*parts)})


def runner_of(runner: str | Runner, spec: SweepSpec, ledger: Ledger) -> Runner:
    """The runner of that name for a sweep's packs; a runner as it is."""
    if not isinstance(runner, str):
        return runner
    if runner == "serial":
        from sweeps.runners.running_note import RunningNote
        from sweeps.runners.serial import SerialRunner

        return SerialRunner(note=RunningNote(SweepPaths(ledger.folder.parent).running))
    from sweeps.runners.tune import TuneRunner

    past = None if spec.stopping is None else ledger.table()
    kinds = named_kinds(spec.document)
    cpu, gpu = spec.resources.cpu, spec.resources.gpu
    return TuneRunner(cpu, gpu, stopping=spec.stopping, past=past, kinds=kinds)
