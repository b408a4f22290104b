"""`sweeps job submit | list | logs | stop | fetch`: sweeps as jobs of a running Ray cluster."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from typing import TYPE_CHECKING, Any

from backdoor.errors import Missing, Mistake, UserError, escaped
from sweeps.addresses import scrubbed_value
from sweeps.cli.console import FAILURES, FINE, INTERRUPTED, say, show_path
from sweeps.cli.job_payload import payload, read_for_cluster
from sweeps.storage.environment import variable
from sweeps.storage.shell import command
from sweeps.storage.sqlite_address import sqlite_uri

if TYPE_CHECKING:
    from cluster.head import Head
    from cluster.jobs import Job, Jobs
    from cluster.payload import Remote

STORAGE = "~/backdoor-sweeps"


def submit(args: argparse.Namespace) -> int:
    """Start a sweep as a job of a running Ray cluster."""
    from cluster.payload import Remote
    from cluster.user_code import packages_at
    from sweeps.cli.job_packages import (
        code_needed,
        importable,
        packages_for,
        refuse_missing,
        say_sent,
        suggesting_packages,
    )

    if (args.spec is None) == (args.resume is None):
        rule, remedy = "must be given, or else --resume JOB", "One of the two."
        raise UserError(Mistake("SPEC", rule, args.spec, remedy))
    if args.resume is None and args.accept_changed_code:
        rule, remedy = "must be given with --resume JOB", "A new sweep has no trials yet."
        raise UserError(Mistake("--accept-changed-code", rule, Missing.VALUE, remedy))
    if args.resume is not None:
        if args.set:
            rule, remedy = "cannot change a sweep that has begun", "Submit a new one instead."
            raise UserError(Mistake("--set", rule, args.set, remedy))
        users = packages_at(args.packages)
        jobs = connect(args)
        name, results = _to_resume(jobs, args.resume)
        say_sent(users)
        options = ["--accept-changed-code"] if args.accept_changed_code else []
        job = jobs.resume_sweep(name, payload(users=users), results, *options)
    else:
        storage = Remote(args.storage)
        users = packages_for(args.spec, args.set, args.packages)
        with importable(users), suggesting_packages():
            name, text = read_for_cluster(args.spec, args.set)
            needed = code_needed(args.spec, args.set, users)
        jobs = connect(args)
        refuse_missing(jobs, payload(users=users), needed)
        say_sent(users)
        job = jobs.run_sweep(name, payload(text, users), storage)
    print(job.job_id, flush=True)
    say(f"Submitted to {jobs.head.url}. Results go to {escaped(str(job.results))} over there.")
    return _follow(jobs, job, args, sys.stderr) if args.follow else _next(args, job)


def _to_resume(jobs: Jobs, name: str) -> tuple[str, Remote]:
    """The name of a stopped job's sweep and its results folder."""
    job, results = _results(jobs, name, "--resume")
    if job is None:
        return results.path.rstrip("/").rpartition("/")[2], results
    busy = [j.job_id for j in jobs.sweeps() if j.results == job.results and not j.ended]
    if busy:
        rule = f"must have ended, but {busy[0]} is still writing to its folder"
        remedy = f"Stop it first: {_command(jobs, 'stop', busy[0])}"
        raise UserError(Mistake("--resume", rule, name, remedy))
    return job.sweep, results


def _results(jobs: Jobs, name: str, place: str) -> tuple[Job | None, Remote]:
    """The results folder of a job; a path on the cluster stands for itself."""
    from cluster.payload import Remote

    if name.startswith(("/", "~/")):
        return None, Remote(name, place)
    job = jobs.find(name)
    if not job.results:
        rule, remedy = "must be the job of a sweep", "`sweeps job list` names them."
        raise UserError(Mistake(place, rule, name, remedy))
    return job, Remote(job.results, place)


def list_jobs(args: argparse.Namespace) -> int:
    """List the sweeps that a cluster has as jobs."""
    jobs = connect(args)
    found = jobs.sweeps()
    progress = {job.job_id: jobs.progress(job.job_id) for job in found if job.state == "RUNNING"}
    if args.json:
        print(json.dumps([_as_values(job, progress.get(job.job_id, "")) for job in found]))
        return FINE
    rows = [("JOB", "SWEEP", "STATE", "STARTED", "TRIALS", "RESULTS THERE")]
    for job in found:
        started = job.started.astimezone().strftime("%Y-%m-%d %H:%M:%S") if job.started else "-"
        done = progress.get(job.job_id) or "-"
        rows.append((job.job_id, job.sweep, job.state, started, done, job.results))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    for row in rows:
        cells = [f"{cell:{width}}" for cell, width in zip(row[:-1], widths, strict=True)]
        print("  ".join([*cells, row[-1]]))
    return FINE


