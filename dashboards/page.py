"""The report's templates, filled in: Jinja2, where every value is text and gets escaped.

`templates/report.html` is the page, one more file a part of it, `macros.html` what the parts share
and `style.css` the look. They hold all sentences and get plain values; the filters that write those
are in `filters.py`. After a change of a template, `dashboards.write_report(DIR)` shows it.

The page stands alone: no script, no font, no request. A content security policy says so to the
browser as well, which then refuses what escaping might have missed.
"""

from __future__ import annotations

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from dashboards.filters import FILTERS


def render(template: str, **values: object) -> str:
    """A file of `templates/` with these values; a name that it is not given is an error."""
    return _environment().get_template(template).render(values)


@cache
def _environment() -> Environment:
    loader = PackageLoader("dashboards")
    environment = Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(FILTERS)
    # Style sheets are no templates: `{#` may begin a rule, and a quote is a quote.
    style_sheet, _, _ = loader.get_source(environment, "style.css")
    environment.globals["style_sheet"] = Markup(style_sheet)
    return environment
