"""`resources.time_limit`: how it is written, what is refused, and where it goes."""

import json

import pytest
from small import SMALL, begin, small_spec, sweep
from trials import fake_rows, trial

from backdoor.errors import UserError
from sweeps.cli.main import main
from sweeps.packs.chunk import Chunk
from sweeps.packs.pack import Pack, PackSettings
from sweeps.results.extension import extension_of
from sweeps.runners.serial import SerialRunner
from sweeps.search import make_search
from sweeps.spec import load_spec
from sweeps.spec.durations import LONGEST, DurationError, in_words, read_duration, written


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90), ("30min", 1800), ("2h", 7200), ("1h30m", 5400), ("1.5h", 5400), ("1d", 86400),
        (" 1 h 30 min ", 5400), ("2 hours", 7200), ("1d2h3m4s", 93784), ("1000d", LONGEST),
        (None, None), ("none", None),
    ],
)  # fmt: skip
def test_durations(text, seconds) -> None:
    assert read_duration(text) == seconds


@pytest.mark.parametrize(
    ("value", "remedy"),
    [
        (2, "Say the unit: 2s, 2min or 2h."),
        ("90", "Say the unit: 90s, 90min or 90h."),
        ("2:30", "Did you mean '2h30min'?"),
        ("0:00:30", "Did you mean '30s'?"),
        ("1,5h", "Did you mean '1h30min'?"),
        ("2H", "Did you mean '2h'?"),
        ("1h and 30min", "Did you mean '1h30min'?"),
        *((value, "For example 90s, 30min, 2h, 1h30m or 1d; null is no limit.") for value in (
            0, -1, True, "", "h2", "30m1h", "1h1h", "0.5s", "0s", "1001d", "9" * 400 + "h", [1],
            "500ms", "-5m", "soon", float("inf"), "nan", "1e400")),
    ],
)  # fmt: skip
def test_what_is_no_duration(value, remedy) -> None:
    with pytest.raises(DurationError) as refused:
        read_duration(value)
    assert refused.value.remedy == remedy


def test_durations_in_words() -> None:
    shown = {0: "0 seconds", 1: "1 second", 41.234: "41.2 seconds", 600: "10 minutes",
             3600: "1 hour", 9000: "2.5 hours", 1e9: "11,574 days"}  # fmt: skip
    assert {seconds: in_words(seconds) for seconds in shown} == shown
    assert [written(s) for s in (5400, 86400, 61.5)] == ["1h30min", "1d", "1min1.5s"]
    assert all(read_duration(written(s)) == s for s in (1, 59, 60, 3599, 3661, 86399, 93784))


def test_a_spec_says_it_and_ids_do_not_depend_on_it() -> None:
    plain, limited = small_spec(), small_spec(resources={"time_limit": "1h30m"})
    assert plain.resources.time_limit is None and limited.resources.time_limit == 5400.0
    assert PackSettings.of(limited).time_limit == 5400.0
    ids = [[t.trial_id for t in make_search(s).ask(99)] for s in (plain, limited)]
    assert len(ids[0]) == 24 and ids[0] == ids[1]
    pack = Pack((trial(),), PackSettings((), time_limit=90.0))
    assert Chunk.from_json(Chunk((pack,)).to_json()).packs[0].settings.time_limit == 90.0


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ("resources.time_limit=2", "resources.time_limit: must be a duration with its unit, from "
         "1s to 1000d, but got 2. Say the unit: 2s, 2min or 2h."),
        ("resources.timeout=2h", "Did you mean 'time_limit'?"),
        ("time_limit=2h", "Did you mean 'resources.time_limit'?"),
    ],
)  # fmt: skip
def test_mistakes_say_what_to_write(change, text) -> None:
    with pytest.raises(UserError) as refused:
        load_spec(SMALL, [change])
    assert text in str(refused.value)


def test_an_extension_may_change_it() -> None:
    before, after = small_spec(), small_spec(resources={"time_limit": "2h"})
    found = extension_of(before, after, list)
    assert found.refused == () and found.added == ("resources.time_limit: nothing -> 2h",)
    same = small_spec(resources={"time_limit": "120min"})
    assert extension_of(after, same, list).added == ()


def test_check_shows_it(tmp_path, capsys) -> None:
    (tmp_path / "spec.yaml").write_text(json.dumps(SMALL))
    asked = ["check", str(tmp_path / "spec.yaml")]
    assert main([*asked, "--set", "resources.time_limit=90min"]) == 0
    assert "\n  a trial that takes longer than 1.5 hours is ended\n" in capsys.readouterr().out
    assert main([*asked, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["time_limit"] is None


def test_a_sweep_of_before_goes_on_with_a_limit(tmp_path) -> None:
    paths, spec = begin(tmp_path / "r", small_spec()), small_spec(resources={"time_limit": "1h"})
    assert sweep(paths, small_spec(), SerialRunner(fake_rows)).finished == 24
    untouched = SerialRunner(lambda pack: pytest.fail("nothing is trained again"))
    assert sweep(paths, spec, untouched).finished == 24
