"""What the incidents of a folder come to."""

from sweeps.records.failure import PREEMPTED, Failure
from sweeps.records.failure_text import common_cause
from sweeps.records.incident import ATTEMPT, BACK, LEFT_OUT, LOST, STARTED, STOPPED, Incident
from sweeps.records.incident_summary import (
    in_common,
    lost_workers,
    nodes_of,
    of_last_run,
    open_trials,
    well_formed,
)

KEY = Failure("KeyError: 'opacity'", place="/home/me/marks.py:12", host="host7")


def test_the_last_run_alone_counts() -> None:
    run = of_last_run(
        [
            Incident(ATTEMPT, 1.0, ("a",), failure=KEY),
            Incident(LEFT_OUT, 2.0, host="h1", node_id="n1", text="no data"),
            Incident(STARTED, 3.0),
            Incident(ATTEMPT, 4.0, ("b", "c"), failure=KEY),
            Incident(ATTEMPT, 5.0, ("b",), failure=KEY),
            Incident(LOST, 5.0, ("b",), "h2", failure=Failure("lost", PREEMPTED)),
            Incident(LEFT_OUT, 6.0, host="h2", node_id="n2", text="no disk"),
            Incident(LEFT_OUT, 7.0, host="h3", node_id="n3", failure=Failure("no GPU")),
            Incident(LEFT_OUT, 8.0, host="h3", node_id="n3", failure=Failure("no GPU still")),
            Incident(BACK, 9.0, host="h2", node_id="n2"),
        ]
    )
    assert {k: [e.at for e in v] for k, v in open_trials(run, {"c"}).items()} == {"b": [4.0, 5.0]}
    assert [(n.host, n.back, n.reason, n.since) for n in nodes_of(run)] == [
        ("h2", True, "no disk", 9.0),
        ("h3", False, "no GPU still", 7.0),
    ]
    assert lost_workers(run) == 1 and in_common(run) is None
    assert in_common([*run, Incident(STOPPED, 9.0)]) == common_cause([KEY, KEY]), (
        "the lost one is none"
    )


def test_incidents_with_odd_values_are_left_out() -> None:
    odd = [
        Incident(ATTEMPT, "now"),  # type: ignore[arg-type]
        Incident(ATTEMPT, float("nan")),
        Incident(ATTEMPT, 1.0, (3,)),  # type: ignore[arg-type]
        Incident(ATTEMPT, 1.0, host=["h"]),  # type: ignore[arg-type]
        Incident(ATTEMPT, 1.0, failure=Failure(7)),  # type: ignore[arg-type]
        Incident(ATTEMPT, 1.0, failure=Failure("x", place=7)),  # type: ignore[arg-type]
    ]
    assert (
        well_formed(odd) == []
        and len(well_formed([Incident(ATTEMPT, 1, ("a",), failure=KEY)])) == 1
    )
