"""What to try next.

A search proposes trials and is told their results asynchronously: between an `ask` and its `tell`
other trials are pending, which the search knows, since it proposed them itself. On resume a new
search is told all that the ledger holds before it is asked anything.
"""

from sweeps.search.base import Search
from sweeps.search.make import make_search

__all__ = ["Search", "make_search"]
