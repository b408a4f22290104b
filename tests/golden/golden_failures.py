"""What folders say of failures since these are attributed to trials, nodes and workers.

Rule: no trial of the recorded folders failed, and their rows are older than the columns that say
where and why one did. So all of it is there, each thing in its place, and says nothing; the host,
which rows have had before, stands in flat tables too. What is left is compared word for word.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

#: Keys of `sweeps status --json`.
OF_STATUS: dict[str, Any] = {
    "failure_groups": [],
    "open": [],
    "nodes": [],
    "lost_workers": 0,
    "in_common": None,
}
#: Columns of the ledger, which `sweeps show` prints.
OF_TRIAL = dict.fromkeys(("node_id", "cause", "failed_at", "traceback", "log"))
#: Columns of flat tables, after this one: name, type and value, the last also as CSV has it.
AFTER = "foretold"
OF_TABLES = (
    ("cause", "null", None, ""),
    ("failed_at", "null", None, ""),
    ("host", "string", "host", '"host"'),
    ("node_id", "null", None, ""),
)
#: One cell of a line of CSV, with the comma before it.
CELL = re.compile(r',("(?:[^"]|"")*"|[^,"]*)')
#: The log of incidents in a results folder.
INCIDENTS = "incidents.jsonl"


def without_failures(record: dict[str, Any]) -> dict[str, Any]:
    """Today's answers on what a folder records, without what is said of failures since later."""
    return {
        **record,
        "status": _without(record["status"], OF_STATUS),
        "show": _without(record["show"], OF_TRIAL),
        "trials.csv": _shorter_csv(record["trials.csv"]),
        "trials": _shorter_table(record["trials"]),
    }


def without_incidents(folder: Path, files: Sequence[str]) -> list[str]:
    """The files of a sweep that nothing befell, without its log, which says that it began."""
    (line,) = (folder / INCIDENTS).read_text().splitlines()
    incident = json.loads(line)
    assert set(incident) == {"what", "at"}, line
    assert incident["what"] == "started", line
    assert files.count(INCIDENTS) == 1
    return [file for file in files if file != INCIDENTS]


def _without(values: dict[str, Any], added: dict[str, Any]) -> dict[str, Any]:
    assert {name: values[name] for name in added} == added
    return {name: value for name, value in values.items() if name not in added}


def _shorter_csv(text: str) -> str:
    head, *rows = text.splitlines(keepends=True)
    start = _cells(head).index(f'"{AFTER}"') + 1
    names = _cut(head, start, [f'"{name}"' for name, *_ in OF_TABLES])
    return names + "".join(_cut(row, start, [cell for *_, cell in OF_TABLES]) for row in rows)


def _cells(line: str) -> list[str]:
    found = CELL.findall("," + line.rstrip("\n"))
    assert ",".join(found) == line.rstrip("\n")
    return found


def _cut(line: str, start: int, added: list[str]) -> str:
    """A line of CSV without these cells, which are those from `start` on."""
    cells, stop = _cells(line), start + len(added)
    assert cells[start:stop] == added, line
    return ",".join(cells[:start] + cells[stop:]) + "\n"


def _shorter_table(table: dict[str, Any]) -> dict[str, Any]:
    columns = table["columns"]
    start = [name for name, _ in columns].index(AFTER) + 1
    stop = start + len(OF_TABLES)
    assert columns[start:stop] == [[name, kind] for name, kind, *_ in OF_TABLES]
    for row in table["rows"]:
        assert row[start:stop] == [value for _, _, value, _ in OF_TABLES], row
    kept = [row[:start] + row[stop:] for row in (columns, *table["rows"])]
    return {"columns": kept[0], "rows": kept[1:]}
