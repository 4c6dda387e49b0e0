"""The parts a page is put together from: sections, figures with a legend, tables, signs."""

from __future__ import annotations

from collections.abc import Sequence

from examples.complete_journey.demo.markup import Node, node


def sign(holds: bool) -> Node:
    """Return a check mark or a cross, as a shape."""
    shape = "M4 10.5l4 4 8-9" if holds else "M5 5l10 10M15 5l-10 10"
    css = "sign good" if holds else "sign bad"
    attributes = {"class": css, "viewBox": "0 0 20 20", "width": 20, "height": 20}
    return node("svg", {**attributes, "aria-hidden": "true"}, node("path", {"d": shape}))


def section(title: str, lead: str | None, *content: Node) -> Node:
    """Return a section of the page, with a lead if there is one."""
    note = None if lead is None else node("p", {"class": "note"}, lead)
    return node("section", None, node("h2", None, title), note, *content)


def swatch(shape: Node) -> Node:
    """Return a mark of 16 by 16 for a legend."""
    attributes = {"viewBox": "0 0 16 16", "width": 16, "height": 16, "aria-hidden": "true"}
    return node("svg", {**attributes, "class": "swatch"}, shape)


def figure(legend: list[tuple[Node, str]], *charts: Node) -> Node:
    """Return charts below their legend: swatches and names."""
    items = [node("li", None, shape, name) for shape, name in legend]
    return node("figure", None, node("ul", {"class": "legend"}, *items), *charts)


def table(title: str, header: Sequence[str], rows: list[list[str]], texts: int = 1) -> Node:
    """Return a table of its own width; its first ``texts`` columns are words."""

    def cell(tag: str, index: int, text: str) -> Node:
        scope: dict[str, object] = {"scope": "col"} if tag == "th" else {}
        return node(tag, {**scope, "class": "text" if index < texts else "number"}, text or "·")

    head = node("tr", None, *(cell("th", i, name) for i, name in enumerate(header)))
    body = [node("tr", None, *(cell("td", i, text) for i, text in enumerate(row))) for row in rows]
    made = node(
        "table",
        None,
        node("caption", None, title),
        node("thead", None, head),
        node("tbody", None, *body),
    )
    # A region that scrolls must be reachable without a mouse.
    region: dict[str, object] = {
        "class": "scroll",
        "tabindex": "0",
        "role": "region",
        "aria-label": title,
    }
    return node("div", region, made)
