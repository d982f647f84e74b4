"""Pixels and counted links: always answered alike, written down only for those who agree at this moment (R155).

They come in crowds right after a campaign, so requests that look as they should are answered in front of Flask, with
headers that were put together beforehand. Everything else, a made-up token too, is Flask's, with its pages and errors.
"""

import base64
import re
import time
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import structlog
from flask import Blueprint, Response, redirect, request
from flask.sansio.app import App
from flask.typing import ResponseReturnValue
from werkzeug.urls import iri_to_uri

from prefcentre.campaigns import service as campaigns
from prefcentre.context import Context
from prefcentre.delivery import service as delivery
from prefcentre.errors import NotFound, PrefcentreError, Unavailable
from prefcentre.metrics.meters import REQUEST_SECONDS, REQUESTS
from prefcentre.tracking import service
from prefcentre.tracking.service import Hit
from prefcentre.web import headers
from prefcentre.web.public.requests import route

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

PIXEL = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
"""A transparent GIF of one pixel."""

_PIXEL_RULE, _CLICK_RULE = "/o/<text>", "/c/<text>/<int(max=99999):number>"
_PATH = re.compile(r"/(?:o/([A-Za-z0-9_-]{32})|c/([A-Za-z0-9_-]{32})/(0|[1-9][0-9]{0,4}))")
_METHODS = frozenset({"GET", "HEAD"})

# Whose mail it was and where its links lead never changes once it is sent (a new version is refused then), so a crowd
# asks the database only about choices.
_REMEMBERED = 50_000

_log = structlog.get_logger(__name__)


class Hits:
    """Reads tokens and writes hits down, for all threads of one process."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.read = service.token_reader(context)
        self._recorder = service.Recorder(context, _observe)
        self.address = lru_cache(_REMEMBERED)(self._find_address)
        self._recipient = lru_cache(_REMEMBERED)(self._find_recipient)

    def count(self, hit: Hit, then: Callable[[], object] = lambda: None) -> None:
        """Write a hit down if its person agrees, now, that it is counted; then, and in any case, call ``then``."""
        try:
            recipient = self._recipient(hit.campaign_id, hit.delivery_id)
            if recipient is not None:
                self._recorder.record(hit, recipient, then)
                return
        except Unavailable:
            # A reader must get the picture and reach the page, whatever happens to our figures.
            _log.warning("hit_lost", campaign=hit.campaign_id, kind=hit.kind)
        _observe([hit])
        then()

    def _find_address(self, campaign_id: int, number: int) -> str:
        with self.context.db.reading() as session:
            url = campaigns.link(session, campaign_id, number)
        if url is None:
            raise NotFound
        return url

    def _find_recipient(self, campaign_id: int, delivery_id: int) -> int | None:
        with self.context.db.reading() as session:
            found = delivery.find(session, campaign_id, delivery_id)
            return found.subscriber_id if found else None


def declare(pages: Blueprint, context: Context) -> None:
    """Add the addresses of this module."""
    hits = Hits(context)
    route(pages, "GET", _PIXEL_RULE, opened, hits)
    route(pages, "GET", _CLICK_RULE, clicked, hits)
    pages.record_once(lambda state: _stand_in_front(state.app, hits))


def opened(hits: Hits, text: str) -> ResponseReturnValue:
    """The pixel; HEAD gets the same and counts for nothing."""
    campaign_id, delivery_id = hits.read(text)
    hits.count(_hit(request.environ, campaign_id, delivery_id))
    return Response(PIXEL, content_type="image/gif")


def clicked(hits: Hits, text: str, number: int) -> ResponseReturnValue:
    """On to where this link of the campaign leads, and never anywhere else (R160)."""
    campaign_id, delivery_id = hits.read(text)
    url = hits.address(campaign_id, number)
    hits.count(_hit(request.environ, campaign_id, delivery_id, number))
    return redirect(url)


def _hit(
    environ: "WSGIEnvironment",
    campaign_id: int,
    delivery_id: int,
    link: int | None = None,
    began: float = 0.0,
) -> Hit:
    return Hit(
        campaign_id,
        delivery_id,
        link,
        method=environ["REQUEST_METHOD"],
        headers={name: environ[key] for name, key in _PURPOSES if key in environ},
        agent=environ.get("HTTP_USER_AGENT") or None,
        ip=environ.get("REMOTE_ADDR"),
        began=began,
    )


def _observe(hits: Sequence[Hit]) -> None:
    """Count and time requests that Flask does not see, a group at once, as every call may cost a thread its turn."""
    now = time.monotonic()
    seconds: dict[tuple[str, str, str], list[float]] = {}
    for hit in hits:
        if hit.began:
            rule, status = (_PIXEL_RULE, "200") if hit.link is None else (_CLICK_RULE, "302")
            seconds.setdefault((rule, hit.method, status), []).append(now - hit.began)
    for labels, several in seconds.items():
        REQUESTS.add(len(several), *labels)
        REQUEST_SECONDS.observe_all(several, labels[0])


_PURPOSES = tuple((name, f"HTTP_{name.upper().replace('-', '_')}") for name in service.HEADERS)


# --- in front of Flask ------------------------------------------------------------------------------


def _stand_in_front(app: App, hits: Hits) -> None:
    behind: WSGIApplication = app.wsgi_app  # type: ignore[attr-defined]
    quick = _Quick(hits)

    def choose(environ: "WSGIEnvironment", start: "StartResponse") -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path[:3] in {"/o/", "/c/"} and environ["REQUEST_METHOD"] in _METHODS:
            answer = quick.answer(environ, start, path)
            if answer is not None:
                return answer
        return behind(environ, start)

    app.wsgi_app = choose  # type: ignore[attr-defined]


class _Quick:
    """Answers as the views above do, in a tenth of the time."""

    def __init__(self, hits: Hits) -> None:
        self._hits = hits
        always = list(headers.on_every_answer(hits.context.settings).items())
        self._pixel = [
            ("Content-Type", "image/gif"),
            ("Content-Length", str(len(PIXEL))),
            *always,
        ]
        self._always = [
            ("Content-Type", "text/html; charset=utf-8"),
            ("Content-Length", "0"),
            *always,
        ]
        self._on = lru_cache(_REMEMBERED)(self._headers_to)

    def answer(
        self, environ: "WSGIEnvironment", start: "StartResponse", path: str
    ) -> Iterable[bytes] | None:
        """The answer, or None when it takes Flask to give one; nothing was written down then."""
        found = _PATH.fullmatch(path)
        if found is None:
            return None
        link = None if found[1] else int(found[3])
        try:
            campaign_id, delivery_id = self._hits.read(found[1] or found[2])
            answer = self._pixel if link is None else self._on(campaign_id, link)
        except PrefcentreError:
            return None
        status = "200 OK" if link is None else "302 FOUND"
        hit = _hit(environ, campaign_id, delivery_id, link, time.monotonic())
        self._hits.count(hit, lambda: start(status, answer))
        return [PIXEL] if link is None and environ["REQUEST_METHOD"] == "GET" else []

    def _headers_to(self, campaign_id: int, link: int) -> list[tuple[str, str]]:
        return [*self._always, ("Location", iri_to_uri(self._hits.address(campaign_id, link)))]
