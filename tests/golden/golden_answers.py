"""What today's code answers to the questions of `golden_cases`, as plain values.

All that the golden tests know of the project's insides stands in the section "ways in": imports,
and every attribute of a trial, a spec, a search or a ledger that is looked at. Where a module moves
or a name changes, edit that section (and `golden_kinds`, which imports as somebody else's package
would), and nothing else. All other answers come through the command line.
"""

from __future__ import annotations

import contextlib
import hashlib
import html.parser
import io
import json
import lzma
import math
import os
import platform
import re
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from golden_cases import (
    COUNTED,
    NUMBERS,
    PROBED,
    PROBES,
    SEARCHES,
    WEIGHED,
    Document,
    document,
    identity_documents,
    located,
    write_files,
    write_weights,
)
from golden_reworded import lines_without_controls, without_bounds_explained, without_controls

# --- ways in: edit these where modules move or names change ------------------------------------
from backdoor.config import measure_id
from backdoor.result import probe_id
from sweeps.cli.main import COMMANDS, build_parser, main
from sweeps.ledger import RESULT_COLUMNS, SCHEMA, Ledger, load_results
from sweeps.records.probe_row import ProbeRow
from sweeps.runners.serial import SerialRunner
from sweeps.scheduling.loop import run_search
from sweeps.search import make_search
from sweeps.search.levelset_sampler import LevelSetSampler
from sweeps.spec import RecordedClasses, bundled_specs, parse_spec, read_document


def spelled(file: Path, changes: Sequence[str] = ()) -> Any:
    """A spec that has values twice, written in two ways. New ones may not; those that a sweep has
    begun with are read."""
    return parse_spec(*read_document(file, changes), begun=RecordedClasses(()))


def names_of(trial: Any) -> dict[str, Any]:
    """The ids of a trial, and the canonical form that they are the names of."""
    return {
        "trial_id": trial.trial_id,
        "defence_id": trial.defence_id,
        "attack_id": trial.attack_id,
        "seed": trial.seed,
        "config": trial.canonical,
    }


def measures_of(spec: Any) -> dict[str, Any]:
    """Id to identity of what the trials of a spec are measured with."""
    return {measure_id(m): m.measure_identity() for m in spec.measures}


def measured_on(trial: Any, spec: Any) -> list[str]:
    """Ids of the measures of one trial: its own, or of a clean baseline all of them."""
    own = None if trial.attack is None else trial.attack.measure()
    return [measure_id(m) for m in ([own] if own is not None else spec.measures)]


def probes_of(spec: Any) -> dict[str, Any]:
    """Id to identity of the probes of a spec."""
    return {probe_id(p.identity()): p.identity() for p in spec.probes}


def seeds_of(spec: Any) -> list[int]:
    """The seeds of a spec."""
    return list(spec.seeds)


def all_trials(spec: Any) -> list[Any]:
    """Everything that a search proposes which does not wait for results, in order."""
    search, found = make_search(spec), []
    while not search.finished:
        found += search.ask(4096)
    return found


def defence_id_of(given: Document, defence: dict[str, Any]) -> str:
    """The id of one defence point, `defence` as a trial has it, among the trials of a spec."""
    one = {key: value for key, value in given.items() if key not in ("search", "region")}
    trials = all_trials(parse_spec({**one, "defence": defence}, against_data=False))
    (found,) = {trial.defence_id for trial in trials}
    return str(found)


def first_trials(spec: Any) -> tuple[list[Any], int | None]:
    """As `all_trials`; of a search that learns its first trial, and how many it asks for at most."""
    search = make_search(spec)
    return (all_trials(spec) if search.size is None else search.ask(1)), search.size


def asked_and_told(spec: Any, row_of: Callable[[Any, int], dict[str, Any]]) -> list[Any]:
    """All trials that a search proposes to one worker, who tells it the row of each at once."""
    search, found = make_search(spec), list[Any]()
    while asked := search.ask(4096):
        for trial in asked:
            found.append(trial)
            search.tell(pa.Table.from_pylist([row_of(trial, len(found))], schema=SCHEMA))
    return found


def network_shapes(spec: Any, shape: tuple[int, int, int]) -> dict[str, tuple[int, ...]]:
    """Name to shape of the weights of the first architecture of a spec, for two classes."""
    network = all_trials(spec)[0].defence.architecture.build(shape, 2)
    return {name: tuple(value.shape) for name, value in network.state_dict().items()}


