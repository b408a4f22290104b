"""The final model: one more training at a point of a sweep, saved, and compared with the sweep.

The point, the attack and the seed are chosen from the ledger; it is trained as every trial is; the
files are those of `backdoor.export`; what is expected of a new seed is a prediction interval
(`sweeps.statistics.prediction`) from the seeds that the sweep trained there.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from backdoor.checks import check_trial
from backdoor.config import TrialConfig
from backdoor.datasets.source import load_source
from backdoor.errors import Mistake, UserError
from backdoor.export import (
    CHECKED,
    CONFIG,
    PROGRAM,
    WEIGHTS,
    TrainedModel,
    answers_of,
    describe_model,
    program_of,
    train_model,
    weights_of,
)
from sweeps.final_model.expected import expectations
from sweeps.final_model.select import Chosen
from sweeps.records.final_model_file import ProgramEntry
from sweeps.results.create import versions
from sweeps.results.same_data import check_same_data
from sweeps.spec import SweepSpec
from sweeps.storage.files import new_folder, refuse_links, write_atomic, write_json
from sweeps.storage.paths import SweepPaths, read_sweep


def with_root(spec: SweepSpec, root: str) -> SweepSpec:
    """The spec with its data taken from another place on this machine."""
    if not hasattr(spec.data, "root"):
        kind = spec.data.kind_name()
        rule = f"must not be given: `{kind}` is no set of files"
        raise UserError(Mistake("--data-root", rule, root, "Leave it out."))
    data = replace(spec.data, root=str(Path(root).expanduser().resolve()))  # type: ignore[call-arg]
    return replace(spec, data=data)


def refuse_used(folder: Path) -> None:
    """`UserError` where the folder is not empty."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    remedy = "Choose another --out, or another --seed, which names another folder."
    raise UserError(Mistake("--out", "must be a new or empty folder", str(folder), remedy))


def check(spec: SweepSpec, paths: SweepPaths, trial: TrialConfig) -> None:
    """The data must be those of the sweep, and the trial must fit them."""
    check_same_data(spec, paths, "Restore the data, or name their folder with --data-root.")
    check_trial(trial, load_source(spec.data))


def train_final(
    spec: SweepSpec,
    paths: SweepPaths,
    chosen: Chosen,
    folder: Path,
    device: str,
    say: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Trains, measures and saves the chosen model in `folder`, and returns its config.json.

    Raises:
        UserError: the folder is in use, the data are missing, or are not the sweep's.
        TrainingError: the training cannot go on.
    """
    refuse_used(folder)
    if folder.parent == paths.models:
        refuse_links(paths.root, paths.models.name)
    check(spec, paths, chosen.trial)
    with new_folder(folder) as scratch:
        # A baseline is measured with every trigger, a poisoned model with its own.
        model = train_model(chosen.trial, spec.measures, device=device, threads=spec.resources.cpu)
        write_atomic(scratch / WEIGHTS, weights_of(model.classifier))
        config = {
            **describe_model(model),
            "files": {"weights": WEIGHTS, "program": _write_program(scratch, model, say)},
            **_origin(paths, chosen),
            **_training(model),
            **expectations(model.result, chosen),
        }
        write_json(scratch / CONFIG, config)
    return config


def _origin(paths: SweepPaths, chosen: Chosen) -> dict[str, Any]:
    """Which point of which sweep, and the versions that trained it."""
    sweep, point = read_sweep(paths), chosen.point
    return {
        "sweep": {"sweep_id": sweep["sweep_id"], "name": sweep["name"]},
        "point": {
            "defence_id": point.defence_id,
            "label": point.label,
            "factors": point.factors,
        },
        "point_chosen": point.why,
        "point_modelled": point.predicted,
        "region_about": chosen.asked.about,
        "attack": None if chosen.attack is None else chosen.named(chosen.attack),
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "versions": versions(),
    }


def _training(model: TrainedModel) -> Mapping[str, Any]:
    """What was trained, on which data, and what kind of model came out."""
    result = model.result
    return {
        "trial": result.config,
        "trial_id": result.trial_id,
        "engine": {"name": result.engine, "version": result.engine_version},
        "data_fingerprint": result.data_fingerprint,
        "train_images": result.train_images,
        "poisoned": result.poisoned,
        "relabelled": result.relabelled,
        "covers": result.covers,
        "collapsed": result.collapsed,
        "diverged": result.diverged,
        "seconds": round(result.seconds, 3),
        "device": result.device,
    }


def _write_program(
    folder: Path, model: TrainedModel, say: Callable[[str], None]
) -> ProgramEntry | None:
    """Writes model.pt2, and counts the images that it answers as the trained model did.

    Answers may differ where an image lies between two classes and sums are taken in another order.
    torch cannot export every architecture that users write: then only the weights are saved.
    """
    channels, height, width = model.images.shape[1:]
    try:
        program = program_of(model.classifier, (channels, height, width))
        alike = int((answers_of(program, model.images) == model.answers).sum())
    except Exception as error:  # torch raises many kinds; the weights are saved in any case
        why = f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]
        say(f"note: torch cannot export this architecture, only its weights are saved ({why})")
        return None
    write_atomic(folder / PROGRAM, program)
    return {
        "name": PROGRAM,
        "tried_on": len(model.answers),
        "answers_alike": alike,
        "images": min(CHECKED, sum(model.result.class_total)),
        "triggered": [min(CHECKED, measured.total) for measured in model.result.measurements],
    }
