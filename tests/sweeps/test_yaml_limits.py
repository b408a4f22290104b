"""What is too large, has no end, or has two kinds of comma is refused at once."""

from __future__ import annotations

import os

import pytest
from small import SMALL

from backdoor.errors import UserError
from backdoor.settings.limits import DEEPEST, MOST_VALUES
from sweeps.space.yaml_limits import LONGEST
from sweeps.space.yaml_loader import dump_yaml, load_yaml
from sweeps.spec import load_spec
from sweeps.spec.load import read_document
from sweeps.verify.transfer import _listed


def load(text, place="spec"):
    mistakes = []
    return load_yaml(text, mistakes.append, place), [str(mistake) for mistake in mistakes]


def refused(given, *changes) -> str:
    with pytest.raises(UserError) as caught:
        load_spec(given, changes)
    return str(caught.value)


def bomb(open_, close) -> str:
    lines = [f"a: &a {open_}x: 1{close}" if open_ == "{" else "a: &a [x, x]"]
    for before, name in zip("abcdefgh", "bcdefghi", strict=True):
        inner = ",".join([f"*{before}"] * 9)
        lines.append(f"{name}: &{name} " + (f"{{<<: [{inner}]}}" if open_ == "{" else f"[{inner}]"))
    return "\n".join(lines)


@pytest.mark.parametrize("brackets", ["[]", "{}"])
def test_nested_aliases(tmp_path, brackets) -> None:
    file = tmp_path / "spec.yaml"
    file.write_text(bomb(*brackets))
    rule = f"must hold at most {MOST_VALUES:,} values, an alias (*name) counted with all its own"
    assert f"{file}, line 6: {rule}" in refused(file)
    inline = "[" + ", ".join(line.partition(": ")[2] for line in bomb("[", "]").splitlines()) + "]"
    assert f"--set x: {rule}" in refused(SMALL, f"x={inline}")
    with pytest.raises(UserError, match="--transfer: must hold at most"):
        _listed(inline, [])


def test_few_aliases_are_fine() -> None:
    shared = "[&a [1, 2], *a, *a, {k: *a}]"
    assert load(shared) == ([[1, 2], [1, 2], [1, 2], {"k": [1, 2]}], [])


@pytest.mark.parametrize("text", ["[" * 10_000, "{a: " * 10_000, "- " * 10_000])
def test_deep_nesting(text) -> None:
    with pytest.raises(UserError, match=f"line 1: must have at most {DEEPEST} levels"):
        load(text)


def test_levels_that_aliases_add() -> None:
    text = "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 60))
    with pytest.raises(UserError, match=f"line 51: must have at most {DEEPEST} levels"):
        load(text)


def test_a_long_text_that_aliases_repeat() -> None:
    with pytest.raises(UserError, match="must hold at most"):
        load(f"[&a {'x' * 100_000}{', *a' * 100}]")


def test_a_document_that_is_too_long(tmp_path) -> None:
    file = tmp_path / "spec.yaml"
    with file.open("wb") as stream:
        stream.truncate(10**12)  # holes: it takes no room
    rule = f"must have at most {LONGEST:,} characters, but got '1,000,000,000,000 bytes'"
    assert rule in refused(file)
    file.write_text("#" * (LONGEST + 1))
    assert f"{file}: must have at most {LONGEST:,} characters, but got {LONGEST + 1}" in refused(file)  # fmt: skip