def train_all(spec: Any, ledger: Path) -> None:
    """Trains a whole sweep in this process."""
    run_search(spec, Ledger(ledger), make_search(spec), SerialRunner())


def rows_of(ledger: Path) -> list[dict[str, Any]]:
    """The rows of a ledger, whole."""
    rows: list[dict[str, Any]] = Ledger(ledger).rows()
    return rows


def probe_rows_of(ledger: Path) -> list[dict[str, Any]]:
    """What probes found, with columns by name."""
    rows = Ledger(ledger).probe_results.table().to_pylist()
    return [{**row, "columns": dict(ProbeRow.of(row).columns)} for row in rows]


def rewrite_ledger(
    ledger: Path, change: Callable[[pa.Table, bool], pa.Table], compacted: bool
) -> None:
    """Replaces the files of a ledger by new ones with changed rows; a second table are studies."""
    table, probed = Ledger(ledger).table(), Ledger(ledger).probe_results.table()
    shutil.rmtree(ledger)
    ledger.mkdir()
    fresh = Ledger(ledger)
    for part in _halves(change(table, False), compacted):
        fresh.append(part)
    for part in _halves(change(probed, True), compacted) if probed.num_rows else ():
        fresh.probe_results.append(part)
    if compacted:
        fresh.compact()


def _halves(table: pa.Table, halved: bool) -> list[pa.Table]:
    half = table.num_rows // 2
    return [table.slice(0, half), table.slice(half)] if halved else [table]


# --- end of the ways in ------------------------------------------------------------------------

HERE = Path(__file__).resolve().parent
FOLDERS = HERE / "folders"
#: Stands in recorded files for the folder that holds them.
PLACE = "{FOLDER}"


# --- files -------------------------------------------------------------------------------------


def write_golden(file: Path, value: Any) -> None:
    """Plain values as JSON, compressed, the same bytes for the same values."""
    text = json.dumps(value, separators=(",", ":"))
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(lzma.compress(text.encode(), preset=9 | lzma.PRESET_EXTREME))


def read_golden(file: Path) -> Any:
    """Plain values that `write_golden` wrote."""
    return json.loads(lzma.decompress(file.read_bytes()))


def plain(value: Any) -> Any:
    """A value as it comes back from JSON."""
    return json.loads(json.dumps(value))


def signature() -> dict[str, Any]:
    """What floating point results depend on beside the code: processor and libraries."""
    import scipy.linalg
    import sklearn
    import torch
    from threadpoolctl import threadpool_info

    names = {"model name", "CPU part", "vendor_id", "model", "stepping"}
    processor = {}
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines():
            name, _, value = line.partition(":")
            if name.strip() in names:
                processor[name.strip()] = value.strip()
            if name.strip() in ("flags", "Features"):  # virtual machines may all have one name
                flags = " ".join(sorted(value.split())).encode()
                processor["flags"] = hashlib.sha256(flags).hexdigest()[:16]
    kernels = {f"{i['prefix']} {i['version']} {i.get('architecture')}" for i in threadpool_info()
               if i["user_api"] == "blas"}  # fmt: skip
    return {
        "processor": processor or {"model name": platform.processor()},
        "torch": str(torch.__version__),
        "torch capability": torch.backends.cpu.get_cpu_capability(),
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "scikit-learn": sklearn.__version__,
        "blas": sorted(kernels),
    }


def make_files(folder: Path) -> Path:
    """The files that cases name: see `write_files`, and the weights of a small network."""
    spec = parse_spec(document(defence={"architecture": WEIGHED}), against_data=False)
    shapes = {
        name: shape
        for name, shape in network_shapes(spec, (3, 32, 32)).items()
        if not name.endswith("num_batches_tracked")
    }
    write_weights(write_files(folder) / "network.safetensors", shapes)
    return folder


# --- identities --------------------------------------------------------------------------------


def _named(spec: Any) -> dict[str, Any]:
    trials = [names_of(trial) for trial in all_trials(spec)]
    return plain({"trials": trials, "measures": measures_of(spec)})


#: Settings that came later and whose defaults change pixels: kind → what acts as in the record.
FORMER = {"reflection": {"falloff": "canvas"}}


