"""A mail with the share of readers who followed each link written beside it.

Apart from the report's figures, because it takes markup apart, which a sender that counts them has no need for.
"""

from collections.abc import Iterable, Mapping

from lxml import html
from lxml.html import HtmlElement

from prefcentre.reporting.service import Link

_STYLE = (
    "display:inline-block;margin:0 4px;padding:1px 6px;border-radius:9px;font:bold 12px/16px sans-serif;"
    "text-decoration:none;white-space:nowrap;color:{ink};background-color:{paint};border:1px solid #7a1f00"
)
_OUTLINE = ";outline:{width}px solid {paint};outline-offset:2px"
# From "hardly anybody" to "most": each is readable with its ink (WCAG AA), and wider as well as darker.
_HEAT = (
    (0.0, "#fff4e5", "#4a1800", 1),
    (0.01, "#ffd9a8", "#4a1800", 2),
    (0.05, "#ffad5c", "#3b1300", 3),
    (0.10, "#d9480f", "#ffffff", 4),
)


def mark(page: str, links: Iterable[Link], readers: int) -> str:
    """The mail's page with a badge behind each counted link; no link can be followed, because this is a picture.

    ``readers`` is how many the mail reached, of which each badge says its part.
    """
    root = html.document_fromstring(page)
    known: Mapping[str, Link] = {link.url: link for link in links}
    for anchor in list(root.iter("a", "area")):
        link = known.get((anchor.get("href") or "").strip())
        anchor.attrib.pop("href", None)
        if link is not None:
            _mark_one(anchor, link, readers)
    return "<!doctype html>\n" + html.tostring(root, encoding="unicode")


def _mark_one(anchor: HtmlElement, link: Link, readers: int) -> None:
    part = link.people / readers if readers else 0.0
    _, paint, ink, width = max(heat for heat in _HEAT if heat[0] <= part)
    outline = _OUTLINE.format(width=width, paint=paint)
    anchor.set("style", (anchor.get("style") or "") + outline)
    badge = html.Element("span", {"style": _STYLE.format(ink=ink, paint=paint)})
    badge.text = f"{part:.1%} · {link.people:,}"
    # Within the link, because a badge behind it would fall out of buttons that are made of tables.
    anchor.append(badge)
