"""The JSON Schema of region.json: made from the types, and what is stored is held to it."""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NotRequired, TypedDict

import jsonschema
import pytest
from small import begin, small_spec, sweep

import sweeps
from backdoor.errors import StoredDataError
from sweeps.answer.write import write_region
from sweeps.records.region_file import REQUIRED_SINCE_2
from sweeps.records.region_schema import FILE, WRITE, made
from sweeps.records.schema import schema_of
from sweeps.records.schema_check import Fault, faults
from sweeps.runners.serial import SerialRunner
from sweeps.storage.files import write_json
from sweeps.storage.paths import SweepPaths, read_region

Region = dict[str, Any]


class Inner(TypedDict):
    """One
    inside."""

    count: int


class Outer(TypedDict):
    """All kinds of hints."""

    mode: Literal["one", "two"]
    rate: float | int | None
    inner: Inner | None
    by_name: dict[str, list[float]]
    anything: dict[str, Any]
    later: NotRequired[str]
    optional: NotRequired[Literal["a"] | None]


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> SweepPaths:
    """A small grid that has been run, with its region.json."""
    spec = small_spec(attack={"trigger": "patch", "poison_rate": [0, 0.03]})
    paths = begin(tmp_path_factory.mktemp("schema") / "r", spec)
    sweep(paths, spec, SerialRunner())
    write_region(paths, spec)
    return paths


@pytest.fixture
def folder(swept: SweepPaths, tmp_path: Path) -> SweepPaths:
    """A folder with that region.json, to be damaged."""
    paths = SweepPaths(tmp_path / "r")
    paths.ledger.mkdir(parents=True)
    paths.sweep.write_bytes(swept.sweep.read_bytes())
    paths.region.write_bytes(swept.region.read_bytes())
    return paths


# --- the schema --------------------------------------------------------------------------------


def test_the_file_is_what_the_types_give() -> None:
    assert json.loads(FILE.read_text()) == made(), f"Write it again: {WRITE}"
    assert sweeps.region_schema() == made()
    jsonschema.Draft202012Validator.check_schema(made())


def test_it_says_what_it_is() -> None:
    schema = sweeps.region_schema()
    assert schema["$id"] == "urn:backdoor-sweeps:region.json:2" and "version 2" in schema["title"]
    assert schema["properties"]["schema_version"]["const"] == 2
    assert set(REQUIRED_SINCE_2["RegionFile"]) <= set(schema["required"])
    assert "verdict" in schema["$defs"]["PointEntry"]["required"]
    for name, entry in schema["$defs"].items():
        assert entry["description"] and "\n" not in entry["description"], name


def test_nobody_changes_it_for_others() -> None:
    sweeps.region_schema().clear()
    assert sweeps.region_schema()["type"] == "object"


def test_hints_become_keywords() -> None:
    found = schema_of(Outer, {"Outer": ["later"]})
    assert found["required"] == ["mode", "rate", "inner", "by_name", "anything", "later"]
    assert found["properties"] == {
        "mode": {"enum": ["one", "two"]},
        "rate": {"type": ["number", "null"]},
        "inner": {"anyOf": [{"$ref": "#/$defs/Inner"}, {"type": "null"}]},
        "by_name": {
            "type": "object",
            "additionalProperties": {"type": "array", "items": {"type": "number"}},
        },
        "anything": {"type": "object"},
        "later": {"type": "string"},
        "optional": {"enum": ["a", None]},
    }
    inner = found["$defs"]["Inner"]
    assert inner["description"] == "One inside." and "additionalProperties" not in inner
    strict = schema_of(Outer, strict=True)
    assert (
        strict["additionalProperties"] is strict["$defs"]["Inner"]["additionalProperties"] is False
    )


class Told(TypedDict):
    """Two of them. text: not here,
    but there. other: never.

    low, high: the bound,
    where one: is; nobody, low: knows; inner: of `Inner`. anything: any text: of it

    Whatever else.
    """

    text: str
    low: float
    high: float
    inner: Inner
    anything: Any
    silent: int


