"""Triggered test images beside the training images that moved the model's answer most."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from dashboards.plot_style import DPI, INK, VERMILION, plain, style, to_png
from dashboards.trigger_gallery import CELL, LABEL, Images, show_image


class Influencer(Protocol):
    """A training image (c, h, w) uint8, with its influence and the label it was trained with."""

    @property
    def image(self) -> Images: ...
    @property
    def influence(self) -> float: ...
    @property
    def poisoned(self) -> bool: ...
    @property
    def label(self) -> str: ...


class Influenced(Protocol):
    """A triggered test image (c, h, w) uint8 and its training images."""

    @property
    def image(self) -> Images: ...
    @property
    def truth(self) -> str: ...
    @property
    def target(self) -> str: ...
    @property
    def by(self) -> Sequence[Influencer]: ...


def draw_influences(shown: Sequence[Influenced], title: str) -> bytes:
    """A PNG file: a row a triggered test image, then the training images of largest influence.

    Poisoned ones are framed and labelled so; below each are its label and its influence.
    """
    columns = 1 + max((len(own.by) for own in shown), default=0)
    with style():
        size = (1.25 * CELL * columns, 1.5 * CELL * len(shown) + LABEL)
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasAgg(figure)
        figure.suptitle(plain(title), fontsize=8)
        axes = figure.subplots(len(shown), columns, squeeze=False)
        for row, own in enumerate(shown):
            show_image(axes[row, 0], own.image)
            text = f"test: {plain(own.truth)}\nwanted: {plain(own.target)}"
            axes[row, 0].set_xlabel(text, fontsize=7)
            for column in range(1, columns):
                if column <= len(own.by):
                    _training(axes[row, column], own.by[column - 1])
                else:
                    axes[row, column].set_axis_off()
    return to_png(figure, DPI)


def _training(axes: Axes, found: Influencer) -> None:
    show_image(axes, found.image)
    words = "\npoisoned" if found.poisoned else ""
    text = f"{plain(found.label)}, {found.influence:+.2g}{words}"
    axes.set_xlabel(text, fontsize=7, color=VERMILION if found.poisoned else INK)
    if found.poisoned:
        axes.spines[:].set(visible=True, color=VERMILION, linewidth=2)
