"""Looks at a finished sweep: its report, one HTML file, and its figures.

    from dashboards import plot_region_map, write_report

    write_report("digits")               # writes digits/report.html and returns its path
    plot_region_map("digits")            # a matplotlib figure; a notebook shows it
    plot_region_map("digits").savefig("map.png")

`digits` is the results folder of a sweep, which looking at it does not change. The functions that
`dir(dashboards)` lists are offered; modules, and all else in them, may change with any release.

For those who work on it: `report` has the order of the page, `results` what is read of a folder.
`opening`, `setting`, `where`, `sections`, `searched_points`, `appendix`, `failed_trials` and
`probes` compute what the templates in `templates/` are given, which hold every sentence of the page
but those that region.json has; `page` fills them in and escapes. `region_map`, `figures`,
`model_map`, `probe_curves` and the galleries draw, with `plot_style` for what they share and
`axis_layout` for which factor goes to which axis.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
