"""Pixels and counted links: always answered alike, written down only for those who agree at this moment (R155)."""

import base64
from collections.abc import Callable
from typing import Literal

import structlog
from flask import Blueprint, Response, redirect, request
from flask.typing import ResponseReturnValue

from prefcentre.campaigns import service as campaigns
from prefcentre.context import Context
from prefcentre.delivery import service as delivery
from prefcentre.errors import NotFound, Unavailable
from prefcentre.preferences import service as preferences
from prefcentre.tracking import service
from prefcentre.tracking.service import Hit
from prefcentre.web.public.requests import route

PIXEL = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
"""A transparent GIF of one pixel."""

Reader = Callable[[str], tuple[int, int]]

_log = structlog.get_logger(__name__)


def declare(pages: Blueprint, context: Context) -> None:
    """Add the addresses of this module."""
    read = service.token_reader(context)
    route(pages, "GET", "/o/<text>", opened, context, read)
    route(pages, "GET", "/c/<text>/<int(max=99999):number>", clicked, context, read)


def opened(context: Context, read: Reader, text: str) -> ResponseReturnValue:
    """The pixel; HEAD gets the same and counts for nothing."""
    campaign_id, delivery_id = read(text)
    _count(context, _hit(campaign_id, delivery_id))
    return Response(PIXEL, content_type="image/gif")


def clicked(context: Context, read: Reader, text: str, number: int) -> ResponseReturnValue:
    """On to where this link of the campaign leads, and never anywhere else (R160)."""
    campaign_id, delivery_id = read(text)
    with context.db.reading() as session:
        url = campaigns.link(session, campaign_id, number)
    if url is None:
        raise NotFound
    _count(context, _hit(campaign_id, delivery_id, number))
    return redirect(url)


def _hit(campaign_id: int, delivery_id: int, link: int | None = None) -> Hit:
    return Hit(
        campaign_id,
        delivery_id,
        link,
        method=request.method,
        headers={name.lower(): value for name, value in request.headers},
        agent=request.user_agent.string or None,
        ip=request.remote_addr,
    )


def _count(context: Context, hit: Hit) -> None:
    if not service.is_hit(hit):
        return
    try:
        if _agrees(context, hit, hit.kind):
            with context.db.tracking() as session:
                service.record_hit(session, context, hit)
    except Unavailable:
        # A reader must get the picture and reach the page, whatever happens to our figures.
        _log.warning("hit_lost", campaign=hit.campaign_id, kind=hit.kind)


def _agrees(context: Context, hit: Hit, kind: Literal["open", "click"]) -> bool:
    with context.db.reading() as session:
        found = delivery.find(session, hit.campaign_id, hit.delivery_id)
        return found is not None and preferences.may_count(session, found.subscriber_id, kind)
