"""Making a results folder, and opening one again with the same question and the same data."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
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
from sweeps.early_stopping.limits import in_words
from sweeps.pictures.trigger_pictures import draw_gallery, write_gallery
from sweeps.records.sweep_file import AskedSpec, ReusedSweeps, SelectedClasses, SweepFile
from sweeps.region.panel import criteria_of
from sweeps.results.asked import asked, present_text
from sweeps.results.data_read import data_entry
from sweeps.results.in_use import refuse_folder_in_use
from sweeps.results.same_data import check_same_data
from sweeps.results.stored import stored
from sweeps.search import make_search
from sweeps.space.yaml_loader import load_yaml
from sweeps.spec import RecordedClasses, SweepSpec, parse_spec
from sweeps.storage.files import read_text, write_atomic, write_json
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
    write_atomic(paths.spec, spec.to_yaml().encode())
    write_gallery(paths, *gallery)
    write_json(paths.sweep, description)
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
        "tracking": {
            "uri": tracking_uri(spec, paths),
            "runs": "trial" if spec.tracking is None else spec.tracking.runs,
        },
        "command": shlex.join(argv),
        **stored(criteria_of(spec), spec.to_yaml()),
        "planned_points": points,
        "inactive": inactive_settings(spec),
        "specs": [asked(spec.to_yaml(), argv, planned, verdict_thresholds(spec))],
        **_selected(spec),
        **reused(reuse),
    }


def reused(folders: Sequence[Path | str], before: Sequence[str] = ()) -> ReusedSweeps:
    """Folders whose trials a sweep takes over, with those of `before`; nothing where there are
    none."""
    found = dict.fromkeys([*before, *(str(Path(folder).resolve()) for folder in folders)])
    return {"reuse": list(found)} if found else {}


def measures_of(spec: SweepSpec) -> dict[str, dict[str, Any]]:
    """Measure id → identity of a trigger with its target, in the order of the panel."""
    return {measure_id(m): m.measure_identity() for m in spec.measures}


def verdict_thresholds(spec: SweepSpec) -> str | None:
    """Those that certain verdicts of trials are about, as rows name them; None without such."""
    return in_words(spec.region) if spec.predicting else None


def _selected(spec: SweepSpec) -> SelectedClasses:
    """What the names in `data.classes` stand for; nothing where it has none."""
    given = spec.document["data"]
    if not isinstance(given, dict) or not has_names(given.get("classes")):
        return {}
    return {"class_numbers": [int(number) for number in spec.data.classes or ()]}


def planned_trials(spec: SweepSpec) -> tuple[int, int | None]:
    """How many distinct trials the search proposes in all, and how many defence points; of an
    adaptive search, the most trials that there may be, and None."""
    search, trials, points = make_search(spec), set[str](), set[str]()
    if search.size is not None:
        return search.size, None
    while not search.finished:
        for trial in search.ask(4096):
            trials.add(trial.trial_id)
            points.add(trial.defence_id)
    return len(trials), len(points)


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


def tracking_uri(spec: SweepSpec, paths: SweepPaths) -> str | None:
    """The spec's tracking store, else $MLFLOW_TRACKING_URI, else sqlite in the results folder."""
    if spec.tracking is None:
        return None
    uri = spec.tracking.uri or os.environ.get("MLFLOW_TRACKING_URI")
    if uri is None:
        return f"sqlite:///{paths.mlflow.resolve()}"
    scheme, separator, path = uri.partition(":///")
    relative = scheme == "sqlite" and separator and not path.startswith("/")
    return f"sqlite:///{Path(path).resolve()}" if relative else uri


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
    argv = shlex.split(sweep["command"])
    return asked(text, argv, sweep["planned"], verdict_thresholds(spec), sweep["created"])


def bring_up_to_date(paths: SweepPaths, spec: SweepSpec) -> None:
    """Stores in sweep.json what folders of earlier releases lack of the spec, with its digest; and
    writes spec.yaml where an extension was interrupted before it did. For who holds the lock."""
    sweep = read_sweep(paths)
    text = present_text(paths, sweep)
    if "specs" not in sweep:
        write_json(
            paths.sweep,
            {**sweep, **stored(criteria_of(spec), text), "specs": [first_asked(sweep, text, spec)]},
        )
    if read_text(paths.spec) != text:
        write_atomic(paths.spec, text.encode())
