"""The spec: one YAML file states the question.

`load` reads a file and applies `--set`; `parser` checks all of it at once: real configurations are
built at every end of the space and checked against the real data. `sections` are the parts that are
plain settings; `model` is the result, frozen.
"""

from sweeps.records.thresholds import Thresholds
from sweeps.spec.class_names import RecordedClasses
from sweeps.spec.load import bundled_specs, load_spec, read_document
from sweeps.spec.model import SweepSpec
from sweeps.spec.parser import parse_spec

__all__ = [
    "RecordedClasses",
    "SweepSpec",
    "Thresholds",
    "bundled_specs",
    "load_spec",
    "parse_spec",
    "read_document",
]
