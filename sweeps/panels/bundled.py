"""The panels that come with the package, by name."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backdoor.errors import Mistake, UserError
from backdoor.settings.schema import suggest
from sweeps.space.yaml_loader import load_yaml
from sweeps.storage.bundled import bundled_files

#: What a spec may set beside a panel's name: how much is poisoned, and the target class.
CHANGEABLE = ("poison_rate", "target")
#: What makes a panel what it is.
FIXED = ("trigger", "label_mode", "source", "cover_rate")
#: The attacks of each panel as `sweeps.region.labels` names them: a released panel never changes,
#: so that it is listed without building its attacks.
LABELS = {
    "standard-1": (
        "patch at 0.3 % to class 0",
        "patch at 1 % to class 0",
        "blend at 0.3 % to class 0",
        "blend at 1 % to class 0",
        "sine at 2 % to class 0, labels kept",
        "sine at 5 % to class 0, labels kept",
    ),
}


@dataclass(frozen=True)
class PanelUse:
    """The panel that an `attack` section names, and which of its factors the spec sets itself."""

    name: str
    changed: tuple[str, ...]

    def __str__(self) -> str:
        if not self.changed:
            return self.name
        return f"{self.name} with {' and '.join(self.changed)} of the spec's own"


def bundled_panels() -> dict[str, Path]:
    """Name → file of the panels that come with the package."""
    return bundled_files("panels")


@functools.cache
def panel_section(name: str) -> Mapping[str, Any]:
    """A bundled panel's section, which nobody may change: it is cached."""
    mistakes: list[Mistake] = []
    text = bundled_panels()[name].read_text(encoding="utf-8")
    section: dict[str, Any] = load_yaml(text, mistakes.append, name)
    if mistakes:
        raise UserError(mistakes)
    return section


def named_panel(section: Any) -> PanelUse | None:
    """The panel that an `attack` section names; None where it lists its own attacks."""
    if isinstance(section, str):
        return PanelUse(section, ())
    if not isinstance(section, Mapping) or "panel" not in section:
        return None
    return PanelUse(section["panel"], tuple(name for name in CHANGEABLE if name in section))


def written_out(section: Any, warn: Callable[[Mistake], None]) -> Any:
    """An `attack` section with the panel that it names written out; any other as it is.

    None where the panel is not known or the section sets what the panel fixes; `warn` gets why.
    """
    use = named_panel(section)
    if use is None:
        return section
    given = {} if isinstance(section, str) else {k: v for k, v in section.items() if k != "panel"}
    known = bundled_panels()
    if not isinstance(use.name, str) or use.name not in known:
        place = "attack" if isinstance(section, str) else "attack.panel"
        rule = "must be a mapping of factors, or the name of a panel"
        rule = rule if isinstance(section, str) else "must be the name of a panel"
        warn(Mistake(place, rule, use.name, suggest(str(use.name), known)))
        return None
    overridden = [name for name in FIXED if name in given]
    for name in overridden:
        rule = f"is fixed by the panel {use.name}, beside which only "
        rule += " and ".join(f"`{each}`" for each in CHANGEABLE) + " may be set"
        remedy = "Remove it, or remove `panel` and list your own attacks."
        warn(Mistake(f"attack.{name}", rule, given[name], remedy))
    return None if overridden else _changed(panel_section(use.name), given)


def _changed(section: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The section with `given` for all its members, in place of values of their own."""
    members = [
        {key: value for key, value in member.items() if key not in given}
        for member in section["trigger"]
    ]
    return {**section, **given, "trigger": members}
