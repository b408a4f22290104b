"""Which kind of region a sweep has: the points that it tried, or a model of the whole space."""

from __future__ import annotations

from backdoor.errors import Mistake, UserError
from sweeps.ledger import Ledger
from sweeps.spec import SweepSpec
from sweeps.verify.point_draws import TriedPoints
from sweeps.verify.regions import MODEL_BASES, POINT_BASES, DrawableRegion


def open_region(
    spec: SweepSpec, ledger: Ledger, target: str, seeds: int, basis: str | None = None
) -> DrawableRegion:
    """The region of a sweep as its ledger has it now. seeds: that a draw will be judged by."""
    model_answer = spec.search.kind == "region"
    known = MODEL_BASES if model_answer else POINT_BASES
    if basis not in (None, *known):
        what = (
            "a model of the whole space" if model_answer else "made of the points that were tried"
        )
        rule = f"must be {' or '.join(known)}: the region of this sweep is {what}"
        raise UserError(Mistake("--basis", rule, basis, "Leave it out, or choose one of those."))
    if not model_answer:
        return TriedPoints(spec, ledger, basis)
    from sweeps.verify.model_draws import ModelRegion

    return ModelRegion(spec, ledger, target, seeds, basis)
