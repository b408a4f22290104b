"""A worker and its trainer, which is a real process: every way in which one ends or stops, without
Ray. And what the system and a log say of a process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
from ray import cloudpickle
from trials import trial

from sweeps.packs.chunk import Chunk
from sweeps.packs.pack import Pack, PackSettings
from sweeps.runners.supervision import life, supervisor, trainer_link
from sweeps.runners.supervision.crash import crashed_at
from sweeps.runners.supervision.supervisor import Supervisor
from sweeps.runners.supervision.trainer_link import Trainer, TrainerGone
from sweeps.runners.tune import _last_words as last_words

TESTS = Path(__file__).parents[1]
PACKS = [Pack((trial(seed=seed),), PackSettings(())) for seed in range(16)]
HANG_AFTER = 2.0


def work(pack):
    """Does what the seed of the pack says."""
    import ctypes
    import os
    import signal
    import sys
    import time

    from trials import fake_rows

    seed = pack.trials[0].seed
    if seed == 1:
        raise ValueError("bright")
    if seed == 2:
        raise SystemExit(3)
    if seed == 3:
        print("before the end", flush=True)
        os._exit(7)
    if seed == 4:
        ctypes.string_at(0)
    if seed == 5:
        time.sleep(1000)
    if seed == 6:
        os.kill(os.getpid(), signal.SIGSTOP)
    if seed == 7:
        ctypes.PyDLL(None).sleep(1000)  # keeps the interpreter
    if seed == 8:  # uses the processor without letting any other Python run
        end = time.monotonic() + 4.0
        switch = sys.getswitchinterval()
        sys.setswitchinterval(1000)
        while time.monotonic() < end:
            sum(range(10**6))
        sys.setswitchinterval(switch)
    if seed == 9:
        print("x" * 10**6 + "the last words", flush=True)
        raise ValueError("loud")
    if seed == 10:
        raise KeyboardInterrupt
    if seed == 11 and os.fork() == 0:
        time.sleep(1000)
    if seed == 15 and os.fork():
        os._exit(7)  # the child keeps the connection open
    if seed == 15:
        time.sleep(1000)
    if seed == 12:
        os.closerange(3, 4096)  # its connection, whatever its number
    if seed == 13:
        return "no rows"
    return fake_rows(pack)


@pytest.fixture(scope="module")
def worker():
    """One worker, whose trainer starts again when it ends; what it reported; `train` asks for a
    pack and returns its failure, None where it succeeded."""
    saved = os.environ.get("PYTHONPATH"), supervisor._node_id
    os.environ["PYTHONPATH"] = os.pathsep.join([str(TESTS), str(TESTS.parent)])
    supervisor._node_id = lambda: "n1"
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    reports = []

    def report(content) -> None:
        assert "unfit" not in content, content  # it would wait for ever
        reports.append(content)

    kept = Supervisor(cloudpickle.dumps(work), 60.0, report)
    cloudpickle.unregister_pickle_by_value(sys.modules[__name__])

    def train(*seeds, limit=None, hang_after=None):
        if hang_after is not None:  # of a trainer that runs and has imported all it needs
            train(0)
            kept._trainer.hang_after = hang_after
        reports.clear()
        config = {"payload": Chunk(tuple(PACKS[s] for s in seeds)).to_json(),
                  "packs": [PACKS[s].pack_id for s in seeds],
                  "deadlines": [limit] * len(seeds), "references": [],
                  "believed": [None] * len(seeds)}  # fmt: skip
        kept.serve(config)
        return [reason for report in reports for reason in report.get("reasons", ())]

    yield train
    kept._end_trainer()
    os.environ.pop("PYTHONPATH") if saved[0] is None else os.environ.update(PYTHONPATH=saved[0])
    supervisor._node_id = saved[1]


def test_what_raises_costs_its_own_pack_and_no_process(worker) -> None:
    fit, bright, ended, _, interrupted, last = worker(0, 1, 2, 14, 10, 14)
    assert (fit, last) == (None, None)
    assert bright["error"] == "ValueError: bright" and bright["cause"] == "open"
    assert bright["node_id"] == "n1" and "in work" in bright["traceback"]
    assert ended["error"] == "SystemExit: 3" and not bright.get("died")
    assert interrupted["error"] == "KeyboardInterrupt: " and not interrupted.get("died")


def test_an_end_of_the_process_is_attributed_and_the_next_pack_runs(worker) -> None:
    fit, ended, crashed, last = worker(0, 3, 4, 14)
    assert (fit, last) == (None, None)
    assert ended["error"] == "the process ended with exit code 7, without a result"
    assert ended["died"] and ended["log"] == "before the end\n"
    assert crashed["error"] == "the process was ended by SIGSEGV"
    assert crashed_at(crashed["log"]).startswith(__file__)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [5, 6, 7])
def test_a_process_without_signs_of_life_is_ended(worker, seed) -> None:
    hung, last = worker(seed, 14, hang_after=HANG_AFTER)
    assert (hung["cause"], last) == ("hang", None)
    assert hung["error"] == "no sign of life for 2 s: no processor time, no input or output"
    if seed == 5:
        assert crashed_at(hung["log"]).startswith(__file__), "it said where it was"


@pytest.mark.slow
def test_a_computation_that_keeps_python_from_running_is_alive(worker) -> None:
    assert worker(8, hang_after=HANG_AFTER) == [None]


@pytest.mark.slow
def test_a_deadline(worker) -> None:
    late, last = worker(5, 14, limit=1.0)
    assert (late["error"], late["cause"], last) == ("it took longer than 1 s", "time", None)


@pytest.mark.slow
def test_odd_ends(worker) -> None:
    loud, _, left, _, closed, no_rows, last = worker(9, 11, 15, 14, 12, 13, 14)
    assert left["error"] == "the process ended with exit code 7, without a result"
    assert loud["log"].endswith("the last words\n") and len(loud["log"]) < 20_000
    assert loud["log"].startswith("... (")
    assert closed["cause"] == "open" and closed["died"]
    assert "has no attribute" in no_rows["error"] and not no_rows.get("died")
    assert last is None


@pytest.mark.slow
def test_the_trainer_dies_with_its_supervisor(tmp_path) -> None:
    code = f"""