def of_the_record(given: Document) -> Document:
    """A spec whose triggers act as they did at the record's commit, where it names no more."""
    attack = given["attack"]
    if isinstance(attack, str) or "trigger" not in attack:
        return given
    listed = attack["trigger"] if isinstance(attack["trigger"], list) else [attack["trigger"]]
    entries = [{"kind": each} if isinstance(each, str) else each for each in listed]
    triggers = [
        {**entry, **FORMER[entry["kind"]]} if entry["kind"] in FORMER else each
        for each, entry in zip(listed, entries, strict=True)
    ]
    return {**given, "attack": {**attack, "trigger": triggers}}


def named_today(case: str, files: Path) -> dict[str, Any]:
    """Ids and canonical forms of a case with the defaults of today."""
    given, held = identity_documents()[case]
    return _named(parse_spec(located(given, files), against_data=held))


def identities(files: Path) -> dict[str, Any]:
    """Case to ids and canonical forms of its trials and measures."""
    found = {}
    for name, (given, held) in identity_documents().items():
        as_recorded = located(of_the_record(given), files)
        found[name] = _named(parse_spec(as_recorded, against_data=held))
    (numbers := files / "numbers.yaml").write_text(NUMBERS)
    found["numbers"] = _named(spelled(numbers))
    changed = ["defence.weight_decay=[1e-5, 2]", "seeds=2", "attack.poison_rate=[0, 3e-2]"]
    found["changed by --set"] = _named(spelled(numbers, changed))
    return found


def probe_identities() -> dict[str, Any]:
    """Probe id to its identity, in the order of the spec."""
    spec = parse_spec(document(defence=PROBED, probes=PROBES), against_data=False)
    return plain(probes_of(spec))


def bundled() -> dict[str, Any]:
    """Of each bundled spec: counts, measures, and one digest of all of its trials' ids in order.

    Data that are not there are not looked for; searches that learn give what they ask for first.
    """
    found = {}
    for name, file in bundled_specs().items():
        given, mistakes = read_document(file, ["tracking=none"])
        if isinstance(given["data"], dict) and "root" in given["data"]:
            given["data"]["root"] = "somewhere"
        spec = parse_spec(given, mistakes, against_data=False)
        trials, most = first_trials(spec)
        ids = [names_of(trial)["trial_id"] for trial in trials]
        found[name] = {
            "trials": len(ids),
            "first": ids[:3],
            "last": ids[-1],
            "all": hashlib.sha256("".join(ids).encode()).hexdigest(),
            "size": most,
            "measures": sorted(measures_of(spec)),
            "seeds": seeds_of(spec)[:5],
        }
    return plain(found)


# --- trainings ---------------------------------------------------------------------------------


def counts(name: str, files: Path, ledger: Path) -> dict[str, Any]:
    """Every result column of the trials of a case of `COUNTED`, trained in this process, and what
    its probes found."""
    spec = parse_spec(located(of_the_record(COUNTED[name]), files))
    train_all(spec, ledger)
    probed = [
        {
            **{key: row[key] for key in ("trial_id", "probe_id", "probe", "outcome", "error")},
            "columns": {k: [_finite(v) for v in values] for k, values in row["columns"].items()},
        }
        for row in probe_rows_of(ledger)
    ]
    found = {
        "rows": sorted(results(ledger), key=lambda row: row["trial_id"]),
        "studies": sorted(probed, key=lambda study: (study["trial_id"], study["probe_id"])),
    }
    return plain(found)


def results(ledger: Path) -> list[dict[str, Any]]:
    """The rows of a ledger without what depends on where and when they were computed."""
    return [{key: row[key] for key in RESULT_COLUMNS} for row in rows_of(ledger)]


# --- searches ----------------------------------------------------------------------------------


