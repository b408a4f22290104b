"""Clean images, the same with each trigger, and the difference, amplified."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from dashboards.plot_style import plain, style

Images = npt.NDArray[np.uint8]

#: Inches of one picture and of the label above a column; dots per inch of the file.
CELL, LABEL, DPI = 1.15, 0.55, 120
#: The grey of pixels without a difference.
MIDDLE = 128


def draw_triggers(clean: Images, shown: Sequence[tuple[str, Images]]) -> bytes:
    """A PNG file: a column a trigger; for each image a row clean, triggered, and the difference.

    clean, and each of shown beside its label: (n, c, h, w) uint8; of other than one or three
    channels the first is drawn. A difference is amplified to fill the range, by the factor that is
    written below it; where there is none, it is grey.
    """
    n = len(clean)
    with style():
        height = 3 * n * CELL + LABEL
        figure = Figure(figsize=(CELL * len(shown) + 0.4, height), layout="constrained")
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
        file = io.BytesIO()
        figure.savefig(file, format="png", dpi=DPI, metadata={"Software": None})
    return file.getvalue()


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
