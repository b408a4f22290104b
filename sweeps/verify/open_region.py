"""Which kind of region a sweep has: the points that it tried, or a model of the whole space."""

from __future__ import annotations

from backdoor.errors import Mistake, UserError
from sweeps.ledger import Ledger
from sweeps.spec import SweepSpec
from sweeps.verify.point_draws import TriedPoints
from sweeps.verify.regions import MODEL_BASES, POINT_BASES, SampledRegion


def open_region(
    spec: SweepSpec, ledger: Ledger, target: str, seeds: int, basis: str | None = None
) -> SampledRegion:
    """The region of a sweep as its ledger has it now.

    target: `median` or `share`. seeds: by how many a draw will be judged. basis: what counts as
    inside, None for the default.

    Raises:
        UserError: this kind of region has no such basis, or no model judges its points.
    """
    has_model = spec.search.kind == "region"
    known = MODEL_BASES if has_model else POINT_BASES
    if basis not in (None, *known):
        listed = f"{', '.join(known[:-1])} or {known[-1]}"
        what = "a model of the whole space" if has_model else "made of the points that were tried"
        rule = f"must be {listed}: the region of this sweep is {what}"
        raise UserError(Mistake("--basis", rule, basis, "Leave it out, or choose one of those."))
    if not has_model:
        return TriedPoints(spec, ledger, basis)
    from sweeps.region.fitted_region import FittedRegion
    from sweeps.verify.model_draws import ModelRegion

    return ModelRegion(FittedRegion.of(spec, ledger), ledger.ended, target, seeds, basis)