def _as_values(job: Job, progress: str) -> dict[str, Any]:
    started = job.started and job.started.isoformat()
    return {**dataclasses.asdict(job), "progress": progress, "started": started}


def logs(args: argparse.Namespace) -> int:
    """Print what a job has written."""
    jobs = connect(args)
    job = jobs.find(args.job)
    if args.follow:
        return _follow(jobs, job, args, sys.stdout)
    print(jobs.log(job.job_id), end="")
    return FINE


def stop(args: argparse.Namespace) -> int:
    """Stop a job so that it can be resumed."""
    from cluster.jobs import GRACE

    jobs = connect(args)
    job = jobs.find(args.job)
    if job.ended or not jobs.stop(job.job_id):
        say(f"{job.job_id} had ended already: {jobs.find(job.job_id).state}")
        return FINE
    say(f"Stopping: running packs may take {GRACE // 60} minutes to end. What is recorded stays.")
    done = jobs.progress(job.job_id)
    job = jobs.wait(job.job_id, GRACE + 60)
    print(f"{job.job_id} {job.state}")
    done = jobs.progress(job.job_id) or done
    unknown = "Its log does not show how many trials are recorded."
    say(f"{done} trials are recorded." if done else unknown)
    if job.results:
        say(f"Go on with: {_command(jobs, 'submit', '--resume', job.job_id)}")
    return FINE


def fetch(args: argparse.Namespace) -> int:
    """Bring the results folder of a job here."""
    from cluster.fetch import fetch as fetch_now
    from cluster.fetch import refuse_used_folder
    from sweeps.storage.named_places import named_place

    out = named_place(args.out, "--out").absolute()
    refuse_used_folder(out)
    jobs = connect(args)
    _, results = _results(jobs, args.job, "JOB")
    count = fetch_now(jobs, payload(), results, out)
    show_path(args.out)
    say(f"{count} files, checked. Look at them with: {command('sweeps', 'region', args.out)}")
    uri = sqlite_uri(out / "mlflow.db")
    say(f"MLflow's runs are made again with: {command('sweeps', 'mirror', args.out, '--uri', uri)}")
    return FINE


def _follow(jobs: Jobs, job: Job, args: argparse.Namespace, stream: Any) -> int:
    """Shows the log until the job ends. Its final state decides the exit code."""
    try:
        jobs.follow(job.job_id, lambda lines: print(lines, end="", file=stream, flush=True))
    except KeyboardInterrupt:
        say(f"\n{job.job_id} keeps running on the cluster.")
        _next(args, job)
        return INTERRUPTED
    job = jobs.wait(job.job_id, 60)
    say(f"{job.job_id} {job.state}")
    if job.state == "SUCCEEDED" and job.results:
        say(f"Bring the results here: {_fetch_command(args, job)}")
    return {"SUCCEEDED": FINE, "STOPPED": INTERRUPTED}.get(job.state, FAILURES)


def _next(args: argparse.Namespace, job: Job) -> int:
    say(f"  {_addressed(args, 'logs', job.job_id, '--follow')}")
    say(f"  {_addressed(args, 'stop', job.job_id)}")
    say(f"  {_fetch_command(args, job)}")
    return FINE


def _fetch_command(args: argparse.Namespace, job: Job) -> str:
    return _addressed(args, "fetch", job.job_id, "--out", f"results/{job.job_id}")


def _addressed(args: argparse.Namespace, *words: str) -> str:
    return command("sweeps", "job", *words, *(["--address", args.address] if args.address else []))


def _command(jobs: Jobs, *words: str) -> str:
    return command("sweeps", "job", *words, "--address", jobs.head.url)


# --- shared with the doctor --------------------------------------------------------------------


def address_of(args: argparse.Namespace) -> str:
    """--address, else where `ray job` looks."""
    from cluster.head import DEFAULT_ADDRESS

    if args.address:
        return str(args.address)
    return variable("RAY_API_SERVER_ADDRESS") or DEFAULT_ADDRESS


def connect(args: argparse.Namespace) -> Jobs:
    """The jobs of the cluster, once its versions are checked; warns where it asks for no token."""
    from cluster.head import refuse_other_versions

    head = _reached(args)
    refuse_other_versions(head)
    if head.token is None and not head.on_loopback:
        say(f"warning: {head.url} asks for no token: whoever reaches it can run code there")

    from cluster.jobs import Jobs

    return Jobs(head)


def _reached(args: argparse.Namespace) -> Head:
    """The head, after it has answered; an error names what the address is from."""
    from cluster.head import reach

    try:
        return reach(address_of(args))
    except UserError as error:
        asked = args.address or not variable("RAY_API_SERVER_ADDRESS")
        place = "--address" if asked else "RAY_API_SERVER_ADDRESS"
        raise UserError(
            dataclasses.replace(
                m,
                place=place if m.place == "--address" else m.place,
                value=scrubbed_value(m.value),
            )
            for m in error.mistakes
        ) from None