def formula_row(names: dict[str, Any], measures: list[str], number: int) -> dict[str, Any]:
    """A ledger row whose counts are a formula of the trial's configuration."""
    config, defence = names["config"], names["config"]["defence"]
    decay = math.log10(defence.get("weight_decay", 0.0) + 1e-6) + 6
    rate = math.log10(defence.get("learning_rate", 0.1)) + 3
    width = math.log2(defence["architecture"].get("width", 8))
    hard = 0.0 if config["attack"] is None else config["attack"]["poison_rate"] * 10
    noise = int(hashlib.sha256(names["trial_id"].encode()).hexdigest()[:4], 16) / 65536 - 0.5
    clean = 0.97 - 0.03 * max(0.0, decay - 3.5) ** 2 - 0.01 * abs(rate - 2) + 0.002 * width
    success = 1 / (1 + math.exp(2 * (decay - 3.5 - 2 * hard) + 0.8 * noise))
    right = [min(50, max(0, round(50 * clean + noise))) for _ in range(10)]
    wrong = min(450, max(0, round(450 * success)))
    return {
        **names, "config": json.dumps(config, sort_keys=True, separators=(",", ":")),
        "status": "finished", "engine": "formula", "engine_version": 1,
        "data_fingerprint": "formula", "train_images": 1100, "poisoned": 33, "relabelled": 30,
        "covers": 0, "validation_correct": min(197, max(0, round(197 * clean))),
        "validation_total": 197, "class_correct": right, "class_total": [50] * 10,
        "collapsed": False, "diverged": False, "curve": [], "pack_id": "formula", "seconds": 0.01,
        "train_seconds": 0.01, "finished_at": 1.7e9 + number, "cpus": 1.0, "gpus": 0.0,
        "measurements": [{"measure_id": m, "success": wrong, "robust": 450 - wrong, "total": 450}
                         for m in measures],
    }  # fmt: skip


def proposals(name: str) -> list[list[Any]]:
    """The trials that a search proposes in order, told one by one to a single worker: trial, attack,
    seed, and the factors of the defence."""
    spec = parse_spec(SEARCHES[name])

    def row_of(trial: Any, number: int) -> dict[str, Any]:
        return formula_row(names_of(trial), measured_on(trial, spec), number)

    named = (names_of(trial) for trial in asked_and_told(spec, row_of))
    return plain(
        [[n["trial_id"], n["attack_id"], n["seed"], n["config"]["defence"]] for n in named]
    )


def sampler_proposals() -> list[dict[str, Any]]:
    """What the sampler for plain Optuna studies proposes in 24 trials."""
    import optuna

    def objective(trial: Any) -> float:
        x, y = trial.suggest_float("x", 1e-3, 1, log=True), trial.suggest_int("y", 1, 20)
        z = trial.suggest_categorical("z", ["a", "b"])
        trial.set_constraint("c", y / 10 - 1.2)
        return math.log10(x) + 0.05 * y + (0.3 if z == "a" else 0)

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            sampler = LevelSetSampler(thresholds=[-0.7], seed=5, n_startup_trials=8)
            study = optuna.create_study(direction="maximize", sampler=sampler)
            study.optimize(objective, n_trials=24)
    finally:
        optuna.logging.set_verbosity(before)
    return plain([trial.params for trial in study.trials])


# --- the command -------------------------------------------------------------------------------


