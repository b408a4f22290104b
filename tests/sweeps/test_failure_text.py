"""One exception as a failure, and failures in words: lines, groups, and what many have in common."""

import errno
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from backdoor.errors import UserError
from backdoor.memory import out_of_memory
from backdoor.settings.users_errors import naming_users_code, raised_by_users
from sweeps.records.failure import HANG, MEMORY, OPEN, TRIAL, Failure
from sweeps.records.failure_groups import failure_groups
from sweeps.records.failure_text import (
    back_line,
    common_cause,
    death_line,
    node_line,
    node_name,
    open_line,
)
from sweeps.runners.fault import LONGEST_TRACEBACK, error_line, failure_of, place_of

KEY = Failure("KeyError: 'opacity'", place="/home/me/marks.py:12", host="host7")
IDS = ("1a2b3c4d5e", "2b3c4d5e6f", "3c4d5e6f70", "4d5e6f7080", "5e6f708090")


def caught(raises) -> BaseException:
    try:
        raises()
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


def _raise(error: BaseException):
    raise error


def _line_of(error: BaseException) -> str:
    """Where the innermost call is."""
    step = error.__traceback__
    while step.tb_next is not None:
        step = step.tb_next
    return f"{step.tb_frame.f_code.co_filename}:{step.tb_lineno}"


# --- memory ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        pa.lib.ArrowMemoryError("malloc of size 64 failed"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError("[enforce fail] . DefaultCPUAllocator: can't allocate memory: you tried to"),
        RuntimeError("not enough memory: you tried to allocate 5000 bytes."),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("std::bad_alloc"),
    ],
    ids=lambda error: f"{type(error).__name__} {error}"[:40],
)
def test_every_allocator_says_that_memory_was_too_small(error) -> None:
    assert out_of_memory(error)
    chained = caught(lambda: _chain(error, explicit=True))
    assert out_of_memory(chained) and failure_of(chained).cause == MEMORY
    assert out_of_memory(caught(lambda: _chain(error, explicit=False)))
    assert out_of_memory(ExceptionGroup("two", [ValueError(), error]))


def _chain(error: BaseException, explicit: bool) -> None:
    try:
        raise error
    except BaseException as first:
        if explicit:
            raise UserError("no stamp") from first
        raise ValueError("no stamp")  # noqa: B904


def test_allocators_as_they_are() -> None:
    assert out_of_memory(caught(lambda: torch.empty(10**15)))
    assert out_of_memory(caught(lambda: np.empty(10**17)))


def test_other_errors_are_not_of_memory() -> None:
    others = [RuntimeError("CUDA error: device-side assert"), ValueError("out of memory"),
              OSError(errno.ENOENT, "no"), RuntimeError("mat1 and mat2 cannot be multiplied")]  # fmt: skip
    assert not any(map(out_of_memory, others))
    ended = KeyboardInterrupt()
    ended.__context__ = MemoryError()
    assert not out_of_memory(ended), "a Ctrl-C while it was handled"
    hidden = ValueError("x")
    hidden.__context__, hidden.__suppress_context__ = MemoryError(), True
    assert not out_of_memory(hidden)
    circle = ValueError("x")
    circle.__cause__ = circle
    assert not out_of_memory(circle)


def test_users_code_that_lacks_memory_is_not_named_as_wrong() -> None:
    class Own:
        @staticmethod
        def kind_name() -> str:
            return "marks:Own"

        def stamp(self, error: BaseException) -> None:
            raise error

    wants = RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 50 GB")
    assert raised_by_users(caught(lambda: Own().stamp(wants))) is None
    assert raised_by_users(caught(lambda: Own().stamp(RuntimeError("no")))) is not None
    with pytest.raises(UserError, match="marks:Own"), naming_users_code():
        Own().stamp(RuntimeError("no"))


# --- one exception -----------------------------------------------------------------------------


