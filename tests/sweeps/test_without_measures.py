"""A trigger that fails takes no clean baseline of other triggers along."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from trials import FEW, fake_rows, trial

from backdoor.config import build_attack, measure_id
from backdoor.errors import UserError
from backdoor.triggers import Trigger
from backdoor.working_on import measures_of, suspects_of
from sweeps.ledger import Ledger, with_left_out
from sweeps.ledger.outdated_trials import outdated_trials, trials_to_repeat
from sweeps.packs.chunk import Chunk
from sweeps.packs.pack import Pack, PackSettings
from sweeps.packs.without_measures import left_out_text, measures_of_pack, without_broken
from sweeps.records.failure import Failure
from sweeps.runners.worker import train_pack


@dataclass(frozen=True)
class Breaks(Trigger):
    """Raises until it is repaired."""

    kind: ClassVar[str] = "breaks"
    repaired: ClassVar[bool] = False

    def stamp(self, images: torch.Tensor, ids: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        if not Breaks.repaired:
            raise KeyError("opacity")
        return 255 - images


BREAKS = {"kind": f"{__name__}:Breaks"}
MEASURES = tuple(
    build_attack({"trigger": each}).measure() for each in ({"kind": "patch", "size": 1}, BREAKS)
)
PATCH, BROKEN = map(measure_id, MEASURES)


def a_pack(*trials: Any, measured: Any = MEASURES) -> Pack:
    clean = trial("ridge", rate=0, weight_decay=0.1, data=FEW)
    return Pack(trials or (clean, replace(clean, seed=1)), PackSettings(measured))


def failed(pack: Pack) -> Failure:
    with pytest.raises(UserError) as caught:
        train_pack(pack)
    error = caught.value
    return Failure(f"UserError: {error}", suspects=suspects_of(error), measures=measures_of(error))


def test_a_clean_baseline_is_measured_with_the_other_triggers() -> None:
    pack = a_pack()
    failure = failed(pack)
    assert failure.measures == (BROKEN,)
    assert failure.suspects == tuple(each.trial_id for each in pack.trials)
    assert Failure.from_plain(failure.plain()) == failure
    again = without_broken(pack, failure)
    assert again is not None and again.pack_id == pack.pack_id
    assert [measure_id(m) for m in measures_of_pack(again)] == [PATCH]
    (sent,) = Chunk.from_json(Chunk((again,)).to_json()).packs
    assert sent.without == again.without == ((BROKEN, failure.error),)
    for row in train_pack(sent).to_pylist():
        assert [each["measure_id"] for each in row["measurements"]] == [PATCH]
        assert row["status"] == "finished"
        assert row["error"].startswith(
            f"not measured with 1 of 2 triggers: {BREAKS['kind']} ({BROKEN}): UserError: "
        )
        assert "KeyError: 'opacity'" in row["error"].replace('"', "'")


def test_poisoned_trials_of_its_pack_say_nothing_of_it() -> None:
    clean = trial("ridge", rate=0, weight_decay=0.1, data=FEW)
    pack = a_pack(clean, trial("ridge", weight_decay=0.1, data=FEW))
    again = without_broken(pack, failed(pack))
    assert again is not None
    rows = {row["attack_id"]: row for row in train_pack(again).to_pylist()}
    assert rows.pop("clean")["error"] is not None
    assert [row["error"] for row in rows.values()] == [None]


def test_where_a_poisoned_trial_has_the_trigger_that_one_is_found_first() -> None:
    clean = trial("ridge", rate=0, weight_decay=0.1, data=FEW)
    guilty = trial("ridge", weight_decay=0.1, data=FEW, trigger=BREAKS)
    pack = a_pack(clean, guilty)
    failure = failed(pack)
    assert failure.suspects == (guilty.trial_id,) and failure.measures == ()
    assert without_broken(pack, failure) is None
    alone, others = pack.apart(set(failure.suspects))
    assert failed(alone).measures == () and failed(others).measures == (BROKEN,)


def test_what_leaving_out_does_not_help_is_a_failure() -> None:
    pack, failure = a_pack(), Failure("KeyError", measures=(BROKEN,))
    assert without_broken(pack, Failure("KeyError")) is None, "it failed for another reason"
    assert without_broken(pack, Failure("KeyError", measures=("unknown",))) is None
    again = without_broken(pack, failure)
    assert again is not None and without_broken(again, failure) is None, "it has not helped"
    every = Failure("KeyError", measures=(PATCH, BROKEN))
    assert without_broken(pack, every) is None, "nothing is left to measure with"
    assert without_broken(again, Failure("KeyError", measures=(PATCH,))) is None
    assert without_broken(a_pack(measured=MEASURES[1:]), failure) is None


def test_parts_of_a_pack_leave_out_the_same() -> None:
    pack = without_broken(a_pack(), Failure("KeyError", measures=(BROKEN,)))
    assert pack is not None
    first = {pack.trials[0].trial_id}
    for part in (*pack.halves(), *pack.apart(first), *pack.parts(1)):
        assert part.without == pack.without and len(part.trials) == 1


def test_a_resume_tries_again_what_was_left_out_and_only_that(tmp_path: Path) -> None:
    other = trial("ridge", rate=0, weight_decay=1.0, data=FEW)
    whole, pack = a_pack(other), a_pack()
    again = without_broken(pack, failed(pack))
    assert again is not None
    with_all = len(fake_rows(whole)["measurements"][0])
    Ledger(tmp_path).append(fake_rows(whole))
    left = replace(again, settings=replace(again.settings, measures=measures_of_pack(again)))
    Ledger(tmp_path).append(with_left_out(fake_rows(left), left_out_text(again)))
    sweep: Any = {"measures": {PATCH: {}, BROKEN: {}}, "specs": [{}]}
    lacking = {each.trial_id for each in pack.trials}
    ledger = Ledger(tmp_path)
    assert trials_to_repeat(ledger, sweep) == lacking
    assert outdated_trials(ledger, sweep) == set(), "they count as finished until then"
    # It fails once more: recorded again, and the sweep does not go on for ever.
    ledger.outdated = trials_to_repeat(ledger, sweep)
    assert ledger.ended == {other.trial_id}
    assert ledger.append(with_left_out(fake_rows(left), left_out_text(again))).num_rows == 2
    assert ledger.ended == lacking | {other.trial_id} and not ledger.outdated
    # The trigger was repaired: the whole row counts from now on.
    ledger.outdated = trials_to_repeat(ledger, sweep)
    ledger.append(fake_rows(pack))
    rows = {row.trial_id: row for row in Ledger(tmp_path).trials()}
    assert [len(rows[name].measurements) for name in lacking] == [with_all] * 2
    assert {rows[name].error for name in lacking} == {None}
    assert trials_to_repeat(Ledger(tmp_path), sweep) == set()
    assert trials_to_repeat(Ledger(tmp_path), {"specs": [{}]}) == set()  # type: ignore[typeddict-item]


def test_a_trigger_that_was_repaired_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Breaks, "repaired", True)
    for row in train_pack(a_pack()).to_pylist():
        assert [each["measure_id"] for each in row["measurements"]] == [PATCH, BROKEN]
        assert row["error"] is None