class Said:
    """What a command left: its exit code, stdout and stderr."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


def call(*words: Any) -> Said:
    """Runs a command in this process."""
    out, err, argv = io.StringIO(), io.StringIO(), sys.argv
    sys.argv = ["sweeps", *map(str, words)]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                code = main([str(word) for word in words])
            except SystemExit as stop:
                code = int(stop.code or 0)
    finally:
        sys.argv = argv
    return Said(code, out.getvalue(), err.getvalue())


def fine(*words: Any) -> str:
    """Stdout of a command that must succeed."""
    said = call(*words)
    assert said.code == 0, f"sweeps {' '.join(map(str, words))} answered {said.code}:\n{said.err}"
    return said.out


@contextlib.contextmanager
def steady() -> Iterator[None]:
    """One thread, a wide terminal, `sweeps` on the path, and no stores or clusters from outside."""
    import torch
    from threadpoolctl import threadpool_limits

    kept, threads = dict(os.environ), torch.get_num_threads()
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    os.environ["COLUMNS"] = "100"
    for name in ("MLFLOW_TRACKING_URI", "RAY_ADDRESS"):
        os.environ.pop(name, None)
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        os.environ.clear()
        os.environ.update(kept)
        torch.set_num_threads(threads)


# --- what people read --------------------------------------------------------------------------


class _Page(html.parser.HTMLParser):
    """The text of a page, a line an element; text inside drawings apart."""

    BREAKS = frozenset({"p", "h1", "h2", "h3", "li", "tr", "dt", "dd", "pre", "figcaption", "section"})  # fmt: skip

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.text: list[str] = []
        self.drawn: list[str] = []
        self._inside: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag not in ("img", "meta"):
            self._inside.append(tag)
        for name in ("aria-label", "alt"):
            if given.get(name) and "svg" not in self._inside[:-1]:
                self.text.append(f"\n[{tag}: {given[name]}]\n")
        if tag in ("td", "th"):
            self.text.append(" | ")

    def handle_endtag(self, tag: str) -> None:
        while self._inside and self._inside.pop() != tag:
            pass
        if tag in self.BREAKS:
            self.text.append("\n")

    def handle_data(self, data: str) -> None:
        if "style" in self._inside:
            return
        if "svg" not in self._inside:
            self.text.append(data if "pre" in self._inside else _flowing(data))
        elif "text" in self._inside:
            self.drawn.append(data)


def _flowing(data: str) -> str:
    """Text as browsers show it outside <pre>: a line break is a space, one between elements none."""
    return "" if data.isspace() else data.replace("\n", " ")


def page_text(file: Path, place: Path) -> dict[str, list[str]]:
    """Lines of a report, and the texts in its drawings."""
    page = _Page()
    page.feed(file.read_text(encoding="utf-8"))
    whole = "".join(page.text).replace(str(place), PLACE)
    lines = (" ".join(line.split()) for line in whole.splitlines())
    drawn = (" ".join(text.split()) for text in page.drawn)
    told = lines_without_controls([line for line in lines if line])
    told = without_left_out(_without_stability(told))
    return {"text": told, "drawings": [text for text in drawn if text]}


def _without_stability(lines: list[str]) -> list[str]:
    """Lines of a report without the section on stability, which came after the record."""
    if (first := "How stable the region is") not in lines:
        return lines
    start = lines.index(first)
    last = next(n for n in range(start, len(lines)) if lines[n].endswith("was not computed."))
    return [*lines[:start], *lines[last + 1 :]]


def without_durations(lines: list[str]) -> list[str]:
    """Lines in which `0.24 seconds of training` says nothing of how long it was."""
    return [re.sub(r"[\d.e-]+ (seconds|minutes|hours)", "SOME TIME", line) for line in lines]


def words() -> dict[str, str]:
    """Help of every command, lists of kinds, the first spec, and checks of bundled specs."""
    found = {"help": build_parser().format_help()}
    for each in COMMANDS:
        found[f"help {each.name}"] = fine(*each.name.split(), "--help")
    found["list"] = fine("list")
    for name in ("digits", "digits-region", "digits-tpe"):
        found[f"check {name}"] = fine("check", name)
    return found


#: What is asked of each results folder beside its region: the command and its options.
SUBJECTS = ("detectability", "resistance", "variance", "effects", "persistence", "influence")


def opened(name: str, folder: Path, home: Path = FOLDERS) -> Path:
    """A copy of a recorded results folder, at `folder`, that may be written to."""
    shutil.copytree(home / name, folder)
    sweep = folder / "sweep.json"
    sweep.write_text(sweep.read_text().replace(PLACE, str(folder)))
    return folder


def untracked(folder: Path) -> Path:
    """The folder as if its sweep had no store, so that a resumed one starts no mirror."""
    sweep = json.loads((folder / "sweep.json").read_text())
    sweep["tracking"]["uri"] = None
    (folder / "sweep.json").write_text(json.dumps(sweep))
    return folder


def _answer(*given: Any) -> Any:
    """What a command says in JSON; where it refuses, its code and why."""
    said = call(*given, "--json")
    return json.loads(said.out) if said.code == 0 else [said.code, said.err]


def table_of(table: pa.Table) -> dict[str, Any]:
    """Columns with their types, and rows as lists; what is not finite as text."""
    rows = [[_finite(value) for value in row.values()] for row in table.to_pylist()]
    return plain({"columns": [[f.name, str(f.type)] for f in table.schema], "rows": rows})


def _finite(value: Any) -> Any:
    return repr(value) if isinstance(value, float) and not math.isfinite(value) else value


def _of_before(region: dict[str, Any]) -> dict[str, Any]:
    """A region without what releases after the record say of it; not so inside it, where
    `foretold` has had `controls` of its own. The sentences of a model are not figures: that they
    are the answer's is another test, and so is what the answer says."""
    kept = _without_keys(region, ADDED_TO_REGION)
    if kept.get("model"):
        kept["model"] = _without_keys(kept["model"], ("text",))
    kept["counts"] = _without_keys(region["counts"], ADDED_TO_COUNTS)
    kept["points"] = [_without_keys(point, ADDED_TO_POINTS) for point in region["points"]]
    return without_left_out(kept)


def _without_keys(values: dict[str, Any], added: tuple[str, ...]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key not in added}


