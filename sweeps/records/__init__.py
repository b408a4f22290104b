"""What is stored, as types: rows of the ledger, results of probes, region.json and sweep.json.

Each record is declared once, with units, and built where Parquet or JSON is read. Rows are frozen
dataclasses; JSON documents are typed dictionaries, whose keys are promises to users. Nothing here
computes, and nothing loads torch or pyarrow.
"""