@pytest.mark.parametrize("strict", [False, True])
def test_parts_of_a_docstring_describe_keys(strict: bool) -> None:
    """Where all names are keys of the class, up to the next such part or the paragraph's end."""
    found = schema_of(Told, strict=strict)
    bound = "The bound, where one: is; nobody, low: knows."
    assert found["properties"] == {
        "text": {"type": "string", "description": "Not here, but there. other: never."},
        "low": {"type": "number", "description": bound},
        "high": {"type": "number", "description": bound},
        "inner": {"$ref": "#/$defs/Inner", "description": "Of `Inner`."},
        "anything": {"description": "Any text: of it."},
        "silent": {"type": "integer"},
    }
    assert found["description"].startswith("Two of them. text: not here, but there. other: never.")
    assert found["description"].endswith("Whatever else.")
    value = {"text": "", "low": 0, "high": 1, "inner": {"count": 1}, "anything": {"a": 1}, "silent": 1}  # fmt: skip
    assert list(faults(value, found)) == []
    (fault,) = faults(value | {"inner": {"count": "x"}}, found)
    assert (fault.place, fault.rule) == ("inner.count", "must be a whole number")


DESCRIBED = ("RegionFile", "PointEntry", "SettingEntry", "VerdictCounts", "VerificationEntry",
             "StateEntry", "HeadlineEntry", "WhereEntry", "LimitsEntry", "AttackAtSetting")  # fmt: skip


def test_each_key_has_a_description(record_property: Callable[[str, object], None]) -> None:
    for strict in (False, True):
        whole = made(strict)
        objects = {"RegionFile": whole, **whole["$defs"]}
        keys = [
            (name, key, "description" in value)
            for name, entry in objects.items()
            for key, value in entry["properties"].items()
        ]
        lacking = [f"{name}.{key}" for name, key, told in keys if not told]
        assert [each for each in lacking if each.split(".")[0] in DESCRIBED] == []
        share = 1 - len(lacking) / len(keys)
        record_property("share of keys with a description", share)
        assert share == 1, f"{share:.1%} of {len(keys)} keys have a description; not {lacking}"


def test_what_json_cannot_hold_is_refused() -> None:
    class Odd(TypedDict):
        """A set."""

        names: set[str]

    with pytest.raises(TypeError, match="JSON has no counterpart of"):
        schema_of(Odd)
    with pytest.raises(TypeError, match="Inner has no gone"):
        schema_of(Inner, {"Inner": ["gone"]})


def test_what_is_written_fits_it_and_has_no_other_key(swept: SweepPaths) -> None:
    written = json.loads(swept.region.read_text())
    jsonschema.Draft202012Validator(made(strict=True)).validate(written)
    assert read_region(swept.root) == written


# --- values that do not fit --------------------------------------------------------------------

GOOD: Region = {"mode": "one", "rate": 0.5, "inner": {"count": 2}, "by_name": {"0": [1, 0.5]}, "anything": {"x": []}}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "place", "rule"),
    [
        ({"mode": "three"}, "mode", "must be one of `one`, `two`"),
        ({"rate": True}, "rate", "must be a number or null"),
        ({"rate": float("inf")}, "rate", "must be a number or null"),
        ({"inner": 3}, "inner", "must be an object of JSON or null"),
        ({"inner": {"count": 1.5}}, "inner.count", "must be a whole number"),
        ({"inner": {}}, "inner.count", "must be there"),
        ({"by_name": {"0": [1, None]}}, "by_name.0[1]", "must be a number"),
        ({"by_name": []}, "by_name", "must be an object of JSON"),
        ({"later": 5}, "later", "must be text"),
        ({"optional": "b"}, "optional", "must be one of `a`, null"),
    ],
    ids=str,
)
def test_a_fault_has_its_place_and_rule(changes: Region, place: str, rule: str) -> None:
    schema = schema_of(Outer)
    assert list(faults(GOOD, schema)) == []
    (found,) = faults(GOOD | changes, schema)
    assert (found.place, found.rule) == (place, rule)


def test_keys_that_are_unknown_are_faults_of_the_strict_schema_only() -> None:
    more = GOOD | {"new": 1}
    assert list(faults(more, schema_of(Outer))) == []
    rule = "must not be there: no such key is known"
    assert list(faults(more, schema_of(Outer, strict=True))) == [Fault("new", rule, 1)]


