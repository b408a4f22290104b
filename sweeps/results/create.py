"""Making a results folder, and opening one again with the same question and the same data."""

from __future__ import annotations

import datetime
import importlib.metadata
import shlex
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from backdoor.config import build_defence, measure_id
from backdoor.datasets.class_names import has_names
from backdoor.datasets.source import load_source
from backdoor.errors import Mistake, StoredDataError, UserError
from sweeps.pictures.trigger_pictures import draw_gallery, write_gallery
from sweeps.records.sweep_file import (
    AskedSpec,
    Defaults,
    LearnedVerifications,
    ReusedSweeps,
    SelectedClasses,
    SweepFile,
)
from sweeps.region.panel import criteria_of
from sweeps.results.asked import asked, present_text
from sweeps.results.data_read import data_entry
from sweeps.results.in_use import refuse_folder_in_use
from sweeps.results.same_data import check_same_data
from sweeps.results.stored import spec_digest, stored
from sweeps.results.tracking import (
    command_without_secrets,
    is_private,
    tracking_entry,
    written,
)
from sweeps.search.planned import planned_trials
from sweeps.space.yaml_loader import load_yaml
from sweeps.spec import RecordedClasses, SweepSpec, parse_spec
from sweeps.spec.former import DEFAULTS
from sweeps.spec.weak_triggers import refuse_weak
from sweeps.storage.files import PRIVATE, read_text, write_atomic, write_json
from sweeps.storage.owner import host_name, user_name
from sweeps.storage.paths import SWEEP_VERSION, SweepPaths, open_results, read_sweep

#: Distributions whose versions results depend on.
PACKAGES = (
    "backdoor-sweeps",
    "torch",
    "torchvision",
    "numpy",
    "scipy",
    "scikit-learn",
    "ray",
    "pyarrow",
    "mlflow",
    "optuna",
)


def create_results(
    spec: SweepSpec,
    folder: Path,
    argv: Sequence[str],
    place: str = "--out",
    reuse: Sequence[Path | str] = (),
) -> SweepPaths:
    """Writes what the sweep is; sweep.json comes last: a folder that has it is complete.

    place: what the caller gave the folder as. reuse: folders of sweeps whose trials it takes over.
    """
    refuse_folder_in_use(folder, place)
    refuse_weak(spec)  # a spec that was read without its data, or changed in Python, may have some
    paths = SweepPaths(folder)
    # All that can fail comes before the folder: an incomplete one can be neither run nor resumed.
    gallery, description = draw_gallery(spec), _description(spec, paths, argv, reuse)
    try:
        paths.ledger.mkdir(parents=True)
    except OSError as error:
        rule = "must be a new folder in a place that can be written"
        raise UserError(
            Mistake(place, rule, str(folder), f"Choose another one ({error.strerror}).")
        ) from None
    mode = PRIVATE if is_private(description["tracking"]["uri"]) else None
    write_atomic(paths.spec, written(spec).encode(), follow=False, mode=mode)
    write_gallery(paths, *gallery)
    write_json(paths.sweep, description, mode=mode)
    return paths


def _description(
    spec: SweepSpec, paths: SweepPaths, argv: Sequence[str], reuse: Sequence[Path | str]
) -> SweepFile:
    source = load_source(spec.data)
    planned, points = planned_trials(spec)
    return {
        "schema_version": SWEEP_VERSION,
        "sweep_id": uuid.uuid4().hex,
        "name": spec.name,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "data_fingerprint": source.fingerprint,
        "class_names": list(source.class_names),
        "data": data_entry(spec),
        "planned": planned,
        "measures": measures_of(spec),
        "versions": versions(),
        "tracking": tracking_entry(spec, paths),
        "command": shlex.join(command_without_secrets(argv, spec.document)),
        "user": user_name(),
        "host": host_name(),
        **stored(criteria_of(spec), written(spec)),
        "planned_points": points,
        "inactive": inactive_settings(spec),
        "specs": [asked(spec, argv, planned)],
        **_selected(spec),
        **reused(reuse),
        **_nothing_learned(),
        **_defaults(spec),
    }