def region_answers(folder: Path) -> dict[str, Any]:
    """What a folder says of its region: in JSON, in words, and in its report."""
    answer = json.loads(fine("region", folder, "--json"))
    return {"region": _of_before(answer), "words": fine("region", folder), "answer": answer}


def whole_region_file(folder: Path) -> Any:
    """All that region.json holds."""
    return json.loads((folder / "region.json").read_text())


def region_file(folder: Path) -> Any:
    """What region.json holds that the record knows."""
    return _of_before(whole_region_file(folder))


#: Sentences on broken models, which have left the best accuracy since.
LEFT_OUT = re.compile(r"(?m)^(Collapsed is|The best accuracy leaves out) .*(\n|\Z)")


def without_left_out(value: Any) -> Any:
    """Without what the region says of models that the best accuracy leaves out, in keys of
    `thresholds.clean_accuracy` and of `model`, and in sentences."""
    if isinstance(value, str):
        return LEFT_OUT.sub("", value)
    if isinstance(value, list):
        kept = (v for v in value if not (isinstance(v, str) and LEFT_OUT.match(v)))
        return [without_left_out(each) for each in kept]
    if isinstance(value, dict):
        return {k: without_left_out(v) for k, v in value.items() if k != "left_out"}
    return value


def said_before(text: str) -> str:
    """What stands above the answer in words, without what releases after the record say of it."""
    return str(without_left_out(without_bounds_explained(without_controls(text))))


def report_answers(folder: Path) -> dict[str, Any]:
    """The text of a folder's report."""
    fine("report", folder, "-o", folder / "page.html")
    return {**page_text(folder / "page.html", folder), "drawn by": drawn_by()}


def drawn_by() -> str:
    """The library that chooses ticks and places labels."""
    import matplotlib

    return f"matplotlib {matplotlib.__version__}"


def record_answers(folder: Path) -> dict[str, Any]:
    """What a folder says of its record: status, one trial, exports and flat tables."""
    trials, probed = folder / "trials.csv", folder / "studies.csv"
    fine("export", folder, "--csv", trials, "--probes", probed)
    first = rows_of(folder / "ledger")[0]["trial_id"]
    return {
        "status": json.loads(fine("status", folder, "--json")),
        "status in words": fine("status", folder),
        "show": _without_keys(json.loads(fine("show", folder, first)), ADDED_COLUMNS),
        "trials.csv": trials.read_text(),
        "studies.csv": probed.read_text(),
        "trials": table_of(load_results(folder)),
        "studies": table_of(load_results(folder, "all")),
    }


def subject_answers(folder: Path) -> dict[str, Any]:
    """What `sweeps probe` finds in a folder, in JSON and in words."""
    return {
        subject: {
            "json": _answer("probe", subject, folder),
            "words": call("probe", subject, folder).out,
        }
        for subject in SUBJECTS
    }


#: Of a results folder's sweep.json, what differs each time.
PASSING = ("sweep_id", "created", "versions", "tracking", "command")
#: Of sweep.json, what releases after the record have added.
ADDED = (
    "panel",
    "thresholds",
    "planned_points",
    "inactive",
    "seeds",
    "search",
    "prediction_confidence",
    "spec_digest",
    "criteria_digest",
    "data",
    "specs",
    "user",
    "host",
    "defaults",
)
#: Columns of the ledger that releases after the record have added.
ADDED_COLUMNS = ("thresholds", "source_digest", "reused_from")

#: Of region.json.
ADDED_TO_REGION = (
    *("data", "stability", "controls", "seed_model"),
    # Since every search answers in one form
    *("question", "state", "headline", "verdicts", "setting", "where", "limiting", "front", "next"),
    *("verification", "lacks", "text"),
)
#: Of its counts, and of its points, since a model judges all points together; and the surest verdict
#: of a point, and what the model of a region search expects there.
ADDED_TO_COUNTS, ADDED_TO_POINTS = ("by_model",), ("by_model", "inside", "verdict", "expected")
#: Of a verification's answer: where draws failed. Of a final model: what it is held to, what the
#: figures of the region are about, and on how many images of which kind its program was tried.
ADDED_TO_VERIFICATION = ("failed_where",)
ADDED_TO_FINAL_MODEL = ("held_to", "region_about")
ADDED_TO_PROGRAM = ("images", "triggered")
#: Tags of MLflow's experiment since attacks are held against the clean baseline.
ADDED_TAGS = (
    *("attacks_that_take", "attacks_not_shown", "attacks_not_known"),
    # Since MLflow says the answer
    *("headline", "verification", "recommended", "recommended_basis", "certainly_in", "likely_in"),
    *("undecided", "likely_out", "certainly_out", "answer_state", "mlflow.note.content"),
)
#: Tags of a point's run since a model judges all points together.
ADDED_RUN_TAGS = ("by_model", "inside", "verdict")


