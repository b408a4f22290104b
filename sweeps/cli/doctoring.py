"""`sweeps doctor`: whether this machine, or a cluster, can run a sweep; it changes nothing."""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backdoor.errors import UserError
from sweeps.cli.console import FAILURES, FINE
from sweeps.cli.job_payload import PACKAGES, ROOT, payload, read_for_cluster
from sweeps.cli.jobs import connect

if TYPE_CHECKING:
    from cluster.doctor import Finding
    from sweeps.spec import SweepSpec
    from sweeps.storage.paths import SweepPaths


@dataclasses.dataclass(frozen=True)
class Subject:
    """What is to be run, as far as it could be read. storage: where its results go."""

    spec: SweepSpec | None
    paths: SweepPaths | None
    storage: str


def doctor(args: argparse.Namespace) -> int:
    """Check this machine, or a cluster, and say how to fix what is wrong."""
    from cluster.doctor import FAILURE, WARNING

    findings = []
    for finding in _examine(args):
        findings.append(finding)
        if not args.json:
            print(finding, flush=True)
    levels = [finding.level for finding in findings]
    if args.json:
        print(json.dumps([dataclasses.asdict(finding) for finding in findings]))
    else:
        print(", ".join(_counted(levels.count(level), level) for level in (FAILURE, WARNING)))
    return FAILURES if FAILURE in levels else FINE


def _counted(count: int, level: str) -> str:
    return f"{count} {level}{'' if count == 1 else 's'}"


def _examine(args: argparse.Namespace) -> Iterator[Finding]:
    from cluster.doctor import judge, judge_names, judge_token
    from cluster.facts import gather

    subject, mistakes = _read(args)
    folder = str(Path.cwd()) if args.address else subject.storage
    here = gather(_request(folder))
    yield from judge(here, "here", folder)
    yield from judge_names(PACKAGES, ROOT)
    yield judge_token()
    yield from mistakes
    if subject.spec is not None and not mistakes:
        yield from _tracking(subject, there=bool(args.address))
        if not args.address:
            yield from _data(subject, here)
    if args.address:
        yield from _cluster(args, subject, here)


def _read(args: argparse.Namespace) -> tuple[Subject, list[Finding]]:
    """The spec and where its results go; what is wrong with them."""
    from cluster.doctor import from_mistakes
    from sweeps.results.create import reopen
    from sweeps.space.yaml_loader import load_yaml
    from sweeps.spec import load_spec, parse_spec
    from sweeps.storage.paths import SweepPaths

    name, storage = args.subject, args.storage if args.address else "results"
    try:
        if name is None:
            return Subject(None, None, storage), []
        if Path(name).is_dir():
            paths, spec = reopen(name)
            return Subject(spec, paths, storage if args.address else name), []
        if args.address:
            text = read_for_cluster(name, [])[1]
            document = load_yaml(text, lambda mistake: None)
            spec = parse_spec(document, against_data=False, names_later=True)
        else:
            spec = load_spec(name)
        return Subject(spec, SweepPaths(Path("results") / spec.name), storage), []
    except UserError as error:
        return Subject(None, None, storage), from_mistakes(error)


def _request(storage: str, roots: tuple[str, ...] = ()) -> dict[str, Any]:
    from sweeps.results.create import PACKAGES as DISTRIBUTIONS

    # This project is there, installed or not: it is what runs.
    names = [name for name in DISTRIBUTIONS if name != "backdoor-sweeps"]
    return {"packages": names, "paths": list(roots), "storage": storage}


def _data(subject: Subject, here: dict[str, Any]) -> Iterator[Finding]:
    """The data were read with the spec; GPUs must be there where the spec asks for them."""
    from cluster.doctor import FAILURE, OK, Finding

    spec = subject.spec
    assert spec is not None
    yield Finding(OK, "here", "data", f"{spec.data.kind}, read")
    if spec.resources.gpu > 0 and not here["gpus"]:
        remedy = "Set resources.gpu to 0, or run it where GPUs are."
        says = f"the spec asks for {spec.resources.gpu:g} a pack, and there is none"
        yield Finding(FAILURE, "here", "gpu", says, remedy)


def _tracking(subject: Subject, there: bool) -> Iterator[Finding]:
    """Whether MLflow's store is there, and which kind it is."""
    from cluster.doctor import FAILURE, OK, Finding
    from sweeps.mirror.tracking_store import TrackingUnreachable, preflight, shown
    from sweeps.mirror.tracking_store import tracking_uri as stored_uri
    from sweeps.results.tracking import tracking_uri
    from sweeps.storage.paths import read_sweep

    assert subject.spec is not None and subject.paths is not None
    if subject.paths.sweep.is_file():
        sweep = read_sweep(subject.paths)
        uri = stored_uri(sweep, subject.paths) if sweep["tracking"]["uri"] else None
    elif there and not (subject.spec.tracking and subject.spec.tracking.uri):
        yield Finding(OK, "cluster", "mlflow", "sqlite, in the results folder over there")
        return
    else:
        uri = tracking_uri(subject.spec, subject.paths)
    if not uri:
        yield Finding(OK, "here", "mlflow", "tracking is off")
        return
    kind = uri.partition("://")[0].partition("+")[0]
    try:
        preflight(uri)
    except TrackingUnreachable as error:
        remedy = "Start it, or correct tracking.uri; `sweeps mirror` catches up later."
        yield Finding(FAILURE, "here", "mlflow", str(error), remedy)
    else:
        yield Finding(OK, "here", "mlflow", f"{kind} store {shown(uri)}")


def _cluster(args: argparse.Namespace, subject: Subject, here: dict[str, Any]) -> Iterator[Finding]:
    """What the head says, and every node's facts."""
    from backdoor.errors import BackdoorSweepsError
    from cluster.doctor import (
        FAILURE,
        Finding,
        from_mistakes,
        judge,
        judge_head,
        judge_versions,
    )

    spec = subject.spec
    places = (spec.data_root, *spec.files.values()) if spec is not None else ()
    request = _request(args.storage, tuple(place for place in places if place))
    try:
        jobs = connect(args)
        yield judge_head(jobs.head)
        nodes = json.loads(jobs.ask(payload(), "nodes", json.dumps(request)))
    except UserError as error:
        yield from from_mistakes(error, "cluster")
        return
    except BackdoorSweepsError as error:
        remedy = "Look at its logs with `sweeps job logs` and at `ray status`."
        yield Finding(FAILURE, "cluster", "nodes", str(error), remedy)
        return
    for name, facts in nodes.items():
        yield from judge(facts, name, args.storage)
        if "error" not in facts:
            yield from judge_versions(facts, here, name)
    if subject.spec is not None and subject.spec.resources.gpu > 0:
        yield from _gpus_there(subject.spec.resources.gpu, nodes)


def _gpus_there(gpus: float, nodes: dict[str, Any]) -> Iterator[Finding]:
    from cluster.doctor import FAILURE, Finding

    if not any(facts.get("gpus") for facts in nodes.values()):
        remedy = "Set resources.gpu to 0, or add a node with GPUs."
        says = f"the spec asks for {gpus:g} a pack, and no node has one"
        yield Finding(FAILURE, "cluster", "gpu", says, remedy)