def places(value: Any, at: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Every place in a value, but for all of a list except its first entry."""
    inner: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        inner = list(value.items())
    elif isinstance(value, list):
        inner = list(enumerate(value[:1]))
    return [at, *(found for key, each in inner for found in places(each, (*at, key)))]


def test_it_agrees_with_a_general_validator(swept: SweepPaths) -> None:
    """Whatever single value is replaced or left out, by one wrong value after the other."""
    whole, schema = json.loads(swept.region.read_text()), made()
    whole |= {"points": whole["points"][:1], "stability": {**whole["stability"], "changes": []}}
    general = jsonschema.Draft202012Validator(schema)
    wrongs = itertools.cycle(("text", -1.5, None, [], {}, True, "left out"))
    tried = refused = 0
    for (*path, last), wrong in zip(places(whole)[1:], wrongs, strict=False):
        damaged = copy.deepcopy(whole)
        inner = damaged
        for part in path:
            inner = inner[part]
        if wrong == "left out":
            del inner[last]
        else:
            inner[last] = wrong
        sound = general.is_valid(damaged)
        assert (not list(faults(damaged, schema))) == sound, (path, last, wrong)
        tried, refused = tried + 1, refused + (not sound)
    assert tried > 150 and 0.5 < refused / tried < 1


Damage = Callable[[Region], Any]


@pytest.mark.parametrize(
    ("damage", "place", "rule"),
    [
        (lambda r: r["points"][1]["attacks"][0].update(attack_success="x"), "points[1].attacks[0].attack_success", "must be a number"),
        (lambda r: r["points"][0]["factors"].update(a=[]), "points[0].factors.a", "must be text or a number or true or false or null"),
        (lambda r: r["points"][0].pop("verdict"), "points[0].verdict", "must be there"),
        (lambda r: r.pop("headline"), "headline", "must be there"),
        (lambda r: r["headline"].update(claim="proved"), "headline.claim", "must be one of `certain`, `likely`, `means`, `none`, `unknown`"),
        (lambda r: r["counts"]["by_means"].pop("IN"), "counts.by_means.IN", "must be there"),
        (lambda r: r.update(recommended={"defence_id": "zz", "basis": "means", "margin": 0}), "recommended.defence_id", "must be one of the ids of complete points"),
        (lambda r: r["points"][0].update(worst_attack="zz"), "points[0].worst_attack", "must be one of the ids of its `attacks`"),
        (lambda r: r["points"][0].update(by_means="in"), "points[0].by_means", "must be one of the verdicts IN, OUT, INCOMPLETE"),
        (lambda r: r["panel"].clear(), "controls[0].attack_id", "must be one of the ids of `panel`"),
        (lambda r: r.update(thresholds=r["thresholds"] | {"confidence": None}), "thresholds.confidence", "must be a number"),
    ],
    ids=range(11),
)  # fmt: skip
def test_a_damaged_value_is_one_error(
    folder: SweepPaths, damage: Damage, place: str, rule: str
) -> None:
    """With the file, the place, the rule and the remedy."""
    region = json.loads(folder.region.read_text())
    damage(region)
    write_json(folder.region, region)
    with pytest.raises(StoredDataError) as caught:
        read_region(folder.root)
    first = caught.value.mistakes[0]
    assert (first.place, first.rule) == (f"{folder.region}: {place}", rule)
    assert first.remedy == f"Run `sweeps region {folder.root}`, which writes it."


def test_many_faults_are_told_in_part(folder: SweepPaths) -> None:
    region = json.loads(folder.region.read_text())
    region["points"] = [{}] * 30
    write_json(folder.region, region)
    with pytest.raises(StoredDataError) as caught:
        read_region(folder.root)
    assert len(caught.value.mistakes) == 5


@pytest.mark.parametrize("text", ["[" * 100_000, "1", '{"schema_version": true}', "2", "[]"])
def test_what_is_no_object_of_ours_is_one_error(folder: SweepPaths, text: str) -> None:
    folder.region.write_text(text)
    with pytest.raises(StoredDataError, match=r"must have schema version 2|must be valid JSON"):
        read_region(folder.root)


def test_keys_of_a_later_release_pass(folder: SweepPaths) -> None:
    region = json.loads(folder.region.read_text()) | {"of_later": [1]}
    write_json(folder.region, region)
    assert read_region(folder.root) == region
    jsonschema.Draft202012Validator(sweeps.region_schema()).validate(region)
