"""The only record of a sweep: Parquet files, written whole, read as one table.

Every report of a worker becomes a small file, a segment (`part-*.parquet`); now and then segments
are merged into one (`fold-*.parquet`). A kill at any moment leaves whole files only, at worst with
rows twice; a trial counts once, since reading keeps one row a `trial_id`: the earliest finished
one of those with most measurements, else the latest stopped one, else the latest failure.

A row is durable when `Ledger.append` returns: it calls `files.write_table`, which calls
`sweeps.storage.files.write_atomic`: a temporary file, fsync, rename, fsync of the folder.

A stopped trial is one that was ended before its last epoch (`sweeps.early_stopping`). Its
row has the curve so far and the numbers of images that counts are out of, but no result: its final
figures are unknown.
"""

from sweeps.ledger.flat import flatten_factors, write_csv
from sweeps.ledger.flat_probe_results import ProbeTable
from sweeps.ledger.ledger import Ledger
from sweeps.ledger.load import load_probe_results, load_results
from sweeps.ledger.probe_results import ATTACHED, ProbeResults, attached, with_found
from sweeps.ledger.row_reader import trial_rows
from sweeps.ledger.rows import (
    Rows,
    decode,
    encode,
    failed_rows,
    finished_rows,
    joined,
    partial_rows,
    predicted_rows,
    rows_of,
    stopped_rows,
    with_column,
    with_left_out,
)
from sweeps.ledger.schema import RESULT_COLUMNS, SCHEMA
from sweeps.records.trial_row import CLEAN, FAILED, FINISHED, STOPPED

__all__ = [
    "ATTACHED",
    "CLEAN",
    "FAILED",
    "FINISHED",
    "RESULT_COLUMNS",
    "SCHEMA",
    "STOPPED",
    "Ledger",
    "ProbeResults",
    "ProbeTable",
    "Rows",
    "attached",
    "decode",
    "encode",
    "failed_rows",
    "finished_rows",
    "flatten_factors",
    "joined",
    "load_probe_results",
    "load_results",
    "partial_rows",
    "predicted_rows",
    "rows_of",
    "stopped_rows",
    "trial_rows",
    "with_column",
    "with_found",
    "with_left_out",
    "write_csv",
]