def test_an_exception_has_place_host_and_traceback() -> None:
    error = caught(lambda: {}["opacity"])
    failure = failure_of(error)
    assert (failure.error, failure.cause, failure.died) == ("KeyError: 'opacity'", OPEN, False)
    assert failure.place == _line_of(error) and failure.place.startswith(__file__)
    assert failure.traceback.startswith("Traceback (most recent call last):\n")
    assert failure.traceback.endswith("KeyError: 'opacity'\n") and failure.host
    assert error_line(error) == failure.error


def test_the_place_is_in_the_users_code_before_installed_packages_and_ours() -> None:
    error = caught(lambda: np.linalg.inv(np.zeros((2, 3))))
    assert "numpy" in _line_of(error) and place_of(error).startswith(f"{__file__}:")
    # Where we name what code of users raised, the cause's frames count.
    named = caught(lambda: _named(lambda: {}["x"]))
    assert isinstance(named, UserError)
    assert place_of(named) == _line_of(named.__cause__) and place_of(named).startswith(__file__)
    # Of an error that the user raises while handling another, its own place counts.
    again = caught(lambda: _chain(KeyError("x"), explicit=False))
    assert place_of(again) == _line_of(again) != _line_of(again.__context__)


def _named(call) -> None:
    class Own:
        kind_name = staticmethod(lambda: "marks:Own")

        def stamp(self) -> None:
            call()

    with naming_users_code():
        Own().stamp()


def test_without_the_users_code_the_place_is_in_ours() -> None:
    error = caught(lambda: np.linalg.inv(np.zeros((2, 3))))
    error.__traceback__ = error.__traceback__.tb_next.tb_next  # numpy alone
    assert place_of(error) == _line_of(error)
    from backdoor.config import build_attack

    error = caught(lambda: build_attack({"trigger": "no such"}))
    while error.__traceback__.tb_frame.f_code.co_filename == __file__:
        error.__traceback__ = error.__traceback__.tb_next
    file = place_of(error).rpartition(":")[0]
    assert Path(file).is_relative_to(Path(sys.modules["backdoor"].__file__).parent)
    assert place_of(ValueError("never raised")) is None


def test_a_file_that_is_no_python_is_the_place(tmp_path) -> None:
    (tmp_path / "marks.py").write_text("x = 1\nclass Mark(:\n")
    error = caught(lambda: compile((tmp_path / "marks.py").read_text(), tmp_path / "marks.py", "exec"))  # fmt: skip
    assert place_of(error) == f"{tmp_path / 'marks.py'}:2"
    wrapped = UserError("cannot be imported")
    wrapped.__cause__ = error
    assert place_of(wrapped) == f"{tmp_path / 'marks.py'}:2"


def test_whatever_the_error_is_it_can_be_described() -> None:
    class OddError(Exception):
        def __str__(self) -> str:
            raise KeyError

    failure = failure_of(caught(lambda: _raise(OddError())))
    assert failure.error == "OddError: its text cannot be shown (KeyError)" and failure.traceback

    def endless(n: int = 0) -> None:
        endless(n + 1)

    assert failure_of(caught(endless)).error.startswith("RecursionError: ")
    assert failure_of(caught(lambda: _raise(ValueError("caf\udce9")))).error == "ValueError: caf?"
    assert failure_of(caught(lambda: sys.exit(3))).error == "SystemExit: 3"


def test_passwords_are_left_out_and_the_middle_of_long_tracebacks() -> None:
    uri = "postgresql://me:geheim@db/x"
    long = failure_of(caught(lambda: _raise(ValueError(f"{uri}\n" * 4000))))
    assert "geheim" not in f"{long}" and "me:***@db" in long.traceback
    assert long.error.endswith("... (100,011 characters)"), "12 + 4000 * 25 - 1"
    assert len(long.error) < 2100 and len(long.traceback) < LONGEST_TRACEBACK + 50
    assert (
        long.traceback.startswith("Traceback") and " characters left out) ...\n" in long.traceback
    )


# --- lines -------------------------------------------------------------------------------------


