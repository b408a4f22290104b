"""Deadlines of packs: by the spec, by packs like them, by a prediction."""

import math
import random
import statistics
import subprocess
from dataclasses import replace

import pyarrow as pa
import pytest
from trials import fake_result, trial

from sweeps.cost.late_prediction import LatePrediction, clean_pack, measured
from sweeps.ledger import failed_rows, finished_rows
from sweeps.ledger.recorded_packs import recorded_packs
from sweeps.packs.pack import Pack, PackSettings
from sweeps.scheduling.deadlines import LATEST, LEAST, UNKNOWN, Deadlines

SETTINGS = PackSettings((), cpu=1)


def pack(trials=1, first=0, settings=SETTINGS, **defence):
    return Pack(tuple(trial(seed=first + i, **defence) for i in range(trials)), settings)


def learned(*packs_and_seconds, predicted=None):
    """Deadlines that know the seconds of these packs."""
    deadlines = Deadlines(None, predicted)
    for number, (count, seconds, defence) in enumerate(packs_and_seconds):
        ended = pack(count, 100 * number, **defence)
        share = None if seconds is None else seconds / count
        deadlines.learn([ended], {t.trial_id: share for t in ended.trials})
    return deadlines


def test_the_limit_of_the_spec_counts_for_each_trial_of_a_pack() -> None:
    deadlines = Deadlines(7200.0)
    deadlines.learn([pack()], {pack().trials[0].trial_id: 1e6})
    assert deadlines.is_declared and not Deadlines(None).is_declared
    assert (deadlines.seconds(pack()), deadlines.seconds(pack(4))) == (7200, 28800)
    assert deadlines.why(pack()) == "resources.time_limit, 2 hours"
    each = "resources.time_limit is 2 hours a trial, and 4 are trained together"
    assert deadlines.why(pack(4)) == f"8 hours: {each}"


def test_twenty_times_the_median_of_packs_like_it() -> None:
    known = learned(*((1, seconds, {}) for seconds in (30, 41, 5000)))
    assert known.seconds(pack()) == 820.0
    why = "20 times the median of 3 packs like it (41 seconds), at least 10 minutes"
    assert known.why(pack()) == f"13.7 minutes: {why}"
    assert learned((1, 1.5, {})).seconds(pack()) == LEAST
    one = "20 times what the one pack like it took (1.5 seconds), at least 10 minutes"
    assert learned((1, 1.5, {})).why(pack()) == f"10 minutes: {one}"


def test_rows_have_a_share_of_their_pack() -> None:
    """Four trials of 30 s each took 120 s together: alone one may take nearly as long."""
    known = learned((4, 120, {}))
    assert [known.seconds(pack(count)) for count in (1, 4, 8)] == [2400, 2400, 4800]


def test_others_of_its_kind_count_by_the_most_that_they_can_mean() -> None:
    known = learned((1, 60, {"epochs": 10}))
    assert known.seconds(pack(epochs=30)) == 20 * 60 * 3
    assert known.seconds(pack(epochs=5)) == 20 * 60
    wide = {"architecture": {"kind": "mlp", "width": 128}, "epochs": 10}
    assert known.seconds(pack(**wide)) == 20 * 60 * 4, "twice the width of 64, squared"
    scaled = "20 times what the one pack of its kind took (4 minutes), at least 10 minutes"
    assert known.why(pack(**wide)) == f"1.33 hours: {scaled}"
    assert known.seconds(pack(architecture="linear")) == UNKNOWN
    assert known.seconds(pack(settings=PackSettings((), gpu=1.0), epochs=10)) == UNKNOWN


def test_packs_of_one_kernel_machine_differ_in_their_kernel() -> None:
    machine = {"architecture": {"kind": "rbf_svm", "gamma": 1.0}, "weight_decay": 0.1}
    narrow = {"architecture": {"kind": "rbf_svm", "gamma": 100.0}, "weight_decay": 0.1}
    assert learned((1, 60, machine)).seconds(pack(**narrow)) == 1200


