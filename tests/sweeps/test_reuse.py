"""Trials of other sweeps are taken over where they agree, and what is left out is said."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from small import SMALL, results

from backdoor.engines.convex import Convex
from backdoor.errors import UserError
from backdoor.settings import source_digest as source
from sweeps.driver.run import resume_sweep, run_sweep
from sweeps.ledger import Ledger
from sweeps.packs.pack import PackSettings
from sweeps.scheduling.reuse import TrialPool
from sweeps.spec import parse_spec
from sweeps.storage.paths import SweepPaths, read_sweep

QUIET: dict[str, Any] = {"runner": "serial", "quiet": True}
PATCH: dict[str, Any] = {"kind": "patch", "size": 1}


def asked(**changes: Any) -> dict[str, Any]:
    defence = {"architecture": "linear", "weight_decay": [0, 0.03], "epochs": 3}
    return {**SMALL, "defence": defence, **changes}


def taken_from(folder: Path) -> dict[str | None, int]:
    """Sweep id (None for the folder's own) → trials."""
    counts: dict[str | None, int] = {}
    for row in Ledger(folder / "ledger").trials():
        counts[row.reused_from] = counts.get(row.reused_from, 0) + 1
    return counts


def test_three_sweeps_give_what_they_have(tmp_path, capsys) -> None:
    a, b, c, whole = (tmp_path / name for name in "abcw")
    run_sweep(asked(), a, **QUIET)
    run_sweep(asked(seeds=[2]), b, **QUIET)
    rates = {"trigger": [PATCH], "poison_rate": [0, 0.01, 0.03, 0.1]}
    new = asked(seeds=4, attack=rates)
    run_sweep(new, c, runner="serial", reuse=[a, b])
    said = capsys.readouterr().err
    assert f"12 of the 12 finished trials of {a} taken over" in said
    assert f"6 of the 6 finished trials of {b} taken over" in said
    ids = {folder: read_sweep(SweepPaths(folder))["sweep_id"] for folder in (a, b)}
    assert taken_from(c) == {ids[a]: 12, ids[b]: 6, None: 32 - 18}
    run_sweep(new, whole, **QUIET)
    assert results(SweepPaths(c)) == results(SweepPaths(whole))
    # What was taken over keeps its origin when it is taken over again.
    run_sweep(asked(), tmp_path / "d", **QUIET, reuse=[c])
    assert taken_from(tmp_path / "d") == {ids[a]: 12}


def test_a_clean_baseline_is_taken_over_with_the_triggers_that_are_asked_for(tmp_path) -> None:
    a, b, c, whole = (tmp_path / name for name in "abcw")
    both = {"trigger": ["sine", PATCH], "poison_rate": [0, 0.03]}
    run_sweep(asked(attack=both, curve_every=1), a, **QUIET)
    run_sweep(asked(curve_every=1), b, **QUIET, reuse=[a])
    run_sweep(asked(curve_every=1), whole, **QUIET)
    assert results(SweepPaths(b)) == results(SweepPaths(whole))
    own = read_sweep(SweepPaths(a))["sweep_id"]
    assert taken_from(b) == {own: 8, None: 4}
    run_sweep(asked(attack=both, curve_every=1), c, **QUIET, reuse=[whole])
    assert results(SweepPaths(c)) == results(SweepPaths(a))


def test_a_changed_engine_version_is_refused_and_said(tmp_path, monkeypatch, capsys) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    only_ridge = asked(defence={"architecture": "ridge", "weight_decay": [0.01, 1]})
    run_sweep(only_ridge, a, **QUIET)
    monkeypatch.setattr(Convex, "version", 99)
    run_sweep(only_ridge, b, runner="serial", reuse=[a])
    said = capsys.readouterr().err
    assert "0 of the 12 finished trials" in said
    assert f"left out: 12 by engine {Convex.name} version" in said
    assert f"which is now {Convex.name} version 99" in said
    assert taken_from(b) == {None: 12}


def test_what_does_not_agree_is_left_out_with_its_reason(tmp_path, capsys) -> None:
    a = tmp_path / "a"
    run_sweep(asked(), a, **QUIET)
    run_sweep(asked(curve_every=1), tmp_path / "b", runner="serial", reuse=[a])
    assert "left out: 12 with another curve" in capsys.readouterr().err
    ridge = {"architecture": "ridge", "weight_decay": [0.01, 1]}
    a = tmp_path / "ridge"
    run_sweep(asked(defence=ridge), a, **QUIET)
    probed = asked(defence=ridge, probes=["parameter_shift"])
    run_sweep(probed, tmp_path / "c", runner="serial", reuse=[a])
    assert "left out: 12 without a result of every probe" in capsys.readouterr().err
    run_sweep(probed, tmp_path / "d", runner="serial", reuse=[tmp_path / "c"])
    assert "12 of the 12 finished" in capsys.readouterr().err
    found = [Ledger(tmp_path / n / "ledger").probe_results.summary() for n in "cd"]
    assert found[0] == found[1] and found[0]["parameter_shift"]["found"]


def test_other_data_are_other_trials(tmp_path) -> None:
    a = tmp_path / "a"
    run_sweep(asked(), a, **QUIET)
    spec = parse_spec(asked())
    pool = TrialPool([a], PackSettings.of(spec), "other")
    trials = [spec.trial(point, None, 0) for point in _points(spec)]
    assert pool.take(trials) is None
    assert str(pool.sweeps[0]).endswith(
        "left out: 2 of other data; 10 that this sweep does not ask for"
    )


def _points(spec: Any) -> list[Any]:
    from backdoor.config import build_defence

    return [build_defence(values) for values in spec.defence.grid()]


def test_the_source_of_users_kinds_must_agree(tmp_path, monkeypatch, capsys) -> None:
    code = (
        "from dataclasses import dataclass\n"
        "from backdoor.triggers.patch import Patch\n"
        "@dataclass(frozen=True)\nclass Mine(Patch):\n    pass\n"
    )
    module = tmp_path / "mine_for_reuse.py"
    module.write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path))
    own = asked(attack={"trigger": "mine_for_reuse:Mine", "poison_rate": [0, 0.03]})
    try:
        for name, extra, reason in (
            ("a", "", None),
            ("b", "", "8 of the 8 finished"),
            ("c", "# changed\n", "left out: 4 of kinds of users whose source code has changed"),
        ):
            module.write_text(code + extra)
            sys.modules.pop("mine_for_reuse", None)
            source._digest.cache_clear()
            reuse = [] if name == "a" else [tmp_path / "a"]
            run_sweep(own, tmp_path / name, runner="serial", reuse=reuse)
            assert reason is None or reason in capsys.readouterr().err
        rows = Ledger(tmp_path / "a" / "ledger").trials()
        assert {bool(row.source_digest) for row in rows if not row.is_clean} == {True}
        assert {row.source_digest for row in rows if row.is_clean} == {None}
        # Rows of releases that recorded no source are not taken over.
        for file in (tmp_path / "a" / "ledger").glob("*.parquet"):
            table = pq.read_table(file)
            place = table.schema.get_field_index("source_digest")
            gone = table.remove_column(place).replace_schema_metadata({"schema_version": "5"})
            pq.write_table(gone, file)
        run_sweep(own, tmp_path / "d", runner="serial", reuse=[tmp_path / "a"])
        assert "4 of kinds of users whose source code is not known" in capsys.readouterr().err
    finally:
        sys.modules.pop("mine_for_reuse", None)


