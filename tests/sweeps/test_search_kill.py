"""A TPE sweep on real digits, killed with SIGKILL while it trains, continues with all results."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import yaml
from small import SMALL, results

from sweeps.cli import FINE
from sweeps.cli.main import main
from sweeps.ledger import Ledger
from sweeps.results.create import reopen
from sweeps.runners import serial
from sweeps.search import make_search

ROOT = Path(__file__).parents[2]
PARTS = 6
SPEC = {
    **SMALL,
    "defence": {"architecture": ["linear", "ridge"], "weight_decay": {"log": [1e-4, 10]}, "epochs": 2},
    "search": {"kind": "optuna", "sampler": "tpe", "points": 14, "pending": 2, "options": {"n_startup_trials": 4}},
    "region": {"clean_accuracy": 0.8, "attack_success": 0.2},
}  # fmt: skip
#: The command, killed just before it writes part number PARTS; two trials a pack, so that the
#: kill falls between the parts of one point.
CHILD = f"""
import os, signal, sys
import sweeps.ledger
from backdoor.engines.convex import Convex
from backdoor.engines.packed import Packed
from sweeps.cli.main import main
Convex.max_pack = Packed.max_pack = 2
write, left = sweeps.ledger.Ledger._write, [{PARTS}]
def counted(self, word, table):
    left[0] -= 1
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
    write(self, word, table)
sweeps.ledger.Ledger._write = counted
sys.exit(main(["run", "spec.yaml", "--out", "r", "--runner", "serial"]))
"""


def figures(rows):
    """Defence id → (clean accuracy, attack success, rows), from the counts, by hand."""
    found = {}
    for name in {r["defence_id"] for r in rows}:
        mine = [r for r in rows if r["defence_id"] == name]
        clean, success = [], []
        for attack in {r["attack_id"] for r in mine} - {"clean"}:
            runs = [r for r in mine if r["attack_id"] == attack]
            clean.append(sum(sum(r["class_correct"]) / 500 for r in runs) / len(runs))
            success.append(sum(r["measurements"][0]["success"] / r["measurements"][0]["total"] for r in runs) / len(runs))  # fmt: skip
        found[name] = (clean and min(clean), success and max(success), len(mine))
    return found


def test_killed_and_resumed(tmp_path, monkeypatch, capsys) -> None:
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(SPEC))
    child = subprocess.run([sys.executable, "-c", CHILD], cwd=tmp_path, capture_output=True,
                           env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)})  # fmt: skip
    assert child.returncode == -signal.SIGKILL, child.stderr
    paths, spec = reopen(tmp_path / "r")
    before = Ledger(paths.ledger)
    known = figures(before.rows())
    complete = {name for name, (_, _, count) in known.items() if count == 6}
    assert len(before.segments()) == PARTS - 1 and complete and complete != set(known)

    search = make_search(spec)
    search.tell(before.table())
    asked = search.ask(4096)
    reported = sorted(t.values for t in search.study.trials if t.state.name == "COMPLETE")
    expected = sorted(list(known[name][:2]) for name in complete)
    assert [round(v, 9) for t in reported for v in t] == [round(v, 9) for t in expected for v in t]
    assert set(known) - complete <= {t.defence_id for t in asked}

    trained = []

    def work(pack):
        trained.extend(pack.trials)
        return train(pack)

    train = serial.train_pack
    monkeypatch.setattr(serial.SerialRunner.__init__, "__defaults__", (work,))
    assert main(["resume", str(tmp_path / "r"), "--runner", "serial", "--json"]) == FINE
    answer = json.loads(capsys.readouterr().out)
    ids = [t.trial_id for t in trained]
    assert len(ids) == len(set(ids)) and not before.finished & set(ids)
    assert not complete & {t.defence_id for t in trained}
    assert len(results(paths)) == 14 * 3 * 2 == len(before.finished) + len(ids)
    assert answer["trials"] == {"finished": 84, "stopped": 0, "failed": 0, "planned": 84}
    assert len(answer["points"]) == 14