def _nothing_learned() -> LearnedVerifications:
    """No verification has been fed back into a new sweep."""
    return {}


def reused(folders: Sequence[Path | str], before: Sequence[str] = ()) -> ReusedSweeps:
    """Folders whose trials a sweep takes over, with those of `before`; nothing where there are
    none."""
    found = dict.fromkeys([*before, *(str(Path(folder).resolve()) for folder in folders)])
    return {"reuse": list(found)} if found else {}


def measures_of(spec: SweepSpec) -> dict[str, dict[str, Any]]:
    """Measure id → identity of a trigger with its target, in the order of the panel."""
    return {measure_id(m): m.measure_identity() for m in spec.measures}


def _selected(spec: SweepSpec) -> SelectedClasses:
    """What the names in `data.classes` stand for; nothing where it has none."""
    given = spec.document["data"]
    if not isinstance(given, dict) or not has_names(given.get("classes")):
        return {}
    return {"class_numbers": [int(number) for number in spec.data.classes or ()]}


def _defaults(spec: SweepSpec) -> Defaults:
    """With which defaults the sweep begins; nothing where it is read as one that has begun."""
    return {} if spec.former else {"defaults": DEFAULTS}


def inactive_settings(spec: SweepSpec) -> dict[str, list[str]]:
    """Kind of architecture → the training settings that it ignores, such as the learning rate of a
    closed form."""
    ends = (point for point, place in spec.defence.ends() if not place)  # one of each branch
    architectures = [build_defence(point, spec.files).architecture for point in ends]
    return {
        str(architecture.identity()["kind"]): sorted(architecture.inactive)
        for architecture in architectures
    }


def versions() -> dict[str, str]:
    """Versions of what the results depend on."""
    found = {"python": sys.version.split()[0]}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def reopen(folder: Path | str) -> tuple[SweepPaths, SweepSpec]:
    """The paths and the spec of an existing sweep; its data must be what they were."""
    paths = open_results(folder)
    # First the data, so that a new rule of reading is named, and not what follows from it.
    check_same_data(read_spec(paths), paths)
    return paths, read_spec(paths, against_data=True)


def read_spec(paths: SweepPaths, against_data: bool = False) -> SweepSpec:
    """The spec as it was run. Results can be read without the data; training needs them."""
    sweep = read_sweep(paths)
    mistakes: list[Mistake] = []
    document = load_yaml(present_text(paths, sweep), mistakes.append, str(paths.spec))
    if not isinstance(document, dict):
        remedy = "Restore the file: results are judged by the question they answer."
        raise StoredDataError(Mistake(str(paths.spec), "must be a spec", document, remedy))
    return parse_spec(document, mistakes, against_data, RecordedClasses.of(sweep))


def first_asked(sweep: SweepFile, text: str, spec: SweepSpec) -> AskedSpec:
    """The entry of the spec of a folder that has none yet."""
    entry = asked(spec, shlex.split(sweep["command"]), sweep["planned"])
    # What the file holds may be written otherwise, and with a secret.
    return {**entry, "since": sweep["created"], "digest": spec_digest(text)}


def store_spec(paths: SweepPaths, spec: SweepSpec) -> None:
    """Stores in sweep.json what folders of earlier releases lack of the spec, with its digest; and
    writes spec.yaml where an extension was interrupted before it did. For who holds the lock."""
    sweep = read_sweep(paths)
    text = present_text(paths, sweep)
    if "specs" not in sweep:
        write_json(
            paths.sweep,
            {**sweep, **stored(criteria_of(spec), text), "specs": [first_asked(sweep, text, spec)]},
        )
    if not paths.spec.exists() or read_text(paths.spec) != text:
        write_atomic(paths.spec, text.encode(), follow=False)
