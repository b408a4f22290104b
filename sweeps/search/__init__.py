"""What to try next.

A search proposes trials and is told their results asynchronously: between an `ask` and its `tell`
other trials are pending, which the search knows, since it proposed them itself. On resume a new
search is told all that the ledger holds before it is asked anything.

Of a pending trial a search knows only that it was proposed: no curve, and not whether a worker has
begun. Its defence point and attack reduce the variances of a region search's model, not its means;
for Optuna's samplers its point is a running Optuna trial; searches that list points in advance do
not use it at all.
"""

from sweeps.search.base import Search
from sweeps.search.make import make_search

__all__ = ["Search", "make_search"]
