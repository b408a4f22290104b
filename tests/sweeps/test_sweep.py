"""The loop: what is planned, recorded, retried and never trained twice."""

import pytest
from small import begin, results, small_spec, sweep
from trials import fake_rows

from sweeps.ledger import Ledger
from sweeps.runners import train_pack
from sweeps.runners.replay import ReplayRunner
from sweeps.runners.serial import SerialRunner
from sweeps.scheduling.loop import run_search
from sweeps.search import make_search


@pytest.fixture
def spec():
    return small_spec()


def test_a_sweep_records_every_trial_once_and_tells_observers(tmp_path, spec) -> None:
    seen = []

    class Watch:
        def recorded(self, rows):
            seen.extend(rows["trial_id"].to_pylist())

    paths = begin(tmp_path / "r", spec)
    outcome = sweep(paths, spec, SerialRunner(fake_rows), [Watch()])
    assert (outcome.finished, outcome.failed, outcome.interrupted) == (24, 0, False)
    assert sorted(seen) == sorted(results(paths)) and len(seen) == 24


def test_resume_trains_nothing_that_is_recorded(tmp_path, spec) -> None:
    paths = begin(tmp_path / "r", spec)
    trained = []

    def work(pack):
        if len(trained) > 0:
            raise KeyboardInterrupt
        trained.extend(t.trial_id for t in pack.trials)
        return fake_rows(pack)

    with pytest.raises(KeyboardInterrupt):
        sweep(paths, spec, SerialRunner(work))
    first = set(results(paths))
    assert first == set(trained) and first

    again = []

    def record(pack):
        again.extend(t.trial_id for t in pack.trials)
        return fake_rows(pack)

    sweep(paths, spec, SerialRunner(record))
    assert not first & set(again) and len(again) == 24 - len(first)
    assert len(results(paths)) == 24
    more = []
    sweep(paths, spec, SerialRunner(more.append))
    assert not more


def test_one_bad_trial_does_not_take_its_pack_with_it(tmp_path, spec) -> None:
    paths = begin(tmp_path / "r", spec)
    bad = next(t for t in make_search(spec).ask(99) if t.attack is not None).trial_id
    healed = []

    def work(pack):
        if not healed and any(t.trial_id == bad for t in pack.trials):
            raise RuntimeError("this one\nbreaks it")
        return fake_rows(pack)

    outcome = sweep(paths, spec, SerialRunner(work))
    assert (outcome.finished, outcome.failed) == (23, 1)
    row = results(paths)[bad]
    assert row["status"] == "failed" and row["error"] == "RuntimeError: this one breaks it"
    healed.append(True)
    outcome = sweep(paths, spec, SerialRunner(work))
    assert (outcome.finished, outcome.failed) == (24, 0)
    assert results(paths)[bad]["status"] == "finished"


def test_a_pack_that_returns_too_few_rows_has_failed_trials(tmp_path, spec) -> None:
    paths = begin(tmp_path / "r", spec)
    outcome = sweep(paths, spec, SerialRunner(lambda pack: fake_rows(pack).slice(1)))
    assert outcome.failed > 0 and outcome.finished + outcome.failed == 24
    errors = {r["error"] for r in results(paths).values() if r["status"] == "failed"}
    assert errors == {"the worker returned no row"}


def test_an_error_of_ours_ends_the_sweep_and_keeps_what_is_recorded(tmp_path, spec) -> None:
    paths = begin(tmp_path / "r", spec)

    class Broken:
        def recorded(self, rows):
            raise ValueError("an observer broke")

    with pytest.raises(ValueError, match="an observer broke"):
        sweep(paths, spec, SerialRunner(fake_rows), [Broken()])
    recorded = len(results(paths))
    assert 0 < recorded < 24
    sweep(paths, spec, SerialRunner(fake_rows))
    assert len(results(paths)) == 24


def test_a_sweep_in_which_nothing_works_gives_up_soon(tmp_path, spec) -> None:
    from backdoor.errors import TrainingError

    paths, tried = begin(tmp_path / "r", spec), []

    def work(pack):
        tried.append(pack)
        raise OSError("no such device")

    with pytest.raises(
        TrainingError,
        match=r"5 configurations failed, each alone, and none succeeded anywhere: all 5 failures: "
        r"OSError: no such device at test_sweep.py:\d+.* None of these is recorded as failed",
    ):
        sweep(paths, spec, SerialRunner(work))
    assert len(tried) < 24 and sum(len(pack.trials) == 1 for pack in tried) == 5
    assert sweep(paths, spec, SerialRunner(fake_rows)).finished == 24


def test_a_search_that_raises_ends_the_sweep(tmp_path, spec) -> None:
    paths = begin(tmp_path / "r", spec)

    class Search:
        finished = False

        def ask(self, limit):
            raise RuntimeError("no idea")

        def tell(self, rows): ...

    with pytest.raises(RuntimeError, match="no idea"):
        run_search(spec, Ledger(paths.ledger), Search(), SerialRunner(fake_rows))


def test_replay_answers_from_a_table_on_a_simulated_clock(tmp_path, spec) -> None:
    real, replayed = begin(tmp_path / "real", spec), begin(tmp_path / "replayed", spec)
    sweep(real, spec, SerialRunner(train_pack))
    one = ReplayRunner(Ledger(real.ledger), workers=1)
    outcome = sweep(replayed, spec, one)
    assert outcome.finished == 24 and results(replayed) == results(real)
    many = ReplayRunner(Ledger(real.ledger), workers=50)
    sweep(begin(tmp_path / "wide", spec), spec, many)
    seconds = [row["seconds"] for row in Ledger(real.ledger).rows()]
    assert one.clock == pytest.approx(sum(seconds))
    assert 0 < many.clock < one.clock


def test_replay_says_what_its_table_lacks(tmp_path, spec) -> None:
    real = begin(tmp_path / "real", spec)
    sweep(real, spec, SerialRunner(fake_rows))
    wider = small_spec(seeds=3)
    paths = begin(tmp_path / "wider", wider)
    outcome = sweep(paths, wider, ReplayRunner(Ledger(real.ledger)))
    assert (outcome.finished, outcome.failed) == (24, 12)
    errors = [r["error"] for r in results(paths).values() if r["status"] == "failed"]
    assert all("not in the recorded table" in error for error in errors)


def test_a_second_writer_is_refused(tmp_path, spec) -> None:
    from backdoor.errors import UserError
    from sweeps.storage.files import locked

    paths = begin(tmp_path / "r", spec)
    with (
        locked(paths.lock),
        pytest.raises(UserError, match=r"DIR .*is in use by process"),
        locked(paths.lock),
    ):
        pass
    with locked(paths.lock):
        pass
