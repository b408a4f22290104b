"""`sweeps gallery`."""

from __future__ import annotations

import argparse

from sweeps.cli.console import FINE, say, show_path


def gallery(args: argparse.Namespace) -> int:
    """Draw what triggers do: images clean, triggered, and the difference made visible."""
    from dashboards.trigger_gallery import draw_triggers
    from sweeps.pictures.preview import show_triggers
    from sweeps.storage.files import write_atomic
    from sweeps.storage.named_places import named_place

    clean, shown = show_triggers(args.trigger, args.data, args.images, say)
    write_atomic(named_place(args.out, "--out"), draw_triggers(clean, shown))
    show_path(args.out)
    return FINE
