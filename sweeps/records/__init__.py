"""What is stored, as types: rows of the ledger, results of probes, and JSON files.

    trial_row           `TrialRow`: a row of the ledger
    probe_row           `ProbeRow`: what one probe found on one trial's model
    sweep_file          `SweepFile`: sweep.json
    region_file         `RegionFile`: region.json; its `model` is `ModelAnswer` of `model_answer`
    verification_file   `VerificationFile`: answer.json of a verification; `PlanFile`: its plan.json
    verification_standing   `StandingFile`: verification.json, the latest of them and the others
    final_model_file    the file beside a final model
    influence_entry     an image of the influence pictures' index
    thresholds          `Thresholds`: what a point has to reach
    criteria            `Criteria`: all that a region is judged by
    spec_keys           which section of spec.yaml each key belongs to

Each record is declared once, with units, and built where Parquet or JSON is read. Rows are frozen
dataclasses; JSON documents are typed dictionaries, whose keys are promises to users. Nothing here
computes, and nothing loads torch or pyarrow.
"""