def run_answers(given: Document, folder: Path, tracked: bool = False) -> dict[str, Any]:
    """A whole sweep by the command: what is recorded, what is said, and what lies in its folder.

    tracked: whether it is mirrored where its spec says so, which takes seconds.
    """
    import yaml

    spec = folder.with_suffix(".yaml")
    spec.parent.mkdir(parents=True, exist_ok=True)
    spec.write_text(yaml.safe_dump(given, sort_keys=False))
    words = ["run", spec, "--out", folder, "--runner", "serial", "--json"]
    if given["tracking"] != "none" and not tracked:
        words += ["--set", "tracking=none"]
    region = _of_before(json.loads(fine(*words)))
    sweep = json.loads((folder / "sweep.json").read_text())
    files = sorted(
        re.sub(r"(fold|part)-\d+-\w+", r"\1", str(file.relative_to(folder)))
        for file in folder.rglob("*")
        if file.is_file()
    )
    return {
        "region": region,
        "results": results(folder / "ledger"),
        "sweep": {key: value for key, value in sweep.items() if key not in PASSING + ADDED},
        "pictures": json.loads((folder / "pictures" / "index.json").read_text()),
        "files": files,
        "spec": (folder / "spec.yaml").read_text(),
    }


def resume_answers(folder: Path) -> dict[str, Any]:
    """A folder gone on with by the command: what is said then, and what is recorded."""
    before = rows_of(folder / "ledger")
    said = call("resume", folder, "--runner", "serial")
    after = rows_of(folder / "ledger")
    return {
        "code": said.code,
        "out": said.out,
        "trained": len(after) - len(before),
        "kept": [row for row in after if row in before] == before,
        "results": results(folder / "ledger"),
        "region": region_file(folder),
        "answer": whole_region_file(folder),
        "report": page_text(folder / "report.html", folder),
    }


#: Folder to the options with which its region is verified: few draws, trained in a second.
VERIFIED = {
    "grid": ["--draws", "3", "--transfer", "[sine]"],
    "tpe": ["--draws", "4", "--transfer", "none", "--target", "share"],
    "region": ["--draws", "3", "--transfer", "none", "--basis", "probability"],
}


def verify_answers(name: str, folder: Path) -> dict[str, Any]:
    """The plan of a verification, and its answer once it is trained."""
    said = call("verify", folder, *VERIFIED[name], "--runner", "serial", "--json")
    (plan,) = folder.glob("verify/*/plan.json")
    drawn = json.loads(plan.read_text())
    return {
        "code": said.code,
        "id": plan.parent.name,
        "plan": {key: value for key, value in drawn.items() if key not in ("created", "hash")},
        "answer": _without_keys(
            _without(json.loads(said.out), ("created", "folder", "frozen", "seconds", "versions")),
            ADDED_TO_VERIFICATION,
        ),
    }


def _without(value: Any, names: tuple[str, ...]) -> Any:
    if isinstance(value, dict):
        return {k: _without(inner, names) for k, inner in value.items() if k not in names}
    return [_without(inner, names) for inner in value] if isinstance(value, list) else value


def train_answers(folder: Path) -> dict[str, Any]:
    """What `sweeps train` saves and says of the most accurate point under its worst attack."""
    words = ["train", folder, "--point", "best", "--attack", "worst", "--out", folder / "model"]
    told = json.loads(fine(*words, "--json"))
    weights = (folder / "model" / "model.safetensors").read_bytes()
    before = _without_keys(told, ADDED_TO_FINAL_MODEL)
    program = _without_keys(told["files"]["program"], ADDED_TO_PROGRAM)
    before["files"] = {**told["files"], "program": program}
    return {
        "told": _without(before, ("created", "folder", "seconds", "versions")),
        "held to": told["held_to"],
        "weights": hashlib.sha256(weights).hexdigest(),
        "files": sorted(file.name for file in (folder / "model").iterdir()),
    }