import sys, time
sys.path[:0] = [{str(TESTS.parent)!r}]
from concurrent.futures import ThreadPoolExecutor
from sweeps.runners.supervision.trainer_link import Trainer
trainer = Trainer(100.0, ThreadPoolExecutor(1))
print(trainer.pid, flush=True)
time.sleep(100)
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    with process.stdout:
        pid = int(process.stdout.readline())
    assert Path(f"/proc/{pid}").exists()
    process.kill()
    process.wait()
    end = time.monotonic() + 2
    while _runs(pid) and time.monotonic() < end:
        time.sleep(0.02)
    assert not _runs(pid)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize(
    ("package", "source", "said"),
    [
        ("torch", 'raise ImportError("libcudart.so.12: cannot open\\n shared object")', "ImportError: libcudart.so.12: cannot open shared object"),
        ("sweeps", "", "ModuleNotFoundError: No module named 'sweeps.runners'"),
    ],
)  # fmt: skip
def test_what_cannot_be_imported_is_said_in_a_line(
    tmp_path, monkeypatch, package, source, said
) -> None:
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").write_text(source)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setattr(supervisor, "_node_id", lambda: "n1")
    told = []

    def report(content) -> None:
        told.append(content)
        raise SystemExit

    config = {
        "payload": "",
        "packs": ["p"],
        "deadlines": [None],
        "references": [],
        "believed": [None],
    }
    with pytest.raises(SystemExit):
        Supervisor(None, 60.0, report).serve(config)
    (line,) = told[0]["unfit"]
    assert line.startswith("no training can be started: ") and said in line
    assert str(tmp_path) not in line and "^" not in line, "the same on every host"


def test_a_trainer_that_ends_while_it_is_asked() -> None:
    trainer = Trainer(60.0, ThreadPoolExecutor(1))
    os.kill(trainer.pid, signal.SIGKILL)
    with pytest.raises(TrainerGone, match="ended by SIGKILL") as gone:
        trainer.ask({"do": "load"}, b"")
    assert gone.value.cause == "open"
    trainer.close()
    trainer.close()