def test_a_death_in_one_line() -> None:
    said = death_line(KEY, IDS[:1])
    assert said == "a worker on host7 died while it ran trial 1a2b3c4d: KeyError: 'opacity' (marks.py:12)"  # fmt: skip
    ran = "a worker died while it ran "
    assert (
        death_line(Failure("x"), IDS) == ran + "trials 1a2b3c4d, 2b3c4d5e, 3c4d5e6f and 2 more: x"
    )
    some = Failure("x", suspects=IDS[1:2])
    assert death_line(some, IDS) == f"{ran}trial 2b3c4d5e of a pack of 5: x"
    dead = Failure("killed by signal 11 (SIGSEGV)", host="host7", died=True)
    assert death_line(dead, IDS[:1]) == (
        "a worker on host7 died while it ran trial 1a2b3c4d: killed by signal 11 (SIGSEGV)"
    )
    assert death_line(dead, ()) == "a worker on host7 died: killed by signal 11 (SIGSEGV)"
    own = Failure("x", place="/a/marks/__init__.py:3")
    assert death_line(own, IDS[:1]).endswith(": x (marks/__init__.py:3)")


def test_open_trials_in_one_line() -> None:
    assert open_line(1, "trial", "`sweeps status r`") == (
        "1 trial is open: it failed where nothing has succeeded yet, so that nobody knows whether "
        "it or its node is at fault. `sweeps status r` says why."
    )


def test_a_node_in_one_line() -> None:
    reason = "cannot read\nthe data: mysql://me:geheim@db \x1b[2J" + "x" * 500
    said = node_line("host7", "2f3e9a01abcdef", reason)
    assert said.startswith("node host7 (2f3e9a01…) is left out: cannot read the data: mysql://me:***@db \\x1b[2Jxxx")  # fmt: skip
    assert said.endswith("x... (547 characters)") and said.isprintable()
    assert back_line(None, "2f3e9a01abcdef") == "node 2f3e9a01… is back: it passed its check"
    assert node_name("host7", None) == "node host7" and node_name(None, None) == "node of unknown name"  # fmt: skip


def test_what_failures_have_in_common() -> None:
    other = Failure("KeyError: 'opacity'", place="/tmp/ray/marks.py:12", host="host8")
    assert common_cause([KEY, other] * 2 + [KEY]) == (
        "all 5 failures: KeyError: 'opacity' at marks.py:12, on host7 and host8"
    )
    value = Failure("KeyError: 'size'", place="/x/marks.py:12", host="host9")
    assert common_cause([KEY, value]) == (
        "both failures have in common: KeyError at marks.py:12, on host7 and host9; "
        "the latest: KeyError: 'size'"
    )
    elsewhere = Failure("ValueError: no", place="a.py:1", host="host7")
    assert common_cause([KEY, KEY, elsewhere]) == (
        "all 3 failures have nothing but the host host7 in common: "
        "2 x KeyError at marks.py:12, 1 x ValueError at a.py:1"
    )
    assert common_cause([Failure("exit code 3"), elsewhere]) == (
        "both failures have nothing in common: 1 x exit code 3, 1 x ValueError at a.py:1, on host7"
    )
    assert common_cause([KEY]) == "the only failure: KeyError: 'opacity' at marks.py:12, on host7"
    assert common_cause([]) == "there are no failures"
    hosts = [Failure("x", host=f"h{i}") for i in range(5)]
    assert common_cause(hosts) == "all 5 failures: x, on h0, h1, h2 and 2 more"


def test_groups_by_cause_and_kind() -> None:
    failed = [
        ("a", Failure("old")),
        ("b", Failure("no sign of life", HANG)),
        ("c", KEY.because(TRIAL)),
        ("d", Failure("KeyError: 'size'", TRIAL, "/other/marks.py:12")),
        ("e", Failure("exit code 3", TRIAL)),
        ("f", Failure("old")),
    ]
    found = [(g.cause, g.kind, g.trial_ids) for g in failure_groups(failed)]
    assert found == [
        (TRIAL, "KeyError at marks.py:12", ("c", "d")),
        (TRIAL, "exit code 3", ("e",)),
        (HANG, "no sign of life", ("b",)),
        (None, "old", ("a", "f")),
    ]
