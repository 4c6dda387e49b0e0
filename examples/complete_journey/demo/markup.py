"""Building HTML and SVG as trees, so that a page is well-formed and escaped by construction."""

from __future__ import annotations

from xml.etree import ElementTree as Tree

Node = Tree.Element
Child = Node | str | None


def node(tag: str, attributes: dict[str, object] | None = None, *children: Child) -> Node:
    """Return an element with its children in order; numbers get at most two decimals."""
    made = Tree.Element(tag, {name: _text(value) for name, value in (attributes or {}).items()})
    last: Node | None = None
    for child in children:
        if child is None:
            continue
        if isinstance(child, str):
            if last is None:
                made.text = (made.text or "") + child
            else:
                last.tail = (last.tail or "") + child
        else:
            made.append(child)
            last = child
    return made


def page(root: Node) -> str:
    """Return a whole document. It reads the same as HTML and as XML.

    Raises:
        ValueError: an element of HTML is empty that HTML would not let close itself.
    """
    for element in root.iter():
        if element.tag not in _MAY_BE_EMPTY and not (len(element) or element.text):
            raise ValueError(f"<{element.tag}> is empty: HTML would not close it")
    return "<!DOCTYPE html>\n" + Tree.tostring(root, encoding="unicode") + "\n"


_MAY_BE_EMPTY = frozenset({"meta", "circle", "line", "path", "rect"})
"""Elements of SVG, and those of HTML that have no end tag."""


def _text(value: object) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