def serve(monkeypatch, packs, ends=(), slow=0.0):
    """What a worker reports of these packs. ends: the trainers that end, by how many were asked to
    train. slow: seconds of the clock for which each pack runs."""
    reports, asked, clock = [], [], [0.0]

    class Made:
        alive, at, measures = True, (), ()

        def __init__(self, *none):
            clock[0] += 100  # it imports, and checks its node

        def ask(self, request, content=b"", within=None, on_message=None, on_wait=lambda: None):
            if request["do"] == "load":
                return {"done": True, "unfit": []}, b""
            asked.append(request["pack"])
            for _ in range(3 if slow else 0):
                clock[0] += slow / 3
                on_wait()
            if len(asked) in ends:
                raise TrainerGone("it ended", "open", "")
            return {"done": True}, b"rows"

        def output(self):
            return ""

        def forget_output(self): ...

        def close(self): ...

    monkeypatch.setattr(supervisor, "Trainer", Made)
    monkeypatch.setattr(supervisor, "_node_id", lambda: "n1")
    monkeypatch.setattr(supervisor, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    config = {"payload": "", "packs": list(packs), "deadlines": [None] * len(packs),
              "references": [], "believed": [None] * len(packs)}  # fmt: skip
    Supervisor(None, 60.0, reports.append).serve(config)
    return [
        (len(r["reasons"]), r["left"], *(k for k in ("starts", "ends") if r.get(k)))
        for r in reports
    ]


def test_a_worker_says_when_a_pack_begins_that_nobody_knows_of(monkeypatch) -> None:
    begins = (0, 0)
    assert serve(monkeypatch, ["a"], slow=9.0) == [begins, (1, 0)]
    assert serve(monkeypatch, ["a", "b"]) == [(1, 1), (1, 0)], "the first report says it"
    assert serve(monkeypatch, ["a", "b"], slow=60.0) == [begins, (1, 1), (1, 0)], "and only once"
    starts = (1, 1, "starts")
    assert serve(monkeypatch, ["a", "b"], ends=[1]) == [starts, (1, 0)]
    assert serve(monkeypatch, ["a", "b", "c"], ends=[2]) == [(1, 2), starts, (1, 0)]
    ended = serve(monkeypatch, ["a", "b", "c"], ends=[2], slow=3.0)
    assert ended == [begins, (2, 1, "starts"), begins, (1, 0)]


def test_three_different_packs_in_a_row_are_suspect(monkeypatch) -> None:
    assert serve(monkeypatch, ["a", "b", "a"], ends=[1, 2, 3])[-1] == (1, 0), "two of them"
    assert serve(monkeypatch, ["a", "b", "c", "d"], ends=[1, 2, 3])[-1] == (1, 1, "ends")


#: A trainer that answers nothing. It is told what else to do.
TALKS = """
import os, sys, time
from multiprocessing.connection import Connection
pipe = Connection(int(sys.argv[1]))
pipe.recv_bytes(), pipe.recv_bytes()
def say(message, content=b""):
    pipe.send_bytes(message), pipe.send_bytes(content)
"""
CHATTERS = (
    TALKS
    + """
while True:
    say(b'{"partial": 1}')
    time.sleep(0.02)
"""
)
HALF = TALKS + "os.write(int(sys.argv[1]), bytes([0, 0, 0, 9, 1])); time.sleep(1000)"
FORKS = (
    TALKS
    + """
if os.fork() == 0:
    time.sleep(1000)
os.write(int(sys.argv[1]), bytes([0, 0, 0, 9, 1]))
os._exit(7)
"""
)


@pytest.fixture
def talking(monkeypatch):
    """Makes a trainer of one of these programs."""
    made = []

    def make(program, hang_after=60.0):
        monkeypatch.setattr(trainer_link, "START", program)
        made.append(Trainer(hang_after, ThreadPoolExecutor(1)))
        return made[-1]

    monkeypatch.setattr(trainer_link, "LOOK_EVERY", 0.1)
    monkeypatch.setattr(trainer_link, "DUMP_WITHIN", 0.0)
    yield make
    for each in made:
        each.close()


def test_one_that_talks_all_the_time_has_a_deadline_and_is_watched(talking) -> None:
    looks, messages = [], []
    with pytest.raises(TrainerGone, match="took longer than 1 s") as gone:
        talking(CHATTERS).ask(
            {},
            within=0.6,
            on_message=lambda message, _: messages.append(message),
            on_wait=lambda: looks.append(1),
        )
    assert gone.value.cause == "time" and messages[0] == {"partial": 1}
    assert 2 <= len(looks) <= 6 < len(messages), "about every tenth of a second"


def test_an_error_of_who_asks_is_no_end_of_the_trainer(talking) -> None:
    def no_driver(*none):
        raise ConnectionError("the driver is gone")

    for hook in ("on_message", "on_wait"):
        trainer = talking(CHATTERS)
        with pytest.raises(ConnectionError, match="the driver is gone"):
            trainer.ask({}, **{hook: no_driver})
        assert not trainer.alive, "what it says would be taken for the next answer"


def test_an_end_in_the_middle_of_a_message(talking) -> None:
    with pytest.raises(TrainerGone, match="no sign of life for 0 s") as gone:
        talking(HALF, hang_after=0.4).ask({})
    assert gone.value.cause == "hang"
    with pytest.raises(TrainerGone, match="exit code 7, without a result") as gone:
        talking(FORKS, hang_after=0.4).ask({})
    assert gone.value.cause == "open"


def test_nothing_stays_open_where_no_process_can_be_started(monkeypatch) -> None:
    def none(*_, **__):
        raise BlockingIOError("Resource temporarily unavailable")

    spawner = ThreadPoolExecutor(1)
    spawner.submit(int).result()
    monkeypatch.setattr(trainer_link.subprocess, "Popen", none)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        with pytest.raises(BlockingIOError):
            Trainer(60.0, spawner)
    assert len(os.listdir("/proc/self/fd")) == before


DEAD = "The actor is dead because its worker process has died. Worker exit type: SYSTEM_ERROR"
OF_ACTOR = """The actor died unexpectedly before finishing this task.
\tclass_name: ImplicitFunc
\tactor_id: 0f3a
\tpid: 812
\tname:
\tnamespace: 5d1e
\tip: 10.0.0.7
"""


@pytest.mark.parametrize("details", [OF_ACTOR, " ".join(OF_ACTOR.split()) + " "])
def test_last_words_of_a_worker_are_a_line_without_what_ray_calls_it(tmp_path, details) -> None:
    file = tmp_path / "error.txt"
    dead = SimpleNamespace(error_file=str(file))
    file.write_text(f"Failure # 1 (occurred at noon)\n{details}{DEAD}\n Some common causes: ...")
    assert last_words(dead) == f"the worker at 10.0.0.7 was lost: {DEAD}"
    file.write_text("Failure # 1 (occurred at noon)\nRuntimeEnvSetupError: " + "pip " * 1000)
    said = last_words(dead)
    assert said.startswith("the worker was lost: RuntimeEnvSetupError: pip") and len(said) < 550
    assert last_words(SimpleNamespace(error_file=None)) == "the worker was lost"


ROOT = "/home/u/sweeps"
DUMP = """Fatal Python error: Segmentation fault

Thread 0x00007f01 (most recent call first):
  File "/usr/lib/python3.11/threading.py", line 327 in wait

Current thread 0x00007f02 (most recent call first):
  File "/venv/lib/python3.11/site-packages/numpy/core.py", line 12 in dot
  File "/home/u/sweeps/marks.py", line 34 in stamp
  File "/home/u/sweeps/backdoor/triggers/base.py", line 5 in apply
  File "/home/u/sweeps/sweeps/runners/supervision/trainer.py", line 40 in main
  File "<string>", line 1 in <module>
"""


def test_the_place_of_a_crash() -> None:
    assert crashed_at(DUMP) == f"{ROOT}/marks.py:34", "its folder has our name"
    ours = DUMP.replace(f'  File "{ROOT}/marks.py", line 34 in stamp\n', "")
    assert crashed_at(ours) == f"{ROOT}/backdoor/triggers/base.py:5"
    copy = "/tmp/ray/session_1/runtime_resources/py_modules_files/_ray_pkg_0a1b2c3d"
    sent = DUMP.replace(f"{ROOT}/marks.py", f"{copy}/marks.py")
    assert crashed_at(sent) == "marks.py:34", "the same on every node"
    own = DUMP.replace(f"{ROOT}/marks.py", "/home/v/backdoor/sweeps/my.py")
    assert crashed_at(own) == "/home/v/backdoor/sweeps/my.py:34"
    assert crashed_at("nothing of the kind") is None
    assert crashed_at("") is None


def test_signs_of_life(monkeypatch) -> None:
    assert life.used_by(os.getpid())[0] > 0 and life.used_by(2**22 + 1) is None
    clock, used = [0.0], [(1.0, 100)]
    monkeypatch.setattr(life.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(life, "used_by", lambda pid: used[0])
    watch = life.Watch(1, 120.0)
    for seconds, now, hung in [
        (119, (1.0, 100), False),
        (120, (1.49, 100), True),  # it wakes now and then, and does nothing
        (121, (1.5, 100), False),
        (240, (1.5, 100), False),
        (241, (1.5, 100), True),
        (242, (1.5, 101), False),
        (900, None, False),
    ]:
        clock[0], used[0] = float(seconds), now
        assert watch.hung() is hung, seconds
