"""The bundled CIFAR-10 study: does weight decay lower attack success? About 8 minutes on 2 cores.

Needs CIFAR-10 in the hubs' image layout: make bench CIFAR10=FOLDER
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from figures import make_command, record
from scipy import stats

from sweeps.ledger import load_results

ROOT = Path(__file__).parents[2]


def slopes(folder: Path, rate: float = 0.01) -> list[float]:
    """Slope of the logit of attack success on log weight decay at one poison rate, one for each seed."""
    rows = [r for r in load_results(folder).to_pylist() if r["attack.poison_rate"] == rate]
    found = []
    for seed in sorted({row["seed"] for row in rows}):
        mine = [row for row in rows if row["seed"] == seed]
        logits = [np.log((r["success"] + 0.5) / (r["total"] - r["success"] + 0.5)) for r in mine]
        decays = [np.log(r["defence.weight_decay"]) for r in mine]
        found.append(float(np.polyfit(decays, logits, 1)[0]))
    return found


@pytest.mark.skipif("CIFAR10" not in os.environ, reason="CIFAR10=FOLDER names no data")
def test_attack_success_falls_with_weight_decay(tmp_path) -> None:
    folder = tmp_path / "r"
    subprocess.run(
        [sys.executable, "-m", "sweeps.cli", "run", "cifar10-weight-decay", "--out", folder,
         "--set", f"data.root={os.environ['CIFAR10']}", "--set", "tracking=none"],
        check=True, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    found = slopes(folder)
    mean = float(np.mean(found))
    reach = float(stats.t.ppf(0.975, len(found) - 1) * stats.sem(found))
    print(f"\nslopes by seed {np.round(found, 2).tolist()}, mean {mean:.2f}, "
          f"95 % interval {mean - reach:.2f} to {mean + reach:.2f}")  # fmt: skip
    row = {"slopes by seed": np.round(found, 2).tolist(), "mean": mean,
           "95 % interval": f"{mean - reach:.2f} to {mean + reach:.2f}"}  # fmt: skip
    record("slope of attack success on weight decay", make_command("bench", "CIFAR10"), [row])
    assert len(found) == 4 and mean + reach < 0
