"""Looking at a finished sweep. Reads a results folder, writes one HTML file, changes nothing else.

Reading order: `report.write_report` (the order of the page) → `results` (what is read) →
`sections` and `appendix` (its sentences and tables) → `figures` and `region_map` (what is drawn,
with `plot_style` for what they share) → `axis_layout` (which factor goes to which axis) → `page`
(HTML that escapes whatever it is given).
"""
