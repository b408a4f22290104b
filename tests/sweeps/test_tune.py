"""Packs on a real Ray: rows, failures, dying workers, and drivers that are killed."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import ray
import yaml
from small import SMALL, begin, results, small_spec, sweep
from trials import fake_rows

from sweeps.ledger import Ledger
from sweeps.runners import train_pack
from sweeps.runners.serial import SerialRunner
from sweeps.runners.supervision import supervisor
from sweeps.runners.tune import TuneRunner

pytestmark = pytest.mark.usefixtures("local_ray")
ROOT = Path(__file__).parents[2]
#: CPUs that leave room for one worker only, where a second shows nothing more: each imports for seconds.
WHOLE = 2


def test_rows_equal_those_of_the_serial_runner_bitwise_and_stdout_stays_clean(
    tmp_path, capfd
) -> None:
    spec = small_spec()
    tuned, serial = begin(tmp_path / "tune", spec), begin(tmp_path / "serial", spec)
    outcome = sweep(tuned, spec, TuneRunner())
    assert (outcome.finished, outcome.failed) == (24, 0)
    assert capfd.readouterr().out == ""
    sweep(serial, spec, SerialRunner())
    assert results(tuned) == results(serial)


@pytest.mark.slow
def test_bad_packs_bad_workers_and_good_ones(tmp_path) -> None:
    """One trial would raise alone, one ends its process once, one always; the others finish."""
    spec = small_spec(defence={"architecture": "ridge", "weight_decay": 0.1}, seeds=[1, 2, 3, 4],
                      attack={"trigger": "patch", "poison_rate": 0.03})  # fmt: skip
    paths, once = begin(tmp_path / "r", spec), tmp_path / "once"

    def work(pack):
        from trials import fake_rows as rows

        seeds = {t.seed for t in pack.trials}
        if 1 in seeds and len(seeds) == 1:
            raise ValueError("seed 1 is bad")
        if 2 in seeds and not once.exists():
            once.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if 3 in seeds:
            os.kill(os.getpid(), signal.SIGKILL)
        return rows(pack)

    outcome = sweep(paths, spec, TuneRunner(WHOLE, work=work))
    found = {row["seed"]: row for row in results(paths).values()}
    assert (outcome.finished, outcome.failed) == (3, 1)
    assert found[3]["status"] == "failed"
    assert found[3]["error"] == "the process was ended by SIGKILL"
    assert once.exists()


def test_an_exception_in_a_worker_is_recorded_and_not_retried(tmp_path) -> None:
    spec, log = small_spec(), tmp_path / "log"
    paths = begin(tmp_path / "r", spec)

    def work(pack):
        with log.open("a") as stream:
            stream.write(f"{len(pack.trials)}\n")
        if len(pack.trials) == 1:
            raise ValueError("no single trials here")
        from trials import fake_rows as rows

        return rows(pack)

    outcome = sweep(paths, spec, TuneRunner(WHOLE, work=work))
    assert (outcome.finished, outcome.failed) == (24, 0)
    assert "1" not in log.read_text().split()


SHAPES = {"architecture": "linear", "weight_decay": [0, 0.03], "epochs": list(range(1, 13))}


@pytest.mark.slow
def test_a_worker_that_dies_in_a_chunk_keeps_what_it_has_reported(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(supervisor, "REPORT_EVERY", -1.0)  # it is sent with the work
    spec, log, once = small_spec(defence=SHAPES), tmp_path / "log", tmp_path / "once"
    paths = begin(tmp_path / "r", spec)

    def work(pack):
        from trials import fake_rows as rows

        epochs = pack.trials[0].defence.epochs
        with log.open("a") as stream:
            stream.write(f"{epochs}\n")
        if len(log.read_text().split()) == 9 and not once.exists():
            once.write_text(str(epochs))
            os.kill(os.getpid(), signal.SIGKILL)
        return rows(pack)

    assert sweep(paths, spec, TuneRunner(WHOLE, work=work)).finished == 12 * 12
    begun = log.read_text().split()
    # What it was running was tried again in two halves.
    assert sorted(begun) == sorted([*map(str, range(1, 13)), *[once.read_text()] * 2])


@pytest.mark.slow
def test_an_interrupted_sweep_cancels_its_chunks(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(supervisor, "REPORT_EVERY", -1.0)
    spec, reports = small_spec(defence=SHAPES), []
    paths = begin(tmp_path / "r", spec)

    class Impatient:
        def recorded(self, rows):
            reports.append(rows.num_rows)
            if len(reports) == 5:
                os.kill(os.getpid(), signal.SIGINT)

    outcome = sweep(paths, spec, TuneRunner(WHOLE, work=fake_rows), [Impatient()])
    assert outcome.interrupted and outcome.failed == 0
    assert 5 * 12 <= outcome.finished <= 9 * 12, "no chunk was trained to its end"
    assert sweep(paths, spec, TuneRunner(WHOLE, work=fake_rows)).finished == 12 * 12


def test_an_error_of_ours_inside_tunes_loop_is_raised_after_it(tmp_path) -> None:
    class Broken:
        def recorded(self, rows):
            raise RuntimeError("observer")

    spec = small_spec()
    paths = begin(tmp_path / "r", spec)
    with pytest.raises(RuntimeError, match="observer"):
        sweep(paths, spec, TuneRunner(WHOLE, work=fake_rows), [Broken()])
    assert results(paths)
    assert sweep(paths, spec, TuneRunner(WHOLE, work=fake_rows)).finished == 24


@pytest.mark.slow
def test_a_search_that_learns_begins_with_all_workers_and_keeps_them(tmp_path) -> None:
    """Both workers train a part of the first pack, also where they end together while the next
    batch is not chosen yet. A worker that is started only later would be started for nothing, again
    and again: Tune hands its chunk to the first worker that is free."""
    spec = small_spec(
        defence={"architecture": "linear", "weight_decay": {"log": [1e-4, 1]}}, seeds=30,
        attack={"trigger": "patch", "poison_rate": 0.03},
        region={"clean_accuracy": 0.8, "attack_success": 0.2},
        search={"kind": "region", "budget": 72},
    )  # fmt: skip
    paths, log, alone = begin(tmp_path / "r", spec), tmp_path / "log", tmp_path / "alone"

    def work(pack):
        from trials import fake_rows as rows

        with log.open("a") as stream:
            stream.write(f"{os.getpid()}\n")
        end = time.monotonic() + 60
        # None of these ends before another one has started as well.
        while (count := len(log.read_text().split())) < 6 and count % 2 and time.monotonic() < end:
            time.sleep(0.01)
        if time.monotonic() >= end:
            alone.touch()
        return rows(pack)

    outcome = sweep(paths, spec, TuneRunner(work=work))
    assert outcome.finished == 72 and not alone.exists()
    pids = log.read_text().split()
    assert len(pids) > 6, "otherwise there was no reason to start another worker"
    assert len(set(pids)) == 2


def test_a_pack_larger_than_the_machine_is_refused(tmp_path) -> None:
    from backdoor.errors import UserError

    spec = small_spec()
    paths = begin(tmp_path / "r", spec)
    with pytest.raises(
        UserError, match=r"resources.cpu: must not exceed the 2 CPUs of this machine, but got 9"
    ):
        sweep(paths, spec, TuneRunner(cpu=9))
    with pytest.raises(UserError, match=r"resources.gpu: must not exceed the 0 GPUs .*RAY_ADDRESS"):
        sweep(paths, spec, TuneRunner(gpu=0.5))


def test_a_cluster_that_is_not_there_is_reported_at_once(monkeypatch) -> None:
    import socket

    from backdoor.errors import UserError
    from sweeps.runners.ray_session import ray_session

    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{closed.getsockname()[1]}")
        monkeypatch.setattr(ray, "is_initialized", lambda: False)
        with (
            pytest.raises(
                UserError, match="RAY_ADDRESS must be the address of a running Ray cluster"
            ),
            ray_session(),
        ):
            pass


def command(*arguments, **environment):
    """The command in a process of its own, on the session's Ray."""
    address = ray.get_runtime_context().gcs_address
    env = {**os.environ, "RAY_ADDRESS": address, "RAY_AUTH_MODE": "token", "PYTHONPATH": str(ROOT)}
    return subprocess.Popen([sys.executable, "-m", "sweeps.cli", *map(str, arguments)], env=env | environment,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # fmt: skip


def parts(folder):
    return len(list((folder / "ledger").glob("*.parquet")))


@pytest.mark.slow
def test_three_killed_drivers_with_real_packs(tmp_path) -> None:
    """Every epoch count is a pack of its own, so that there is something between two kills."""
    document = SMALL | {"name": "killed", "seeds": 3}
    document["defence"] = {
        "architecture": "mlp",
        "epochs": list(range(20, 32)),
        "weight_decay": [0, 0.03],
    }
    document["attack"] = {"trigger": "patch", "poison_rate": [0, 0.01, 0.03]}
    spec_file, folder = tmp_path / "spec.yaml", tmp_path / "results"
    spec_file.write_text(yaml.safe_dump(document))
    arguments = ("run", spec_file, "--out", folder)
    recorded = {}
    for _ in range(3):
        process, before = command(*arguments), parts(folder)
        while process.poll() is None and parts(folder) <= before:
            time.sleep(0.02)
        assert process.poll() is None, process.communicate()[1]
        process.kill()
        process.communicate()
        stamps = {r["trial_id"]: r["finished_at"] for r in Ledger(folder / "ledger").rows()}
        assert recorded.items() <= stamps.items(), "a recorded row was lost or made again"
        assert len(stamps) > len(recorded)
        recorded, arguments = stamps, ("resume", folder)
    process = command("resume", folder, "--json")
    out, err = process.communicate()
    assert process.returncode == 0, err
    assert json.loads(out)["trials"] == {"finished": 216, "stopped": 0, "failed": 0, "planned": 216}
    rows = Ledger(folder / "ledger").rows()
    assert recorded.items() <= {r["trial_id"]: r["finished_at"] for r in rows}.items()
    from sweeps.storage.paths import SweepPaths

    spec = small_spec(**{k: document[k] for k in ("defence", "attack", "seeds", "name")})
    serial = begin(tmp_path / "serial", spec)
    sweep(serial, spec, SerialRunner(train_pack))
    assert results(SweepPaths(folder)) == results(serial)
