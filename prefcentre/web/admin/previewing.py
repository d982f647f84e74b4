"""A campaign as one person would see it: made in the limited child process, kept for a moment, shown without power.

What is shown is somebody's markup, so it gets a path and a policy of its own: no script, no form, no origin (T5).
"""

import html
import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock

from flask import Response
from sqlmodel import Session

from prefcentre.campaigns import service as campaigns
from prefcentre.campaigns.service import CampaignSource, Texts
from prefcentre.consent import service as consent
from prefcentre.context import Context
from prefcentre.delivery import service as delivery
from prefcentre.errors import ContentError, NotFound
from prefcentre.messages import service as messages
from prefcentre.messages.service import MissingValue, Recipient, Shown
from prefcentre.subscribers import service as subscribers
from prefcentre.web.admin.viewer import viewer

_KEPT = 48
_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src {images}; font-src 'none'; form-action 'none'; "
    "base-uri 'none'; frame-ancestors 'self'; sandbox"
)
_DARK = re.compile(r"\(\s*prefers-color-scheme\s*:\s*(dark|light)\s*\)", re.IGNORECASE)
# The point that counts opens is asked for by readers only.
_COUNTING = re.compile(r'<img src="[^"]*/o/[^"]*" alt="" width="1" height="1"[^>]*>')
_ALWAYS, _NEVER = "(min-width: 0px)", "(max-width: 0px)"


@dataclass(frozen=True)
class Trouble:
    """What keeps a campaign from being shown, or from going out, and where: the field of the editor and the line."""

    message: str
    field: str
    line: int | None = None


@dataclass(frozen=True)
class Preview:
    """A campaign for one reader, or why it can't be shown to them."""

    reader: Recipient
    shown: Shown | None
    trouble: Trouble | None


class _Kept:
    """The last previews of this process; each costs a second, and its views ask for the same one again."""

    def __init__(self) -> None:
        self._found: OrderedDict[object, Preview] = OrderedDict()
        self._lock = Lock()

    def get(self, key: object) -> Preview | None:
        with self._lock:
            return self._found.get(key)

    def put(self, key: object, preview: Preview) -> None:
        with self._lock:
            self._found[key] = preview
            while len(self._found) > _KEPT:
                self._found.popitem(last=False)


_kept = _Kept()


def preview(context: Context, slug: str, texts: Texts, public_id: int | None) -> Preview:
    """What this reader would get, or what stands in the way. Somebody of the audience when nobody is named."""
    with context.db.reading() as session:
        reader = _reader(session, context, slug, public_id)
        try:
            source = campaigns.source_of(context.settings, slug, texts)
            topic = _topic_name(session, source)
        except ContentError as error:
            return Preview(reader, None, trouble_of(error, slug))
    key = (source, topic, repr(reader), context.settings.brand, context.settings.public_url)
    key = hash((repr(source), *map(str, key[1:])))  # type: ignore[assignment]
    found = _kept.get(key)
    if found is None:
        found = _made(context, source, topic, reader)
        _kept.put(key, found)
    return found


def _made(context: Context, source: CampaignSource, topic: str, reader: Recipient) -> Preview:
    try:
        return Preview(reader, messages.show(context.settings, source, topic, reader), None)
    except MissingValue as error:
        # Which part asks for it is not known; the body is where it nearly always is.
        where = "subject" if (error.variable or "?") in source.subject else "body"
        return Preview(reader, None, Trouble(str(error), where))
    except ContentError as error:
        return Preview(reader, None, trouble_of(error, source.slug))


def trouble_of(error: ContentError, slug: str) -> Trouble:
    """The field of the editor that a mistake belongs to."""
    name = (error.file or "").removeprefix(f"campaigns/{slug}/")
    bare = str(error).removeprefix(str(ContentError("", file=error.file, line=error.line)))
    if error.field:
        return Trouble(bare, campaigns.ENTRIES.get(error.field, "other"), None)
    if name.startswith("body."):
        return Trouble(bare, "text" if name == "body.txt" else "body", error.line)
    if name.startswith("templates/"):
        return Trouble(f"{name}: {bare}", "template", error.line)
    return Trouble(str(error), "other", error.line)


def document(found: Preview, *, part: str, dark: bool, images: bool, own: str) -> Response:
    """The preview as a document of its own, for a frame that can do nothing.

    ``own`` is where pictures of the library are served from.
    """
    if found.shown is None:
        words = found.trouble.message if found.trouble else ""
        body = _page(f"<p>{html.escape(words)}</p>", dark=dark)
    elif part == "text":
        body = _page(f"<pre>{html.escape(found.shown.text)}</pre>", dark=dark)
    else:
        body = in_scheme(found.shown.html, dark=dark)
    sources = f"{own} https: data:" if images else "'none'"
    answer = Response(body, content_type="text/html; charset=utf-8")
    answer.headers.update(frame_headers(sources))
    return answer


def frame_headers(images: str = "'self' https: data:") -> Mapping[str, str]:
    """What a document of somebody's markup has to say to a browser."""
    return {
        "Content-Security-Policy": _POLICY.format(images=images),
        "X-Frame-Options": "SAMEORIGIN",
        "Cache-Control": "no-store",
        "Cross-Origin-Resource-Policy": "same-origin",
    }


def in_scheme(markup: str, *, dark: bool) -> str:
    """The mail as a dark or a light program shows it, whatever the reader's own screen is set to."""

    def decided(found: re.Match[str]) -> str:
        return _ALWAYS if (found[1].lower() == "dark") is dark else _NEVER

    return _DARK.sub(decided, _COUNTING.sub("", markup))


def _page(body: str, *, dark: bool) -> str:
    ground, ink = ("#11161c", "#e6ebf0") if dark else ("#ffffff", "#1f2933")
    return (
        '<!DOCTYPE html><html lang="en"><head><title>Preview</title><style>'
        f"body{{margin:16px;background:{ground};color:{ink};font:15px/1.5 system-ui,sans-serif}}"
        "pre{white-space:pre-wrap;overflow-wrap:anywhere;font:14px/1.5 ui-monospace,monospace;margin:0}"
        f"</style></head><body>{body}</body></html>"
    )


def _reader(session: Session, context: Context, slug: str, public_id: int | None) -> Recipient:
    person = subscribers.by_public_id(session, public_id) if public_id is not None else None
    if person is not None:
        return delivery.as_recipient(session, person.id or 0)
    try:
        found = delivery.audience_people(session, context, slug, 0, 1)
    except (NotFound, ContentError):
        found = []
    return found[0] if found else Recipient(0, 0, viewer().email, viewer().name or None)


def _topic_name(session: Session, source: CampaignSource) -> str:
    return next(
        (one.name for one in consent.topics(session) if one.key == source.topic), source.topic
    )
