"""The tables beside the bundled spec, in Markdown."""

from __future__ import annotations

import math

BEGIN, END = "<!-- written by make reproduce -->", "<!-- up to here -->"


def accuracies(rows):
    """One line for each file: how far its accuracies are from ours."""
    lines = [
        "| file | cells | clean, mean of differences | backdoor | crossing, grid steps | verdict |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        if row["verdict"] == "not compared":
            lines.append(f"| {row['file']} | - | - | - | - | not compared: {row['why']} |")
            continue
        steps = [math.inf if c["steps"] is None else c["steps"] for c in row["crossings"]]
        lines.append(
            f"| {row['file']} | {row['cells']} | {row['clean']:.4f} | {row['backdoor']:.4f} | "
            f"{max(steps):.2f} | {', '.join(row['misses']) or 'agrees'} |"
        )
    return "\n".join(lines)


def slopes(found):
    """One line for each file: rank correlations of theta with backdoor accuracy."""
    names = list(next(iter(found.values())))
    lines = [f"| file | {' | '.join(names)} |", "| --- " * (len(names) + 1) + "|"]
    for file, values in found.items():
        lines.append(f"| {file} | " + " | ".join(values[name].text() for name in names) + " |")
    return "\n".join(lines)


def write_between(path, text):
    """Puts `text` between the two marks of a file; ValueError where they are not there."""
    before, mark, rest = path.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not mark or not end:
        raise ValueError(f"{path} has no lines `{BEGIN}` and `{END}`")
    path.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")
