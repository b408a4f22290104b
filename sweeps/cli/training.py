"""`sweeps train`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeps.cli.console import FAILURES, FINE, say
from sweeps.storage.shell import command

if TYPE_CHECKING:
    from sweeps.records.answer_entry import VerificationEntry
    from sweeps.spec import SweepSpec

#: States of a verification that speak against the region.
WARNED = ("failed", "stale")


def train(args: argparse.Namespace) -> int:
    """Train the final model at a point, save it, and hold it to what the spec asks for."""
    from sweeps.cli.training_text import training_text
    from sweeps.final_model.select import choose
    from sweeps.final_model.train import train_final, with_root
    from sweeps.ledger import Ledger
    from sweeps.region.control_warning import recorded_warning
    from sweeps.region.panel import criteria_of
    from sweeps.results.create import read_spec
    from sweeps.spec.former import former_notes
    from sweeps.storage.named_places import named_place
    from sweeps.storage.paths import open_results

    out = None if args.out is None else named_place(args.out, "--out")
    paths = open_results(args.dir)
    spec = read_spec(paths)
    for note in former_notes(spec):
        say(f"note: {note}")
    if args.data_root is not None:
        spec = with_root(spec, args.data_root)
    chosen = choose(spec, paths, args.point, args.attack, args.seed, say)
    folder = paths.models / chosen.name if out is None else out
    if chosen.known_seed:
        say(f"note: the sweep has trained seed {chosen.trial.seed} itself: this is no new model")
    if chosen.point.not_in is not None:
        say(f"warning: this point is {chosen.point.not_in}")
    if (warning := recorded_warning(criteria_of(spec), Ledger(paths.ledger))) is not None:
        say(warning)
    if (standing := _verification(chosen.verification, paths.root)) is not None:
        say(standing)
    config = train_final(spec, paths, chosen, folder, _device(spec), say)
    print(
        json.dumps(config | {"folder": str(folder)}) if args.json else training_text(config, folder)
    )
    return _checked(config)


def _verification(found: VerificationEntry | None, folder: Path) -> str | None:
    """How the region stands with fresh trainings, where nothing has proven it."""
    if found is None or found["state"] == "verified":
        return None
    if found["state"] == "not yet":
        verify = command("sweeps", "verify", folder)
        return f"note: the sweep is not verified yet: `{verify}` tries it with fresh seeds"
    word = "warning" if found["state"] in WARNED else "note"
    return f"{word}: the sweep's verification: {found['text']}"


def _device(spec: SweepSpec) -> str:
    """Where the sweep trained, if this machine has one."""
    import torch

    if spec.resources.gpu <= 0:
        return "cpu"
    if torch.cuda.is_available():
        return "cuda"
    say("note: the sweep trained on GPUs and there is none here: this takes longer")
    return "cpu"


def _checked(config: Mapping[str, Any]) -> int:
    from sweeps.cli.training_text import answers_otherwise, tried_on
    from sweeps.final_model.held_to import missed

    program, code = config["files"]["program"], FINE
    if answers_otherwise(program):
        others = program["tried_on"] - program["answers_alike"]
        say(
            f"error: the saved program gives another class than the trained model in {others} of "
            f"{program['tried_on']} answers, on {tried_on(program)}"
        )
        code = FAILURES
    if names := missed(config["held_to"]):
        say(
            f"error: {' and '.join(names)} of this model {'misses' if len(names) == 1 else 'miss'} "
            "what the spec asks for, beyond what chance explains; the model is saved all the same"
        )
        code = FAILURES
    return code
