"""Backdoor Learning Curves again: our engines against the authors' recorded accuracies.

make reproduce RECORDED=DIR DATA=DIR: a line a file, JSON beside it. Exit code 0 where every file was
compared and agrees, 1 where one misses a bound or could not be compared, 2 for wrong input.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from curves.compare import BACKDOOR_MOST, CLEAN_MOST, STEPS_MOST, cell_means, compare
from curves.files import read_folder
from curves.ours import NotHad, SetUp, train

from backdoor.errors import UserError


def judge(file, trials, trained):
    """The comparison of one file with the trials of its rows."""
    cells = [row.cell for row in file.rows]
    ours = [trained[trial.trial_id] for trial in trials]
    return compare(
        cell_means(cells, [row.clean for row in file.rows]),
        cell_means(cells, [row.backdoor for row in file.rows]),
        cell_means(cells, [clean for clean, _ in ours]),
        cell_means(cells, [backdoor for _, backdoor in ours]),
    )


def line(name, found):
    verdict = "agrees" if not found.misses else "MISSES " + ", ".join(found.misses)
    steps = f"{found.most_steps:.2f}" if math.isfinite(found.most_steps) else "one only"
    return (f"{name:50} {found.cells:3} cells: clean {found.clean:.4f}, backdoor {found.backdoor:.4f}, "
            f"crossing {steps} steps | {verdict}")  # fmt: skip


def reproduce(files, set_up, workers):
    """A mapping a file, printed as it goes."""
    planned, rows = {}, []
    for file in files:
        try:
            planned[file] = set_up.trials(file)
        except NotHad as why:
            rows.append({"file": file.path.name, "verdict": "not compared", "why": str(why)})
            print(f"{file.path.name:50} not compared: {why}", flush=True)
    wanted = [trial for trials in planned.values() for trial in trials]
    trained = train(wanted, workers) if wanted else {}
    for file, trials in planned.items():
        found = judge(file, trials, trained)
        print(line(file.path.name, found), flush=True)
        verdict = "misses" if found.misses else "agrees"
        rows.append({"file": file.path.name, "verdict": verdict, **found.plain()})
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recorded", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--draws", choices=("theirs", "own"), default="theirs",
                        help="images and noise as their scripts draw them, or as our streams do")  # fmt: skip
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--out", type=Path, default=Path("build/reproduce.json"))
    args = parser.parse_args()
    started = time.perf_counter()
    try:
        with TemporaryDirectory() as scratch:
            set_up = SetUp.of(args.data, Path(scratch), args.draws == "own")
            rows = reproduce(read_folder(args.recorded), set_up, args.workers)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    count = {v: sum(row["verdict"] == v for row in rows) for v in ("agrees", "misses", "not compared")}  # fmt: skip
    bounds = {"clean": CLEAN_MOST, "backdoor": BACKDOOR_MOST, "steps": STEPS_MOST}
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps({"bounds": bounds, **count, "files": rows}, indent=1) + "\n")
    print(f"{count['agrees']} of {len(rows)} files agree, {count['misses']} miss, "
          f"{count['not compared']} not compared, in {time.perf_counter() - started:.0f} s; {args.out}")  # fmt: skip
    return 0 if count["agrees"] == len(rows) else 1


if __name__ == "__main__":
    sys.exit(main())