def test_a_prediction_is_asked_for_late_and_only_where_nothing_is_known() -> None:
    asked = []

    def predicted(about):
        asked.append(about)
        return 100.0

    deadlines = Deadlines(None, predicted)
    unknown = "nothing like it has ended yet, and the spec has no resources.time_limit"
    assert deadlines.seconds(pack()) == UNKNOWN and not asked
    assert deadlines.why(pack(), ran=0) == f"1 day: {unknown}"
    assert deadlines.seconds(pack(), ran=LEAST) == 2000 and len(asked) == 1
    short = "20 times what short trainings predict (1.67 minutes), at least 10 minutes"
    assert deadlines.why(pack()) == f"33.3 minutes: {short}"
    deadlines.learn([pack()], {pack().trials[0].trial_id: 40.0})
    asked.clear()
    assert deadlines.seconds(pack(), ran=LEAST) == 800 and not asked
    for useless in (None, math.nan, math.inf, -1.0):
        unsure = Deadlines(None, lambda about, useless=useless: useless)
        assert unsure.seconds(pack(), ran=LEAST) == UNKNOWN


def test_seconds_that_say_nothing_are_left_out() -> None:
    for useless in (None, math.nan, math.inf, -1.0):
        assert learned((1, useless, {})).seconds(pack()) == UNKNOWN
    assert learned((1, 0.0, {}), (1, math.nan, {})).seconds(pack()) == LEAST
    deadlines, early = Deadlines(None), pack(2)
    first, second = (t.trial_id for t in early.trials)
    deadlines.learn([early], {first: 90.0, second: 1.0}, stopped={second})
    assert deadlines.seconds(pack(2)) == 20 * 180
    deadlines.learn([pack()], {})
    assert deadlines.seconds(pack(2)) == 20 * 180


def by_hand(history, count, epochs):
    """The rule, without shapes and caches: packs as (trials, seconds, epochs)."""
    latest = history[-LATEST:]
    alike = [e for e in latest if e[2] == epochs] or latest
    scaled = [s * max(1, count / n) * max(1, epochs / e) for n, s, e in alike]
    return max(LEAST, 20 * statistics.median(scaled)) if scaled else UNKNOWN


