"""Kinds are found by scanning; others by module:Class; unknown ones with a near miss."""

import pytest

from backdoor.errors import UserError
from backdoor.settings.registry import FAMILIES, TRIGGERS


def test_every_family_has_kinds_with_a_docstring() -> None:
    for word, family in FAMILIES.items():
        kinds = family.kinds()
        assert kinds, word
        for name, cls in kinds.items():
            assert cls.kind == name
            assert (cls.__doc__ or "").strip(), f"{name} has no docstring"


def test_a_near_miss_is_named() -> None:
    with pytest.raises(
        UserError, match=r"must be a known trigger, but got 'pathc'. Did you mean 'patch'"
    ):
        TRIGGERS.build("pathc")


def test_a_class_from_a_package_outside(tmp_path, monkeypatch) -> None:
    (tmp_path / "their_marks.py").write_text(
        "from dataclasses import dataclass\n"
        "from typing import ClassVar\n"
        "from backdoor.triggers import Trigger\n"
        "@dataclass(frozen=True)\n"
        "class Invert(Trigger):\n"
        "    kind: ClassVar[str] = 'invert'\n"
        "    strength: int = 255\n"
        "    def stamp(self, images, ids, labels):\n"
        "        return self.strength - images\n"
        "class NoTrigger: pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    made = TRIGGERS.build({"kind": "their_marks:Invert", "strength": 200})
    assert made.strength == 200
    assert made.identity() == {"kind": "their_marks:Invert", "strength": 200}
    assert TRIGGERS.build(made.identity()) == made
    with pytest.raises(UserError, match=r"must be a subclass of backdoor.triggers.Trigger"):
        TRIGGERS.build("their_marks:NoTrigger")
    with pytest.raises(UserError, match="must be importable as module:Class"):
        TRIGGERS.build("their_marks:Missing")


def test_two_files_with_one_name_are_refused(tmp_path, monkeypatch) -> None:
    import backdoor.triggers

    (tmp_path / "copycat.py").write_text(
        "from dataclasses import dataclass\nfrom typing import ClassVar\n"
        "from backdoor.triggers import Trigger\n"
        "@dataclass(frozen=True)\nclass Again(Trigger):\n    kind: ClassVar[str] = 'patch'\n"
    )
    monkeypatch.setattr(backdoor.triggers, "__path__", [*backdoor.triggers.__path__, str(tmp_path)])
    with pytest.raises(UserError, match="kinds must have distinct names, but got 'patch'"):
        TRIGGERS.kinds()
