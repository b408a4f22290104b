"""Files that a spec names: written with their whole path and a digest of their content.

A results folder keeps them in this form. Its trials then have the same ids wherever it is read,
also where the files are missing; training checks that the content is still the same.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any, get_args

from backdoor.errors import UserError
from backdoor.settings.registry import Family
from backdoor.settings.schema import hints_of
from backdoor.settings.user_file import UserFile


def pin_files(component: Any, family: Family[Any]) -> None:
    """Rewrites the paths in a component, or in a list of them, in place. Wrong ones are left as
    they are: building the component reports them."""
    if isinstance(component, list):
        for each in component:
            pin_files(each, family)
    if not isinstance(component, dict) or "kind" not in component:
        return
    with contextlib.suppress(UserError):
        cls: Any = family.find(component["kind"])
        for name, hint in hints_of(cls).items():
            if name in component and UserFile in (hint, *get_args(hint)):
                component[name] = _pinned(component[name])


def _pinned(value: Any) -> Any:
    if isinstance(value, list):
        return [_pinned(each) for each in value]
    if not isinstance(value, str):
        return value
    with contextlib.suppress(OSError, ValueError, RuntimeError):
        return str(UserFile.of(value))
    return value


def pin_section(section: Any, families: Mapping[str, Family[Any]]) -> None:
    """Rewrites the paths in all components of a section."""
    if isinstance(section, dict):
        for slot, family in families.items():
            pin_files(section.get(slot), family)
