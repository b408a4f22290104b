"""The front of a region search, as region.json has it since version 2."""

from __future__ import annotations

from sweeps.records.answer_entry import FrontPoint
from sweeps.records.region_file import RegionFile


def front_of_model(region: RegionFile) -> list[FrontPoint]:
    """What is left of the space up to each poison rate; nothing without a model."""
    model = region.get("model")
    return [
        {
            "poison_rate": entry["poison_rate"],
            "share": entry["volume"]["fraction"],
            "lower": entry["volume"]["lower"],
            "upper": entry["volume"]["upper"],
        }
        for entry in (model["front"] if model else [])
    ]
