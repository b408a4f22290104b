"""HTML that escapes by construction: `element` takes text and markup, and only text is escaped.

The page stands alone: no script, no font, no request. A content security policy says so to the
browser as well, which then refuses what escaping might have missed.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence


class Markup(str):
    """HTML that is ready to be written. Everything else is text and gets escaped."""

    __slots__ = ()


Content = str | int | None


def escape(content: Content) -> Markup:
    """Text as HTML; markup as it is; None as nothing."""
    if isinstance(content, Markup):
        return content
    return Markup("" if content is None else html.escape(str(content)))


def join(parts: Iterable[Content]) -> Markup:
    """The parts one after another."""
    return Markup("".join(escape(part) for part in parts))


def element(name: str, *contents: Content, **attributes: str) -> Markup:
    """`<name attributes>contents</name>`; an attribute `class_` is written `class`."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(value)}"'
        for key, value in attributes.items()
    )
    opening = f"<{name}{written}>"
    return Markup(opening if name in ("img", "meta") else f"{opening}{join(contents)}</{name}>")


def section(title: str, *contents: Content) -> Markup:
    """A part of the page under a heading."""
    return element("section", element("h2", title), *contents)


def paragraph(*contents: Content) -> Markup:
    """Sentences."""
    return element("p", *contents)


def scrolling(label: str, content: Content) -> Markup:
    """A container of its own for what may be wider than the screen, reachable by keyboard."""
    attributes = {"class_": "scroll", "role": "region", "tabindex": "0", "aria_label": label}
    return element("div", content, **attributes)


def table(label: str, head: Sequence[Content], rows: Iterable[Sequence[Content]]) -> Markup:
    """A table in its own scrolling container; the first cell of a row is its header."""
    heads = element("tr", *(element("th", cell, scope="col") for cell in head))
    body = [
        element("tr", element("th", row[0], scope="row"), *(element("td", c) for c in row[1:]))
        for row in rows
    ]
    inner = element("table", element("thead", heads), element("tbody", *body))
    return scrolling(label, inner)


def facts(pairs: Iterable[tuple[Content, Content]]) -> Markup:
    """Names and values, as a list of definitions."""
    return element(
        "dl", *(element("div", element("dt", name), element("dd", value)) for name, value in pairs)
    )


def figure(label: str, svg: str, caption: Content) -> Markup:
    """A drawing, with its text equivalent for those who do not see it."""
    start = svg.index("<svg")  # the XML prologue has no place inside HTML
    opening = f'<svg role="img" aria-label="{html.escape(label)}"'
    drawing = Markup(opening + svg[start + len("<svg") :])
    return element(
        "figure",
        scrolling(label, element("div", drawing, class_="card")),
        element("figcaption", caption),
    )


def document(title: str, body: Content) -> str:
    """The whole file."""
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    head = element(
        "head",
        element("meta", charset="utf-8"),
        Markup(f'<meta http-equiv="Content-Security-Policy" content="{policy}">'),
        element("meta", name_="viewport", content="width=device-width, initial-scale=1"),
        element("title", title),
        element("style", Markup(STYLE)),
    )
    content = element("body", element("main", body))
    return "<!DOCTYPE html>\n" + element("html", head, content, lang="en") + "\n"


STYLE = """
:root { color-scheme: light dark; --text: #1b1f24; --soft: #57606a; --ground: #fff;
  --band: #f3f5f7; --line: #d3d9df; --accent: #0072b2; }
@media (prefers-color-scheme: dark) { :root { --text: #e4e8ec; --soft: #a2abb5;
  --ground: #14181c; --band: #1e242a; --line: #3a434c; --accent: #63b7ea; } }
* { box-sizing: border-box; }
body { margin: 0; color: var(--text); background: var(--ground);
  font: 16px/1.55 system-ui, sans-serif; overflow-wrap: anywhere; }
main { max-width: 60rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
h1 { font-size: 1.75rem; line-height: 1.2; margin: 0 0 .5rem; }
h2 { font-size: 1.25rem; line-height: 1.3; margin: 2.75rem 0 .5rem; padding-top: .75rem;
  border-top: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 1.5rem 0 .25rem; }
p { margin: .5rem 0; max-width: 46rem; }
.lead { font-size: 1.125rem; }
.answer { border-left: 4px solid var(--accent); padding: .25rem 1rem; margin: 1rem 0;
  background: var(--band); }
.soft, figcaption { color: var(--soft); font-size: .9rem; }
figcaption { max-width: 46rem; margin-top: .4rem; }
figure { margin: 1rem 0; }
dl { margin: .75rem 0; }
dl div { display: grid; grid-template-columns: 12rem 1fr; gap: 0 1rem; padding: .25rem 0;
  border-bottom: 1px solid var(--line); }
dt { color: var(--soft); }
dd { margin: 0; }
.scroll { overflow-x: auto; max-width: 100%; }
.card { background: #fff; border: 1px solid var(--line); border-radius: 4px; padding: .25rem;
  width: 100%; min-width: 36rem; }
.card svg { display: block; width: 100%; height: auto; }
table { border-collapse: collapse; font-size: .875rem; line-height: 1.35;
  font-variant-numeric: tabular-nums; overflow-wrap: normal; }
th, td { text-align: left; vertical-align: top; padding: .35rem .75rem .35rem 0;
  border-bottom: 1px solid var(--line); }
thead th { vertical-align: bottom; color: var(--soft); font-weight: 600; }
tbody th { font-weight: 600; min-width: 9rem; }
small { display: block; color: var(--soft); font-size: .8rem; white-space: nowrap; }
.pixels { image-rendering: pixelated; width: 4.5rem; height: auto; display: block;
  border: 1px solid var(--line); }
pre { background: var(--band); padding: .75rem 1rem; overflow-x: auto; font-size: .85rem;
  line-height: 1.45; }
code, pre { font-family: ui-monospace, monospace; }
@media (max-width: 30rem) { dl div { grid-template-columns: 1fr; } }
@media print { body { font-size: 10.5pt; } main { max-width: none; padding: 0; }
  .scroll { overflow: visible; } .card { min-width: 0; } table { font-size: 7.5pt; }
  figure, tr, .answer { break-inside: avoid; } h2, h3 { break-after: avoid; }
  pre { white-space: pre-wrap; } }
"""
