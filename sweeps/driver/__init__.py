"""The process that runs a sweep, Ray's driver: all that `sweeps run` and `run_sweep` share.

run.py         a sweep from its spec to region.json, or on from where it was interrupted
runner.py      which runner a name stands for, and what it cannot do
progress.py    the line that shows how far it is, and the rate; status_line.py redraws it
backlog.py     the wait for MLflow after the answer
hard_stop.py   the end of the process after two signals
leftovers.py   unfinished files that killed processes left
messages.py    what it says
"""
