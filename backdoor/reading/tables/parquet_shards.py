"""Numbered shards of one split: all must be there, each once."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from backdoor.errors import Mistake
from backdoor.reading.files import listed
from backdoor.reading.layout import split_of

#: What writers put behind the name: a compression, and the number of a file of one task.
ENDS = re.compile(r"(\.c\d+)?(\.(snappy|gz|gzip|zstd|zst|lz4|br|brotli))?\.parquet$", re.I)
#: `train-00000-of-00002`, also with a hash behind it; `part-00000-HASH-c000`; `train-0`, `0000`.
NUMBERED = (
    re.compile(r"^(?P<stem>.*?)[-_. ]?(?P<number>\d+)[-_]of[-_](?P<total>\d+)([-_.].*)?$", re.I),
    re.compile(r"^(?P<stem>part)[-_.](?P<number>\d+)([-_.][\w.-]+)?$", re.I),
    re.compile(r"^(?P<stem>.*?)(?P<gap>[-_. ]?)(?P<number>\d+)$"),
)  # fmt: skip
YEAR = re.compile(r"(19|20)\d\d")
#: No split has more shards: a larger number means something else.
MOST = 100_000
RULE = "must have one file, or numbered shards, for each split"


@dataclass(frozen=True)
class Shard:
    """A file's name. stem: without number and endings. digits: the number as it is written, or "".
    total: of how many, as the name says. attached: whether the number belongs to a word, as in
    `cifar10`."""

    name: str
    stem: str
    digits: str = ""
    total: int | None = None
    attached: bool = False

    @property
    def number(self) -> int | None:
        """Its number among the shards."""
        return int(self.digits) if self.digits else None

    def sibling(self, number: int) -> str:
        """The name of the shard with this number."""
        folder, slash, file = self.name.rpartition("/")
        at, width = file.index(self.digits, len(self.stem)), len(self.digits)
        total = f"-of-{self.total:0{width}d}" if self.total is not None else ""
        return f"{folder}{slash}{file[:at]}{number:0{width}d}{total}.parquet"


def numbered(name: str) -> Shard:
    """What the name of a file says about its number."""
    bare = ENDS.sub("", name)
    for form in NUMBERED:
        if found := form.match(bare):
            groups = found.groupdict()
            total, stem = groups.get("total"), groups["stem"]
            attached = bool(stem) and groups.get("gap") == "" and split_of(stem) is None
            return Shard(name, stem, groups["number"], int(total) if total else None, attached)
    return Shard(name, bare)


def wrong_shards(shards: Sequence[Shard], alone: Sequence[Shard]) -> list[Mistake]:
    """What is wrong with the files of one split. alone: the files of splits that have only one."""
    if len(shards) == 1 and _whole(shards[0], alone):
        return []
    names = [shard.name for shard in shards]
    totals = {shard.total for shard in shards}
    stems = {shard.stem.lower() for shard in shards}
    if len(totals) > 1 or len(stems) > 1 or not all(shard.digits for shard in shards):
        remedy = "Keep the files of one kind, and move the others out of data.root."
        return [Mistake("root", RULE, listed(names), remedy)]
    counts = Counter(shard.number for shard in shards)
    if twice := [shard.name for shard in shards if counts[shard.number] > 1]:
        rule, remedy = "must have each shard once", "Keep one of each number."
        return [Mistake("root", rule, listed(twice), remedy)]
    if any(shard.total is not None and (shard.number or 0) > shard.total for shard in shards):
        rule, remedy = "must have shards with numbers up to their total", "Fetch them again."
        return [Mistake("root", rule, listed(names), remedy)]
    if missing := _missing(shards):
        rule = "must have all shards of a split"
        lost = listed([shards[0].sibling(number) for number in missing])
        remedy = f"Missing: {lost}. Fetch what is missing, or number the files without a gap."
        return [Mistake("root", rule, listed(names), remedy)]
    return []


def _whole(shard: Shard, alone: Sequence[Shard]) -> bool:
    """Whether the only file of a split is all of it: without a number, or with one that is no
    number of a shard, such as a year or the size of the images in all splits."""
    if not shard.digits or shard.attached:
        return shard.total is None
    if shard.total is not None or (shard.digits[0] == "0" and len(shard.digits) > 3):
        return False
    shared = len(alone) > 1 and {other.digits for other in alone} == {shard.digits}
    return shared or bool(YEAR.fullmatch(shard.digits))


def _missing(shards: Sequence[Shard]) -> list[int]:
    """Numbers that lack, counted from 0, or from 1 where the last number is N, or none is 0. Hubs
    call their files 0000, 0001, ..., always from 0."""
    numbers, total = {shard.number or 0 for shard in shards}, shards[0].total
    hub = not shards[0].stem.rpartition("/")[2] and len(shards[0].digits) == 4
    first = int(0 not in numbers and not hub if total is None else max(numbers) == total)
    last = max(numbers) if total is None else first + total - 1
    whole = range(first, min(last, first + MOST) + 1)
    return [number for number in whole if number not in numbers]
