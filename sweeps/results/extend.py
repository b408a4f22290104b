"""Extending a sweep: more of the same question, with all that is recorded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from backdoor.errors import Missing, Mistake, UserError
from sweeps.addresses import scrubbed
from sweeps.ledger import Ledger
from sweeps.pictures.trigger_pictures import draw_gallery, write_gallery
from sweeps.records.sweep_file import SweepFile
from sweeps.region.panel import criteria_of
from sweeps.results.asked import asked, asked_text, plain, present_text
from sweeps.results.create import (
    first_asked,
    inactive_settings,
    measures_of,
    reused,
)
from sweeps.results.data_read import data_entry
from sweeps.results.extension import Extension, extension_of
from sweeps.results.same_data import check_same_data
from sweeps.results.stored import stored
from sweeps.results.tracking import written
from sweeps.search.planned import planned_trials
from sweeps.spec import RecordedClasses, SweepSpec, parse_spec, read_document
from sweeps.spec.weak_triggers import refuse_weak
from sweeps.storage.files import write_atomic, write_json
from sweeps.storage.paths import SweepPaths, open_results, read_sweep
from sweeps.storage.shell import command


def extend_results(
    folder: Path | str,
    source: Any = None,
    changes: Sequence[str] = (),
    argv: Sequence[str] = (),
    reuse: Sequence[Path | str] = (),
    check: Callable[[SweepSpec], None] = lambda spec: None,
) -> tuple[SweepPaths, SweepSpec, Extension]:
    """Makes a finished or interrupted sweep ask more; its trials are not trained yet. For who holds
    the folder's lock.

    folder: its results. source: the new spec, as `load_spec` takes it; by default the sweep's own.
    changes: `key=value`, applied to it. argv: the command. reuse: folders of sweeps whose trials it
    takes over. check: raises what keeps the spec from running, before anything is written.

    Raises:
        UserError: the spec is wrong, its data have changed, or it is no extension, with everything
            that differs.
    """
    paths = open_results(folder)
    _refuse_itself(paths, reuse)
    sweep = read_sweep(paths)
    begun = RecordedClasses.of(sweep)
    before = parse_spec(plain(asked_text(paths, sweep)), [], False, begun)
    own = plain(present_text(paths, sweep)) if source is None else source
    document, mistakes = read_document(own, changes)
    after = parse_spec(document, mistakes, False, begun)
    found = extension_of(before, after, lambda: Ledger(paths.ledger).trials())
    if found.refused:
        raise UserError(_with_way_out(found.refused, paths, source, changes))
    if not found.added and not reuse and before.document == after.document:
        raise UserError(_nothing(paths))
    check_same_data(after, paths)
    spec = parse_spec(document, [], True, begun)
    refuse_weak(spec, before.panel)
    check(spec)
    _write(paths, before, spec, argv, reuse)
    return paths, spec, found


def _write(
    paths: SweepPaths,
    before: SweepSpec,
    spec: SweepSpec,
    argv: Sequence[str],
    reuse: Sequence[Path | str],
) -> None:
    """sweep.json is what counts: pictures come before it, and spec.yaml after it."""
    gallery = draw_gallery(spec)
    write_gallery(paths, *gallery)
    write_json(paths.sweep, _extended(paths, before, spec, argv, reuse))
    write_atomic(paths.spec, written(spec).encode(), follow=False)


def _extended(
    paths: SweepPaths,
    before: SweepSpec,
    spec: SweepSpec,
    argv: Sequence[str],
    reuse: Sequence[Path | str],
) -> SweepFile:
    sweep = read_sweep(paths)
    planned, points = planned_trials(spec)
    specs = sweep.get("specs") or [first_asked(sweep, asked_text(paths, sweep), before)]
    return {
        **sweep,
        **stored(criteria_of(spec), written(spec)),
        "planned": planned + sum(sweep.get("learned", {}).values()),
        "planned_points": points,
        "data": data_entry(spec),
        "measures": measures_of(spec),
        "inactive": inactive_settings(spec),
        "specs": [*specs, asked(spec, argv, planned)],
        **reused(reuse, sweep.get("reuse", [])),
    }


def _refuse_itself(paths: SweepPaths, reuse: Sequence[Path | str]) -> None:
    """A sweep has its own trials."""
    if (same := [each for each in reuse if Path(each).resolve() == paths.root.resolve()]) != []:
        rule = "must be another sweep's folder: this one keeps its own trials anyway"
        raise UserError(Mistake("--reuse", rule, str(same[0]), "Leave it out."))


def _with_way_out(
    refused: Sequence[Mistake], paths: SweepPaths, source: Any, changes: Sequence[str]
) -> list[Mistake]:
    """The mistakes, the last one with the command that asks this in a new sweep."""
    spec = source if isinstance(source, (str, Path)) else paths.spec
    sets = [word for change in changes for word in ("--set", scrubbed(change))]
    new = command("sweeps", "run", spec, *sets, "--out", "NEW", "--reuse", paths.root)
    way = f"A new sweep may ask this, and takes over the trials that agree: `{new}`."
    *others, last = refused
    return [*others, replace(last, remedy=f"{last.remedy} {way}")]


def _nothing(paths: SweepPaths) -> Mistake:
    resume = command("sweeps", "resume", paths.root)
    remedy = f"For example --set seeds=10. To go on with the same question, use `{resume}`."
    return Mistake("--set", "must ask more than the sweep does", Missing.VALUE, remedy)
