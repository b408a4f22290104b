"""Named panels of attacks, for people who have no attacker in mind. One file, one panel.

A panel is an `attack` section in a YAML file of this folder. Its name ends in its version, and
a released one never changes: better attacks make a new file. A spec names one, as in
`attack: standard-1`, and may set the poison rates and the target class of all its members:
`attack: {panel: standard-1, poison_rate: [0, 0.001], target: 3}`. What comes out is the section
somebody could have written by hand, so the trials are the same, ids included.
"""

from sweeps.panels.bundled import bundled_panels, named_panel, panel_attacks, written_out

__all__ = ["bundled_panels", "named_panel", "panel_attacks", "written_out"]
