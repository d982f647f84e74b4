"""Pixels and counted links: always answered alike, written down only for those who agree at this moment (R155)."""

import base64
from functools import lru_cache

import structlog
from flask import Blueprint, Response, redirect, request
from flask.typing import ResponseReturnValue

from prefcentre.campaigns import service as campaigns
from prefcentre.context import Context
from prefcentre.delivery import service as delivery
from prefcentre.errors import NotFound, Unavailable
from prefcentre.tracking import service
from prefcentre.tracking.service import Hit
from prefcentre.web.public.requests import route

PIXEL = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
"""A transparent GIF of one pixel."""

# Whose mail it was and where its links lead never changes once it is sent (a new version is refused then), so a crowd
# asks the database only about choices.
_REMEMBERED = 50_000

_log = structlog.get_logger(__name__)


class _Hits:
    """Reads tokens and writes hits down, for all threads of one process."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.read = service.token_reader(context)
        self._recorder = service.Recorder(context)
        self.address = lru_cache(_REMEMBERED)(self._find_address)
        self._recipient = lru_cache(_REMEMBERED)(self._find_recipient)

    def count(self, hit: Hit) -> None:
        """Write a hit down if it is one and its person agrees, now, that it is counted."""
        if not service.is_hit(hit):
            return
        try:
            recipient = self._recipient(hit.campaign_id, hit.delivery_id)
            if recipient is not None:
                self._recorder.record(hit, recipient)
        except Unavailable:
            # A reader must get the picture and reach the page, whatever happens to our figures.
            _log.warning("hit_lost", campaign=hit.campaign_id, kind=hit.kind)

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
    hits = _Hits(context)
    route(pages, "GET", "/o/<text>", opened, hits)
    route(pages, "GET", "/c/<text>/<int(max=99999):number>", clicked, hits)


def opened(hits: _Hits, text: str) -> ResponseReturnValue:
    """The pixel; HEAD gets the same and counts for nothing."""
    campaign_id, delivery_id = hits.read(text)
    hits.count(_hit(campaign_id, delivery_id))
    return Response(PIXEL, content_type="image/gif")


def clicked(hits: _Hits, text: str, number: int) -> ResponseReturnValue:
    """On to where this link of the campaign leads, and never anywhere else (R160)."""
    campaign_id, delivery_id = hits.read(text)
    url = hits.address(campaign_id, number)
    hits.count(_hit(campaign_id, delivery_id, number))
    return redirect(url)


def _hit(campaign_id: int, delivery_id: int, link: int | None = None) -> Hit:
    return Hit(
        campaign_id,
        delivery_id,
        link,
        method=request.method,
        headers={name: request.headers.get(name, "") for name in service.HEADERS},
        agent=request.user_agent.string or None,
        ip=request.remote_addr,
    )
