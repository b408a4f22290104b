"""The machinery of `make bench-throughput` on a small part: a row that is not run is not missed."""

import rows_control


def test_the_control_plane_is_measured_on_a_replayed_ledger() -> None:
    found = rows_control._replayed(trials=150)
    assert found["rate"] > 0 and found["growth"] >= 1
