"""Clean images, the same with each trigger, and the difference, amplified."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from backdoor.errors import Mistake, UserError
from dashboards.plot_style import DPI, NotebookFigure, plain, style, to_png

Images = npt.NDArray[np.uint8]

#: Inches of one picture and of the label above a column.
CELL, LABEL = 1.15, 0.55
#: The grey of pixels without a difference.
MIDDLE = 128


def plot_triggers(clean: Images, triggered: Mapping[str, Images]) -> Figure:
    """What triggers do: images clean, triggered, and the difference.

    There is a column for each trigger, and in it three pictures for each image. A difference is
    amplified to fill the range, by the factor that is written below it. It is grey where nothing
    changed.

    Args:
        clean: images, (n, c, h, w) uint8. Of two channels, or of more than three, the first alone
            is drawn.
        triggered: the same images with a trigger, by the label above its column; shape and dtype as
            those of clean.

    Returns:
        A matplotlib figure, 1.15 inches for each image; a notebook shows it.

    Raises:
        UserError: there is no image or no trigger, or shapes or dtypes differ.

    Example:
        >>> bright = np.minimum(clean, 200) + 55
        >>> plot_triggers(clean[:3], {"bright": bright[:3]}).savefig("triggers.png")
    """
    _refuse_unlike(clean, triggered)
    return _gallery(clean, list(triggered.items()))


def draw_triggers(clean: Images, shown: Sequence[tuple[str, Images]]) -> bytes:
    """The figure of `plot_triggers` as a PNG file. shown: labels, which may repeat, and images."""
    return to_png(_gallery(clean, shown), DPI)


def _gallery(clean: Images, shown: Sequence[tuple[str, Images]]) -> Figure:
    n = len(clean)
    with style():
        size = (CELL * len(shown) + 0.4, 3 * n * CELL + LABEL)
        figure = NotebookFigure(figsize=size, layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots(3 * n, len(shown), squeeze=False)
        for column, (label, stamped) in enumerate(shown):
            axes[0, column].set_title("\n".join(textwrap.wrap(plain(label), 16)), fontsize=7)
            for i in range(n):
                gain = amplification(clean[i], stamped[i])
                parts = (clean[i], stamped[i], difference(clean[i], stamped[i], gain))
                for row, picture in enumerate(parts):
                    show_image(axes[3 * i + row, column], picture)
                axes[3 * i + 2, column].set_xlabel(f"x {gain}", fontsize=7, labelpad=2)
        for row, word in enumerate(("clean", "triggered", "difference") * n):
            axes[row, 0].set_ylabel(word, fontsize=7)
    return figure


def _refuse_unlike(clean: Images, triggered: Mapping[str, Images]) -> None:
    example = "For example plot_triggers(a, {'mine': b})."
    if clean.ndim != 4 or clean.dtype != np.uint8 or not len(clean):
        rule = "must be one image or more, (n, c, h, w) uint8"
        raise UserError(Mistake("clean", rule, _kind_of(clean), example))
    if not triggered:
        raise UserError(Mistake("triggered", "must hold one trigger or more", triggered, example))
    rule = f"must have shape and dtype of clean, {_kind_of(clean)}"
    unlike = [label for label, own in triggered.items() if _kind_of(own) != _kind_of(clean)]
    if unlike:
        raise UserError(
            Mistake(f"triggered[{label!r}]", rule, _kind_of(triggered[label]), example)
            for label in unlike
        )


def _kind_of(images: Images) -> str:
    return f"{images.shape} {images.dtype}"


def amplification(clean: Images, stamped: Images) -> int:
    """The largest whole factor by which no difference leaves the range, at least 1."""
    largest = int(np.abs(stamped.astype(np.int64) - clean).max(initial=0))
    return max(1, (MIDDLE - 1) // largest) if largest else 1


def difference(clean: Images, stamped: Images, gain: int) -> Images:
    """Grey where nothing changed, brighter and darker where the trigger is, the same shape."""
    change = gain * (stamped.astype(np.int64) - clean)
    return (MIDDLE + change).clip(0, 255).astype(np.uint8)


def show_image(axes: Axes, picture: Images) -> None:
    """(c, h, w) uint8 into axes without ticks."""
    grey = picture.shape[0] != 3
    pixels = picture[0] if grey else picture.transpose(1, 2, 0)
    axes.imshow(pixels, cmap="gray" if grey else None, vmin=0, vmax=255, interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
