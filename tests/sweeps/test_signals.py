"""How a sweep's processes end: in order, by signals to it or its process group, or killed."""

import contextlib
import ipaddress
import os
import pwd
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from small import SMALL

from sweeps.cli import INTERRUPTED
from sweeps.driver.hard_stop import Once
from sweeps.driver.messages import interrupted
from sweeps.runners import sockets
from sweeps.runners.processes import descendants, kill
from sweeps.runners.sockets import ListeningSocket, open_warning, place_of, warn_once
from sweeps.runners.watcher import Watcher, members
from sweeps.scheduling import loop
from sweeps.storage.paths import SweepPaths
from sweeps.storage.shell import command

ROOT = Path(__file__).parents[2]


def until(condition, seconds=60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def runs(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    return False


# --- what a killed process leaves --------------------------------------------------------------

KILLED = """
import subprocess, sys
sys.path.insert(0, "sweeps/runners")  # without what the package imports
from watcher import Watcher
watcher, sleep = Watcher("OURS=17"), ["sleep", "600"]
led = subprocess.Popen(["sh", "-c", "sleep 600 & echo $!; exec sleep 600"], start_new_session=True,
                       stdout=subprocess.PIPE, text=True)
watcher.add(led.pid)
marked = subprocess.Popen(sleep, start_new_session=True, env={"OURS": "17"})
other = subprocess.Popen(sleep, start_new_session=True, env={"OURS": "177"})
print(watcher.pid, led.pid, led.stdout.readline().strip(), marked.pid, other.pid, flush=True)
sys.stdin.readline()
"""


def test_a_watcher_ends_what_a_killed_process_leaves_and_nothing_else() -> None:
    line = [sys.executable, "-c", KILLED]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:  # fmt: skip
        *ours, other = map(int, process.stdout.readline().split())
        os.kill(ours[0], signal.SIGTERM)  # systemd and Slurm signal every process
        try:
            assert all(map(runs, (*ours, other)))
            process.kill()
            until(lambda: not any(map(runs, ours)))
            assert runs(other)
        finally:
            kill([*ours, other])


def test_a_watcher_that_is_closed_ends_nothing() -> None:
    with subprocess.Popen(["sleep", "600"], start_new_session=True) as led:
        watcher = Watcher("OURS=18")
        watcher.add(led.pid)
        watcher.close()
        assert led.poll() is None and members({led.pid}, "OURS=18") == [led.pid]
        led.kill()


# --- signals ------------------------------------------------------------------------------------


def test_sigterm_stops_at_once_when_the_packs_have_had_their_time(monkeypatch) -> None:
    import threading

    monkeypatch.setattr(loop, "SIGTERM_SECONDS", 0.01)
    stopping, told, before = threading.Event(), [], signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), loop._interruptible(stopping, lambda: told.append(1)):
        os.kill(os.getpid(), signal.SIGTERM)
        assert stopping.is_set()
        threading.Event().wait(30)
    assert told == [1] and signal.getsignal(signal.SIGTERM) == before


def test_one_ctrl_c_has_no_limit(monkeypatch) -> None:
    import threading

    def started(timer: threading.Timer) -> None:
        raise AssertionError("a clock runs")

    monkeypatch.setattr(threading.Timer, "start", started)
    stopping = threading.Event()
    with loop._interruptible(stopping, lambda: None):
        os.kill(os.getpid(), signal.SIGINT)
        assert stopping.is_set()
    stopping.clear()
    clock = pytest.raises(AssertionError, match="a clock runs")
    with clock, loop._interruptible(stopping, lambda: None):
        os.kill(os.getpid(), signal.SIGTERM)


def test_last_words_are_said_once_and_again_where_they_failed() -> None:
    said = []

    def tell() -> None:
        said.append(1)
        if len(said) == 1:
            raise KeyboardInterrupt

    once = Once(tell)
    with pytest.raises(KeyboardInterrupt):
        once()
    once()
    once()
    assert said == [1, 1]


def test_an_interrupt_after_the_answer_goes_on_with_the_mirror(tmp_path) -> None:
    paths = SweepPaths(tmp_path / "r")
    assert interrupted(paths, 24, 24, answered=True) == (
        "Interrupted: 24 trials and the answer are recorded; MLflow may lack some. "
        f"Go on with: {command('sweeps', 'mirror', paths.root)}"
    )


def start(tmp_path, epochs):
    """A sweep in a process group of its own, with a file that takes what it says."""
    defence = {"architecture": "mlp", "epochs": epochs, "weight_decay": 0.01}
    spec, error = tmp_path / "spec.yaml", tmp_path / "stderr"
    spec.write_text(yaml.safe_dump(SMALL | {"defence": defence, "seeds": 1}))
    words = [sys.executable, "-m", "sweeps.cli", "run", str(spec), "--out", str(tmp_path / "r")]
    with error.open("w") as stderr:
        process = subprocess.Popen(words, stderr=stderr, stdout=subprocess.DEVNULL, start_new_session=True,
                                   env=os.environ | {"PYTHONPATH": str(ROOT)})  # fmt: skip
    return process, error


def trains(process) -> bool:
    """Whether a worker of Ray has begun."""
    for pid in descendants(process.pid):
        with contextlib.suppress(OSError):
            title = Path(f"/proc/{pid}/cmdline").read_text()
            if title.startswith("ray::") and "Agent" not in title:
                return True
    return False


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["Ray starts", "packs"])
def test_sigterm_to_the_process_group_ends_a_sweep_in_order(tmp_path, moment) -> None:
    """As `timeout`, systemd and Slurm send it; a pack takes many minutes."""
    process, error = start(tmp_path, [400_000])
    try:
        until(lambda: "starting Ray" in error.read_text(), 120)
        until(lambda: moment != "packs" or trains(process), 120)
        ours = descendants(process.pid)
        began = time.monotonic()
        os.killpg(process.pid, signal.SIGTERM)
        assert process.wait(60) == INTERRUPTED, error.read_text()
        crowded = max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
        assert time.monotonic() - began < 15 * crowded
        until(lambda: not any(map(runs, ours)), 10)
    finally:
        kill([*descendants(process.pid), process.pid] if process.poll() is None else [])
    said = error.read_text()
    again = command("sweeps", "resume", tmp_path / "r")
    assert said.count("Interrupted: 0 trials are recorded. Go on with: " + again) == 1
    assert said.count("Interrupted") == 1 and "Traceback" not in said


