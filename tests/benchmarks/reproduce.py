"""Backdoor Learning Curves reproduced: our engines against the authors' recorded accuracies.

make reproduce RECORDED=DIR DATA=DIR: a line for each file, JSON beside it. Exit code 0 where every file was
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

from curves import table
from curves.compare import BACKDOOR_MOST, CLEAN_MOST, STEPS_MOST, cell_means, compare
from curves.files import read_folder
from curves.ours import NotHad, SetUp, train
from curves.thetas import correlations
from figures import record

from backdoor.errors import UserError

VERDICTS = ("agrees", "misses", "not compared")


def judge(file, ours):
    """The comparison of one file with the results of its rows' trials, in their order."""
    cells = [row.cell for row in file.rows]
    return compare(
        cell_means(cells, [row.clean for row in file.rows]),
        cell_means(cells, [row.backdoor for row in file.rows]),
        cell_means(cells, [trained.clean for trained in ours]),
        cell_means(cells, [trained.backdoor for trained in ours]),
    )


def line(name, found):
    verdict = "agrees" if not found.misses else "MISSES " + ", ".join(found.misses)
    steps = f"{found.most_steps:.2f}" if math.isfinite(found.most_steps) else "one only"
    return (
        f"{name:50} {found.cells:3} cells: clean {found.clean:.4f}, backdoor {found.backdoor:.4f}, "
        f"crossing {steps} steps | {verdict}"
    )


def plan(files, set_up):
    """File → its trials, and a plain row for each file that cannot be compared."""
    planned, left_out = {}, []
    for file in files:
        try:
            planned[file] = set_up.trials(file)
        except NotHad as why:
            left_out.append({"file": file.path.name, "verdict": "not compared", "why": str(why)})
            print(f"{file.path.name:50} not compared: {why}", flush=True)
    return planned, left_out


def reproduce(files, set_up, workers, slopes):
    """A plain mapping for each file, printed as it goes, and file name → correlations of theta."""
    planned, rows = plan(files, set_up)
    missing = [trial for trials in planned.values() for trial in trials]
    trained, thetas = train(missing, workers, slopes) if missing else {}, {}
    for file, trials in planned.items():
        ours = [trained[trial.trial_id] for trial in trials]
        found = judge(file, ours)
        print(line(file.path.name, found), flush=True)
        row = {"file": file.path.name, "verdict": "misses" if found.misses else "agrees"}
        row |= found.plain()
        if slopes:
            thetas[file.path.name] = correlations(file, ours)
            print(" " * 50, "rank correlation of theta and backdoor accuracy:",
                  ", ".join(f"{name} {c.text()}" for name, c in thetas[file.path.name].items()), flush=True)  # fmt: skip
            row["slopes"] = {name: value.plain() for name, value in thetas[file.path.name].items()}
        rows.append(row)
    return sorted(rows, key=lambda row: row["file"]), thetas


def parse():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recorded", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--draws", choices=("theirs", "own"), default="theirs",
                        help="images and noise as their scripts draw them, or as our streams do")  # fmt: skip
    parser.add_argument("--slopes", action="store_true", help="also theta, against theirs")
    parser.add_argument("--table", type=Path, help="a Markdown file to write the tables into")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--out", type=Path, default=Path("build/reproduce.json"))
    return parser.parse_args()


def typed(args):
    """The make command of these options."""
    own, slopes = " DRAWS=own" * (args.draws == "own"), " SLOPES=1" * args.slopes
    return f"make reproduce RECORDED=DIR DATA=DIR{own}{slopes}"


def main():
    args, started = parse(), time.perf_counter()
    try:
        with TemporaryDirectory() as scratch:
            files = read_folder(args.recorded)
            set_up = SetUp.of(args.data, Path(scratch), args.draws == "own")
            rows, thetas = reproduce(files, set_up, args.workers, args.slopes)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    count = {verdict: sum(row["verdict"] == verdict for row in rows) for verdict in VERDICTS}
    bounds = {"clean": CLEAN_MOST, "backdoor": BACKDOOR_MOST, "steps": STEPS_MOST}
    args.out.parent.mkdir(parents=True, exist_ok=True)
    content = {"bounds": bounds, "draws": args.draws, **count, "files": rows}
    args.out.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n")
    tables = "\n\n".join([table.accuracies(rows), *([table.slopes(thetas)] if thetas else [])])
    if args.table:
        table.write_between(args.table, tables)
    summary = (
        f"{count['agrees']} of {len(rows)} files agree, {count['misses']} miss, "
        f"{count['not compared']} not compared, in {time.perf_counter() - started:.0f} s"
    )
    print(f"{summary}; {args.out}")
    record(
        "Backdoor Learning Curves" + ", own draws" * (args.draws == "own"),
        typed(args),
        tables,
        summary,
    )
    return 0 if count["agrees"] == len(rows) else 1


if __name__ == "__main__":
    sys.exit(main())