def test_the_digest_follows_modules_of_the_user(tmp_path, monkeypatch) -> None:
    package = tmp_path / "pack_of_mine"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "tools.py").write_text("SIZE = 2\n")
    kind = "import numpy\nfrom pack_of_mine import tools\nclass Kind:\n    size = tools.SIZE\n"
    (package / "kinds.py").write_text(kind)
    monkeypatch.syspath_prepend(str(tmp_path))
    config = {"attack": {"trigger": {"kind": "pack_of_mine.kinds:Kind"}}, "seed": 0}

    def digest() -> str | None:
        for name in [name for name in sys.modules if name.startswith("pack_of_mine")]:
            del sys.modules[name]
        source._digest.cache_clear()
        return source.source_digest(config)

    first = digest()
    assert first == digest() and first is not None and len(first) == 18
    (package / "tools.py").write_text("SIZE = 3\n")
    second = digest()
    assert second != first
    (package / "unrelated.py").write_text("X = 1\n")
    assert digest() not in (first, second)
    assert source.source_digest({"attack": {"trigger": {"kind": "patch"}}}) is None


def test_a_folder_that_is_gone_is_said_on_resume(tmp_path, capsys) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    run_sweep(asked(), a, **QUIET)
    run_sweep(asked(seeds=3), b, **QUIET, reuse=[a])
    a.rename(tmp_path / "moved")
    resume_sweep(b, runner="serial")
    assert "trials are not taken over: " in capsys.readouterr().err
    with pytest.raises(UserError, match="must be the results folder of a sweep"):
        run_sweep(asked(), tmp_path / "c", **QUIET, reuse=[a])
    assert not (tmp_path / "c").exists()
