"""Cells of a CSV file, with the numbers of their lines."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator
from pathlib import Path

from backdoor.errors import Mistake


class WrongTextError(Exception):
    """Carries what is wrong with a file."""

    def __init__(self, rule: str, value: str, remedy: str) -> None:
        self.mistake = Mistake("root", rule, value, remedy)


def read_text(file: Path) -> str:
    """The text of a file without its byte order mark; `WrongTextError` if it is no UTF-8."""
    try:
        if not file.is_file():  # opening a pipe would wait for ever
            rule, remedy = "must be a file that can be read", "Save it as a CSV file."
            raise WrongTextError(rule, f"{file}: no file", remedy)
        raw = file.read_bytes()
    except OSError as error:
        remedy = f"Fix or remove it ({error.strerror})."
        raise WrongTextError("must hold files that can be read", str(file), remedy) from None
    rule, remedy = "must be CSV as UTF-8 text", "Save it as CSV with the encoding UTF-8."
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise WrongTextError(rule, f"{file.name}: UTF-16", remedy)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        value = f"{file.name}, line {line}: byte 0x{raw[error.start]:02x}"
        raise WrongTextError(rule, value, remedy) from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise WrongTextError(rule, f"{file.name}, line {line}: a zero byte", remedy)
    return text


class Lines:
    """The number of the first line and the cells of each row that has a value; a broken row ends
    them, with a mistake."""

    def __init__(self, name: str, text: str, delimiter: str) -> None:
        self.name = name
        self.mistakes: list[Mistake] = []
        stream = io.StringIO(text, newline="")
        self.reader = csv.reader(stream, delimiter=delimiter, skipinitialspace=True, strict=True)

    def __iter__(self) -> Iterator[tuple[int, list[str]]]:
        while True:
            line = self.reader.line_num + 1
            try:
                cells = next(self.reader)
            except StopIteration:
                return
            except csv.Error as error:
                rule, limit = "must have rows that can be read", csv.field_size_limit()
                remedy = f"Close its quotes; a cell has at most {limit} characters."
                value = f"{self.name}, line {line}: {error}"
                self.mistakes.append(Mistake("root", rule, value, remedy))
                return
            if any(cell.strip() for cell in cells):
                yield line, cells
