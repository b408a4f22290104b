"""What to try next.

A search proposes trials and is told what came of them, asynchronously: between an `ask` and its
`tell` other trials are pending, and the search knows them, since it proposed them itself. On
resume a fresh search is told all that the ledger holds before it is asked anything.
"""

from sweeps.search.base import Search
from sweeps.search.make import make_search

__all__ = ["Search", "make_search"]