@pytest.mark.parametrize("seed", range(6))
def test_like_the_rule_by_hand(seed) -> None:
    rng = random.Random(seed)
    history, deadlines = [], Deadlines(None)
    sizes = [pack(n, epochs=e) for n in (1, 3, 16) for e in (5, 20, 80)]
    for _ in range(rng.choice([0, 1, 30, 2 * LATEST])):
        ended = rng.choice(sizes)
        share = rng.choice([0.0, rng.lognormvariate(3, 2)])
        deadlines.learn([ended], {t.trial_id: share for t in ended.trials})
        count, epochs = len(ended.trials), ended.trials[0].defence.epochs
        history.append((count, share * count, epochs))
    for asked in sizes:
        expected = by_hand(history, len(asked.trials), asked.trials[0].defence.epochs)
        assert deadlines.seconds(asked) == pytest.approx(expected)
        if history:  # a pack with more trials never has less time
            fewer = pack(max(1, len(asked.trials) // 2), epochs=asked.trials[0].defence.epochs)
            assert deadlines.seconds(fewer) <= deadlines.seconds(asked)


def rows(ended, share, at=0.0, **changes):
    table = finished_rows(
        [replace(fake_result(t), seconds=share) for t in ended.trials], ended.pack_id, 1, 0.0
    )
    changes["finished_at"] = at
    for name, value in changes.items():
        field = table.schema.field(name)
        table = table.set_column(
            table.column_names.index(name), field, pa.array([value] * table.num_rows, field.type)
        )
    return table


def test_a_resumed_sweep_learns_from_its_rows() -> None:
    deadlines = Deadlines(None)
    deadlines.learn_rows(rows(pack(), 1.0).slice(0, 0))
    assert deadlines.seconds(pack()) == UNKNOWN
    some = [rows(pack(4, 10 * i), share) for i, share in enumerate((10.0, 30.0, 50.0))]
    deadlines.learn_rows(pa.concat_tables(some))
    assert deadlines.seconds(pack(4)) == 20 * 120 and deadlines.seconds(pack(8)) == 20 * 240
    assert "the median of 3 packs like it (2 minutes)" in deadlines.why(pack(4))


def test_rows_that_say_nothing_of_this_sweep_are_left_out() -> None:
    useless = [
        rows(pack(2, 0), 90.0, reused_from="another"),
        rows(pack(2, 10), 90.0, status="stopped"),
        rows(pack(2, 20), math.nan),
        rows(pack(2, 30), None),
        rows(pack(2, 40), 90.0, pack_id=None),
        failed_rows(pack(2, 50).trials, "0" * 12, "ValueError: no"),
        rows(pack(2, 60), 90.0, pack_id="half").slice(0, 1),
        failed_rows(pack(2, 60).trials[1:], "half", "ValueError: no"),
    ]
    assert list(recorded_packs(pa.concat_tables(useless))) == []
    deadlines = Deadlines(None)
    other = rows(pack(2, 70), 90.0, gpus=1.0)  # it was trained on a GPU
    deadlines.learn_rows(pa.concat_tables([*useless, other]))
    assert deadlines.seconds(pack(2)) == UNKNOWN
    old = rows(pack(2, 80), 90.0, cpus=None, gpus=None)  # of an old release
    deadlines.learn_rows(old)
    assert deadlines.seconds(pack(2)) == UNKNOWN


def test_the_latest_packs_are_read() -> None:
    table = pa.concat_tables([rows(pack(2, 10 * i), 1.0 + i, at=100.0 - i) for i in range(6)])
    found = list(recorded_packs(table, most=3))
    assert [each.seconds for each in found] == [6.0, 4.0, 2.0], "the oldest first"
    assert {(e.trials, e.cpus, e.gpus, e.defence["epochs"]) for e in found} == {(2, 1.0, 0.0, 30)}


def test_a_late_prediction_is_measured_elsewhere_and_keeps_nobody_waiting() -> None:
    """The process measures clean baselines: what keeps a pack may be its trigger."""
    twelve = "import sys; assert '\"attack\",null' in sys.stdin.read(); print(12.5)"
    now = [0.0]
    late = LatePrediction(twelve, lambda: now[0])
    two_attacks = Pack((trial(), trial(rate=0.01)), SETTINGS)
    assert late(two_attacks) is None
    late._process.wait()
    assert late(two_attacks) == 25.0, "both are one clean baseline"
    assert late(pack(4)) is None and late(pack(3)) is None
    late._process.wait()
    assert late(pack(3)) is None and late(pack(4)) == 12.5
    late.close()
    assert late(two_attacks) == 25.0


@pytest.mark.parametrize(
    "program", ["raise SystemExit(1)", "print('nothing')", "print()", "import time; time.sleep(99)"]
)
def test_a_prediction_that_fails_is_unknown(program) -> None:
    now = [0.0]
    late = LatePrediction(program, lambda: now[0])
    assert late(pack()) is None
    if "sleep" not in program:
        late._process.wait()
    else:
        now[0] = 601.0
    assert late(pack()) is None and late._process is None, "it is not tried again"
    assert late(pack()) is None and late._process is None


def test_where_no_process_starts_a_prediction_is_unknown(monkeypatch) -> None:
    def refused(*given, **options):
        raise BlockingIOError(11, "Resource temporarily unavailable")

    late = LatePrediction()
    monkeypatch.setattr(subprocess, "Popen", refused)
    assert late(pack()) is None and late._process is None
    monkeypatch.setattr(subprocess, "Popen", None)
    assert late(pack()) is None, "it is not tried again"


def test_short_trainings_predict_a_clean_pack() -> None:
    asked = clean_pack(Pack((trial("ridge", weight_decay=0.1),), SETTINGS))
    assert [t.attack for t in asked.trials] == [None] and asked.settings.measures == ()
    assert 0 < measured(asked) < 60