@pytest.mark.slow
def test_a_killed_sweep_leaves_no_process_and_listens_on_loopback(tmp_path) -> None:
    process, error = start(tmp_path, [400_000])
    try:
        until(lambda: trains(process), 120)
        ours = descendants(process.pid)
        found = sockets.listening([process.pid, *ours])
        assert {"gcs_server", "raylet"} <= {each.kind for each in found}, error.read_text()
        assert [each for each in found if not each.on_loopback] == []
    finally:
        process.kill()
        process.wait()
    until(lambda: not any(map(runs, ours)), 10)


# --- sockets ------------------------------------------------------------------------------------


def test_addresses_of_the_kernel_are_read() -> None:
    """By hand: words of four bytes, each in the order of the machine."""
    if sys.byteorder == "little":
        assert place_of("0100007F:1F90") == ("127.0.0.1", 8080)
        mapped = ListeningSocket(1, "x", *place_of("0000000000000000FFFF00000100007F:0050"))
        assert (mapped.on_loopback, mapped.port) == (True, 80)
    assert not ListeningSocket(1, "x", "0.0.0.0", 1).on_loopback
    assert not ListeningSocket(1, "x", str(ipaddress.IPv6Address("::")), 1).on_loopback
    assert ListeningSocket(1, "x", "::1", 1).on_loopback


def account(uid: int, shell: str) -> pwd.struct_passwd:
    return pwd.struct_passwd(("a", "x", uid, uid, "", "/", shell))


def test_open_sockets_are_warned_of_once_where_several_people_log_in(tmp_path, monkeypatch) -> None:
    accounts = [account(0, "/bin/bash"), account(1000, "/bin/bash"), account(1001, "/bin/zsh"),
                account(1002, "/usr/sbin/nologin"), account(65534, "/bin/sh")]  # fmt: skip
    assert sockets.people(accounts) == 2
    found = [ListeningSocket(7, "raylet", "0.0.0.0", 41), ListeningSocket(7, "x", "127.0.0.1", 5)]
    monkeypatch.setattr(sockets, "listening", lambda pids: found)
    assert open_warning(found, 1) is None and open_warning(found[1:], 2) is None
    assert warn_once([7], tmp_path / "c", 1) is None
    assert warn_once([7], tmp_path / "c", 2) == (
        "2 accounts can log into this machine, and 1 socket of Ray can be reached from other "
        "machines: raylet on port 41. A firewall closes them, and so does a machine of your own. "
        "This is said once."
    )
    assert warn_once([7], tmp_path / "c", 2) is None
