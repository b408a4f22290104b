"""The process that runs a sweep, Ray's driver: all that `sweeps run` and `run_sweep` share.

run.py         sweeps as functions: run, resume, extend
execute.py     training what a folder lacks, under its lock, until region.json is there
runner.py      which runner a name stands for, and what it cannot do
progress.py    the line that shows how far it is, and the rate; status_line.py redraws it
backlog.py     the wait for MLflow after the answer
hard_stop.py   the end of the process after two signals
messages.py    what it says
"""
