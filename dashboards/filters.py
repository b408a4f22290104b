"""How templates write values: `{{ point.clean_accuracy | fraction }}`.

Rates are fractions in [0, 1]; None is what is not known.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from markupsafe import Markup

from backdoor.wording import in_units
from sweeps.records.setting_text import may_miss

#: What stands where there is no figure.
UNKNOWN = "\N{EN DASH}"


def fraction(value: float | None) -> str:
    """`0.917`, or a dash for what is not known."""
    return UNKNOWN if value is None else f"{value:.3f}"


def signed(value: float | None) -> str:
    """`0.040`, or `−0.700` with a minus sign as wide as a digit."""
    return fraction(value).replace("-", "\N{MINUS SIGN}")


def percent(value: float | None) -> str:
    """`20 %`, never broken over two lines, or a dash for what is not known."""
    return UNKNOWN if value is None else f"{100 * value:.3g}\N{NO-BREAK SPACE}%"


def rounded(value: float) -> str:
    """Three digits of a figure that need not be a rate: `0.25`, `31.4`, `1.2e-05`."""
    return f"{value:.3g}"


def plural(count: int, word: str) -> str:
    """`1 point`, `2 points`."""
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def seeds(by_seed: Mapping[str, float]) -> str:
    """Every seed's rate, in the order of the seeds, which are the keys."""
    ordered = sorted(by_seed.items(), key=lambda item: int(item[0]))
    return "  ".join(fraction(value) for _, value in ordered)


def duration(seconds_: float) -> str:
    """`48 seconds`, `12.5 minutes`, `3.2 hours`."""
    return in_units(seconds_, ".3g", "hours")


def svg_image(svg: str, label: str) -> Markup:
    """A drawing of `plot_style.to_svg` as an element, with its text equivalent.

    The only text that enters a page as it is: matplotlib has escaped the names in it.
    """
    start = svg.index("<svg") + len("<svg")  # the XML prologue has no place inside HTML
    return Markup('<svg role="img" aria-label="{}"').format(label) + Markup(svg[start:])


FILTERS: dict[str, Callable[..., str]] = {
    each.__name__: each
    for each in (fraction, signed, percent, rounded, plural, seeds, duration, svg_image, may_miss)
}
