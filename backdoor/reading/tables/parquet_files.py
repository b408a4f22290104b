"""Which Parquet file is what: its split, its number among the shards, its configuration."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from backdoor.errors import Mistake, UserError
from backdoor.reading.files import listed
from backdoor.reading.layout import Split, words_of
from backdoor.reading.other_kinds import other_kind
from backdoor.reading.tables.named_files import split_in
from backdoor.reading.tables.parquet_shards import Shard, numbered, wrong_shards
from backdoor.reading.tables.parquet_walk import ends_as_table, hidden, walked

#: How names of Parquet files end that are not read.
OTHER_ENDS = re.compile(r"\.(pq|parq|parquet[._-]?\w+)$", re.I)
#: How a configuration without a name is called: files that lie in `root` itself.
UNNAMED = "."


@dataclass(frozen=True)
class Part:
    """A Parquet file. name: its path from `root`. split: None if its path says none. shard: its
    name without number. partial: whether its path says that rows are missing."""

    name: str
    file: Path
    split: Split | None
    config: str
    shard: Shard
    partial: bool = False


@dataclass(frozen=True)
class Found:
    """Files that are read, each list in the order of their paths, and what is left out.

    validation: those left out. beside: files that are no Parquet files."""

    train: list[Part]
    test: list[Part]
    validation: list[Part]
    beside: list[Path]
    left_out: tuple[str, ...]
    notes: tuple[str, ...] = ()


def find_parts(root: Path, config: str | None) -> Found:
    """The training and test files under `root`, of one configuration.

    Raises:
        UserError: a split or shards are missing or there twice; several configurations.
    """
    everything = walked(root)
    paths = everything.files
    seen = [path for path in paths if not hidden(path.relative_to(root))]
    tables = [path for path in seen if ends_as_table(path)]
    parts = _parts(root, tables)
    chosen, other = _chosen([part for part in parts if part.split], config)
    by: dict[Split, list[Part]] = {"train": [], "test": [], "validation": []}
    for part in chosen:
        by[part.split or "train"].append(part)
    test = by["test"] or by["validation"]
    unknown = [part.name for part in parts if not part.split]
    if not by["train"] or not test:
        odd = [p.relative_to(root).as_posix() for p in seen if OTHER_ENDS.search(p.name)]
        raise UserError(_lacking(root, [part.name for part in chosen], unknown, odd))
    _check(by["train"], test)
    left_out = [
        *_counted(unknown, "of no known split"),
        *_counted([part.name for part in other], "of other configurations"),
        *_counted(
            [p.relative_to(root).as_posix() for p in paths if hidden(p.relative_to(root))],
            "hidden",
        ),
    ]
    if everything.again:
        left_out.append(f"links to folders that are read already: {everything.again}")
    notes = () if by["test"] else ("the validation images are the test set",)
    beside = [path for path in seen if not ends_as_table(path)]
    validation = by["validation"] if by["test"] else []
    return Found(by["train"], test, validation, beside, tuple(left_out), notes)


def other_files(beside: Iterable[Path], read: Iterable[Path]) -> tuple[str, ...]:
    """Files that are not read, by the ends of their names. read: image files that are."""
    known = {str(path) for path in read}
    ends = Counter(
        path.suffix.lower() or "no extension" for path in beside if str(path) not in known
    )
    return tuple(f"{n} file{'s' * (n > 1)} ({end})" for end, n in sorted(ends.items()))


def former_files(root: Path) -> tuple[list[Path], list[Path]]:
    """Training and test files as earlier versions chose them, by the beginnings of their names."""
    found = sorted(root.rglob("*.parquet"))

    def named(prefix: str) -> list[Path]:
        return [file for file in found if file.name.lower().startswith(prefix)]

    return named("train"), named("test") or named("valid")


def _counted(names: Sequence[str], what: str) -> list[str]:
    return [f"{len(names)} file{'s' * (len(names) > 1)} {what} ({listed(names)})"] * bool(names)


def _parts(root: Path, files: Sequence[Path]) -> list[Part]:
    """What each file is. A folder with files of several splits, such as `test-of-2019` with
    `train.parquet` in it, says no split."""
    shards = [numbered(file.name) for file in files]
    mixed = {
        folder
        for file, shard in zip(files, shards, strict=True)
        if (own := split_in(shard.stem)[0])
        for folder in file.relative_to(root).parents
        if split_in(folder.name)[0] not in (None, own)
    }
    return [_part(root, file, shard, mixed) for file, shard in zip(files, shards, strict=True)]


def _part(root: Path, file: Path, shard: Shard, mixed: set[Path]) -> Part:
    path = file.relative_to(root)
    split, before = split_in(shard.stem)
    config = [before] if split and before else []
    partial = split is not None and "partial" in words_of(shard.stem)
    for folder in [folder for folder in path.parents if folder.name]:
        said, rest = (None, "") if folder in mixed else split_in(folder.name)
        split = split or said
        if said is None or said != split:
            config.insert(0, folder.name)
            continue
        partial = partial or "partial" in words_of(folder.name)
        config[:0] = [rest] if rest else []
    config = [name for name in config if name.lower() != "partial"]
    return Part(path.as_posix(), file, split, "/".join(config) or UNNAMED, shard, partial)


def _chosen(parts: list[Part], config: str | None) -> tuple[list[Part], list[Part]]:
    """The files of the configuration, and those of others."""
    splits: dict[str, set[str]] = {}
    for part in parts:
        splits.setdefault(part.config, set()).add(str(part.split))
    names = [
        f"{name} ({'directly in root: ' if name == '.' else ''}{', '.join(sorted(of))})"
        for name, of in sorted(splits.items())
    ]
    if config is not None and config not in splits:
        rule = "must be the name of a configuration under `root`"
        remedy = f"Configurations: {listed(names, 20) or 'none'}."
        raise UserError(Mistake("config", rule, config, remedy))
    if by_column := [name for name in splits if "=" in name]:
        rule = "must hold files that are not in folders by the values of a column"
        raise UserError(Mistake("root", rule, listed(by_column), "Write them without partitions."))
    if config is None and len(splits) > 1:
        rule = "must hold one configuration, or `config` must name one"
        remedy = (
            f"Choose one: --set data.config={min(splits)}. If all are one set, put the files into "
            "one folder."
        )
        raise UserError(Mistake("root", rule, listed(names, 20), remedy))
    return (
        [part for part in parts if config in (None, part.config)],
        [part for part in parts if config not in (None, part.config)],
    )


def _lacking(root: Path, names: list[str], unknown: list[str], odd: list[str]) -> Mistake:
    """odd: files whose names end otherwise."""
    found = listed(names) or ("" if unknown else "no .parquet file")
    also = f"{', and ' * bool(found)}{listed(unknown)}, of no known split" if unknown else ""
    also += f"; not read: {listed(odd)}" if odd else ""
    rule = "must hold train*.parquet and test*.parquet"
    remedies = [f"Found: {found}{also}."]
    if odd:
        remedies.append("Let the names of Parquet files end in .parquet.")
    elif unknown:
        remedies.append("Rename files by their splits: train.parquet, test.parquet.")
    elif not names and (remedy := other_kind("parquet", root)):
        remedies.append(remedy)
    return Mistake("root", rule, str(root), " ".join(remedies))


def _check(train: list[Part], test: list[Part]) -> None:
    mistakes: list[Mistake] = []
    if partial := [part.name for part in (*train, *test) if part.partial]:
        rule = "must hold all rows of each split, and `partial` files hold the first of them"
        remedy = "Fetch the whole data set, such as its own files in place of those that are shown."
        mistakes.append(Mistake("root", rule, listed(partial), remedy))
    alone = [parts[0].shard for parts in (train, test) if len(parts) == 1]
    for parts in (train, test):
        shards = [replace(part.shard, name=part.name) for part in parts]
        mistakes += wrong_shards(shards, alone)
    if mistakes:
        raise UserError(mistakes)