def mirrored(folder: Path, store: Path) -> list[dict[str, Any]]:
    """The runs that `sweeps mirror` writes to a store, without what the store chose itself."""
    from mlflow import MlflowClient

    uri = f"sqlite:///{store}"
    fine("mirror", folder, "--uri", uri)
    client = MlflowClient(tracking_uri=uri)
    name = json.loads((folder / "sweep.json").read_text())["name"]
    experiment = client.get_experiment_by_name(name)
    assert experiment is not None
    found = []
    for run in client.search_runs([experiment.experiment_id], max_results=1000):
        tags = {k: v for k, v in run.data.tags.items() if not k.startswith("mlflow.")}
        if "trial_id" not in tags:
            tags = _without_keys(tags, ADDED_RUN_TAGS)
        curves = {
            key: [
                [point.step, point.value]
                for point in client.get_metric_history(run.info.run_id, key)
            ]
            for key in run.data.metrics
            if "_by_" in key
        }
        found.append(
            {
                "name": run.info.run_name,
                "status": run.info.status,
                "tags": tags,
                "params": dict(run.data.params),
                "metrics": dict(run.data.metrics),
                "curves": curves,
                "experiment": _without(dict(experiment.tags), ADDED_TAGS),
            }
        )
    key = "trial_id" if all("trial_id" in run["tags"] for run in found) else "defence_id"
    return plain(sorted(found, key=lambda run: run["tags"][key]))


# --- making results folders --------------------------------------------------------------------


#: Column to its value in row i, of a ledger and of studies.
STAMPS: dict[str, Callable[[int], Any]] = {
    "seconds": lambda i: 0.01 + 0.002 * (i % 7),
    "train_seconds": lambda i: 0.008 + 0.001 * (i % 5),
    "peak_memory": lambda i: 200_000_000 + 1_000_000 * (i % 11),
    "host": lambda i: "host",
    "finished_at": lambda i: 1_700_000_000.0 + 0.25 * i,
}
PROBE_STAMPS: dict[str, Callable[[int], Any]] = {
    "seconds": lambda i: 0.003 + 0.001 * (i % 3),
    "finished_at": lambda i: 1_700_000_000.5 + 0.25 * i,
}


def make_reproducible(folder: Path, rows: int | None = None) -> None:
    """Makes a results folder the same whenever and wherever it was computed: hosts, times, names.

    rows: so many of the ledger's first rows are kept, as parts; all by default, folded.
    """

    def change(table: pa.Table, probed: bool) -> pa.Table:
        if not probed and rows is not None:
            table = table.slice(0, rows)
        return _restamped(table, PROBE_STAMPS if probed else STAMPS)

    ledger = folder / "ledger"
    rewrite_ledger(ledger, change, compacted=rows is None)
    for place in (ledger, ledger / "probes"):
        for number, file in enumerate(sorted(place.glob("*.parquet"))):
            word = file.name.partition("-")[0]
            file = file.rename(place / f"{word}-{number + 1:020d}-000000.parquet")
            if folder.name != "grid":  # one is as it was written; others are a third smaller
                table = pq.read_table(file.absolute(), partitioning=None)
                pq.write_table(
                    table, file, compression="zstd", use_dictionary=False, write_statistics=False
                )
    sweep = json.loads((folder / "sweep.json").read_text())
    sweep["sweep_id"] = hashlib.sha256(folder.name.encode()).hexdigest()[:32]
    sweep["created"] = "2026-01-02T03:04:05+00:00"
    sweep["command"] = f"sweeps run {folder.name}.yaml --out {folder.name} --runner serial"
    text = json.dumps(sweep, indent=2).replace(str(folder.resolve()), PLACE)
    (folder / "sweep.json").write_text(text + "\n")
    for name in (".lock", "mlflow.db", "mirror.log", "report.html", "region.svg", "region.json"):
        (folder / name).unlink(missing_ok=True)
    for picture in (folder / "pictures").glob("*.png"):
        picture.unlink()
    if folder.name != "grid":  # one index is enough: a report without pictures is one as well
        shutil.rmtree(folder / "pictures", ignore_errors=True)


def _restamped(table: pa.Table, columns: dict[str, Callable[[int], Any]]) -> pa.Table:
    for name, value in columns.items():
        place = table.schema.get_field_index(name)
        values = pa.array([value(i) for i in range(table.num_rows)], table.schema.field(place).type)
        table = table.set_column(place, table.schema.field(place), values)
    return table
