"""The loop of a sweep: ask the search, make packs, run them, record rows, tell the search.

loop.py          `run_search`, and how a sweep is interrupted
reuse.py         finished trials of other sweeps that are taken over
sweep_feed.py    what is handed out next; where rows are recorded and the search is told them
chunk_size.py    how many packs a worker is handed at once
deadlines.py     how long a pack may take, by packs that have ended
retries.py       what becomes of packs that failed, and what is said of it; failure_judge.py: whose
                 fault it is; controls.py: what is known to succeed
"""
