"""Named panels of attacks, for people who have no particular attacker in mind. One file a panel.

A panel is an `attack` section in a YAML file of this folder. Its name ends in its version, and
a released one never changes: better attacks make a new file. A spec names one, as in
`attack: standard-1`, and may set the poison rates and the target class of all its members:
`attack: {panel: standard-1, poison_rate: [0, 0.001], target: 3}`. The result is the section that
somebody could have written by hand, so trials and their ids are the same. `attacks` builds the
members of a panel, with torch; the rest is plain values, such as the members' labels, `LABELS`.
"""

from sweeps.panels.bundled import LABELS, bundled_panels, named_panel, written_out

__all__ = ["LABELS", "bundled_panels", "named_panel", "written_out"]