def test_what_is_no_file_of_text(tmp_path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert refused(pipe).endswith("It is a pipe or a device: name a file with YAML text.")
    assert refused(tmp_path).endswith("It is a folder: name a file with YAML text.")
    assert "It is a pipe or a device" in refused("/dev/zero")
    assert refused("x" * 5000).startswith("SPEC must be a file, or the name of a bundled spec")
    (tmp_path / "bytes").write_bytes(bytes(range(256)))
    assert "must be readable UTF-8 text" in refused(tmp_path / "bytes")
    for name in (pipe, "/dev/zero"):
        with pytest.raises(UserError, match="--transfer: must be a regular file"):
            _listed(str(name), [])
    with pytest.raises(UserError, match="--transfer: must be a file"):
        _listed(str(tmp_path), [])


@pytest.mark.parametrize("text", ["9" * 10_000, "-" + "9" * 10_000, "0x" + "f" * 10_000])
def test_very_long_whole_numbers(text) -> None:
    value, [mistake] = load(f"[{text}]")
    assert value == [0] and "must be a number that a computer can hold" in mistake
    assert mistake.endswith(f"... ({len(text):,} characters)'. Choose another one.")


# --- mappings stated in Python -------------------------------------------------------------------


def test_python_mappings_without_end() -> None:
    endless: list[object] = []
    endless.append(endless)
    assert f"seeds: must have at most {DEEPEST} levels" in refused(SMALL | {"seeds": endless})
    wide: list[object] = ["x"]
    for _ in range(30):
        wide = [wide] * 9
    many = f"seeds: must not make the settings hold more than {MOST_VALUES:,} values"
    for seeds in (wide, range(10**9), range(10**30)):
        assert many in refused(SMALL | {"seeds": seeds})
    assert "seeds: must be a number that a computer can hold" in refused(SMALL | {"seeds": 10**5000})  # fmt: skip
    shared = [0.1, 0.2]
    assert load_spec(SMALL | {"defence": {"architecture": "linear", "weight_decay": shared, "learning_rate": shared}})  # fmt: skip


# --- commas ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "meant", "whole"),
    [
        ("[0,5, 0,25]", "0.5, 0.25", "0, 5, 0, 25"),
        ("[1e-3, 0,1]", "1e-3, 0.1", "1e-3, 0, 1"),
        ("[0, 0,5]", "0, 0.5", "0, 0, 5"),
        ("[1,5e-3, 2]", "1.5e-3, 2", "1, 5e-3, 2"),
        ("[-0,5,\n  1]", "-0.5, 1", "-0, 5, 1"),
        ("{log: [0,5, 1]}", "0.5, 1", "0, 5, 1"),
    ],
)
def test_two_kinds_of_comma(text, meant, whole) -> None:
    [mistake] = load(text)[1]
    assert mistake.startswith("line 1: must not mix two kinds of comma")
    assert mistake.endswith(
        f"Decimals have a point: [{meant}]. If you mean whole numbers, put a space after each "
        f"comma: [{whole}]."
    )


@pytest.mark.parametrize("text", ["[0,5; 0,25]", "[0,5;0,25]", "[0.5; 0.25]"])
def test_semicolons(text) -> None:
    [mistake] = load(text, "--set a")[1]
    assert mistake == f"--set a: must have commas between its values, but got '{text}'. Write [0.5, 0.25]."  # fmt: skip


def test_a_comma_in_a_number_of_a_mapping() -> None:
    [mistake] = load("{learning_rate: 0,5, epochs: 3}")[1]
    assert mistake == "line 1: must not have a comma in a number, but got '0,5'. Decimals have a point: 0.5."  # fmt: skip


@pytest.mark.parametrize(
    "text",
    ["[0,1,2]", "[0,1]", "[0, 1]", "[0,1,2, 3]", "[[0,1], [2,3]]", "[cat,dog, bird]", "[0.1,0.5, 1]",
     "[1, '0,5']", "{a: 1,b: 2, c: 3}", "[]", "[1]", "['1','2', 3]"],
)  # fmt: skip
def test_commas_that_mean_what_they_say(text) -> None:
    value, mistakes = load(text)
    assert not mistakes and load(dump_yaml(value)) == (value, [])


def test_a_colour_that_yaml_reads_as_a_comment() -> None:
    assert load("#ff0000", "--set attack.trigger.value") == ("#ff0000", [])
    with pytest.raises(UserError, match="Put a colour in quotes: '#ff0000'"):
        load("{kind: patch, value: #ff0000}")
    assert read_document(SMALL, ["x=#f00"])[0]["x"] == "#f00"
