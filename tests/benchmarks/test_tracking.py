"""A sweep with an unreachable tracking server against the same sweep without tracking.

Whole processes in turn, three pairs; the median ratio must be within the goal of 10 %.
"""

import os
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

from figures import make_command, record

ROOT = Path(__file__).parents[2]
PAIRS = 3


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def run(folder: Path, tracking: str) -> tuple[float, str]:
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "sweeps.cli", "run", "digits", "--runner", "serial", "--out", folder,
         "--set", f"tracking={tracking}"],
        capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return time.perf_counter() - start, done.stderr


def test_an_unreachable_server_costs_nothing(tmp_path) -> None:
    ratios, rows = [], []
    for pair in range(PAIRS):
        with_server, err = run(tmp_path / f"with-{pair}", f"http://127.0.0.1:{closed_port()}")
        assert "warning:" in err and "sweeps mirror" in err
        without, _ = run(tmp_path / f"without-{pair}", "none")
        ratios.append(with_server / without)
        rows.append({"pair": pair + 1, "unreachable server, s": with_server,
                     "no tracking, s": without, "ratio": ratios[-1]})  # fmt: skip
        print(f"\nunreachable {with_server:.1f} s, without {without:.1f} s, ratio {ratios[-1]:.3f}")
    summary = f"median ratio {statistics.median(ratios):.3f}, goal <= 1.10"
    print(summary)
    record("tracking server that cannot be reached", make_command("bench"), rows, summary)
    assert statistics.median(ratios) <= 1.10
