"""Debian's Chromium on pages that are really served."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page
from werkzeug.serving import WSGIRequestHandler, make_server

from prefcentre.app import create_app
from prefcentre.context import Context
from prefcentre.testing.makers import Cast, make_topic
from prefcentre.tokens import LinkToken, TokenKind, issued_on
from tests.browser.desk import DeskWindow
from tests.browser.stage import Stage

Open = Callable[..., Page]


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002 - its parent's name
        """Say nothing."""


def _boom() -> str:
    raise ValueError("A mistake of ours, to see its page.")


@pytest.fixture
def site(context: Context) -> Iterator[str]:
    """The address of a running site."""
    app = create_app(context)
    app.add_url_rule("/boom", view_func=_boom)
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def link(site: str, context: Context, cast: Cast) -> Callable[[TokenKind], str]:
    """The address of one of the links in a mail to Ada about ``news``, among four topics."""
    with context.db.writing() as session:
        make_topic(session, context, "offers", channels=["email", "sms", "post", "online"])
        make_topic(session, context, "surveys", channels=["email", "phone"])

    def make(kind: TokenKind) -> str:
        token = LinkToken(kind, cast.ada.public_id, cast.news.id or 0, 7)
        page = context.links.page(issued_on(token, context.clock.now()))
        return site + page.removeprefix(context.settings.public_url)

    return make


@pytest.fixture
def make_stage(
    site: str, open_page: Open, context: Context, cast: Cast, link: object
) -> Callable[..., Stage]:
    """Makes a window that is looked at closely; ``link`` has made more topics."""

    def make(**how: bool) -> Stage:
        stage = Stage(open_page("about:blank", **how), site, context, cast)
        stage.asked.clear()
        return stage

    return make


@pytest.fixture
def stage(make_stage: Callable[..., Stage]) -> Stage:
    return make_stage()


@pytest.fixture
def desk_as(site: str, open_page: Open, context: Context) -> Callable[..., DeskWindow]:
    """``desk_as("author", width=390, dark=True)`` is a window on the desk with somebody signed in."""

    def make(role: str, width: int = 1440, **how: bool) -> DeskWindow:
        window = DeskWindow(open_page("about:blank", width, **how), site, context)
        window.sign_in(role)
        return window

    return make


@pytest.fixture
def open_page(browser: Browser, tmp_path: Path) -> Iterator[Open]:
    """Opens an address in a window of its own: width, colour scheme, with or without scripts."""
    contexts = []

    def open_it(url: str, width: int = 1280, *, scripts: bool = True, dark: bool = False) -> Page:
        window = browser.new_context(
            viewport={"width": width, "height": 900},
            java_script_enabled=scripts,
            color_scheme="dark" if dark else "light",
        )
        contexts.append(window)
        page = window.new_page()
        page.goto(url)
        return page

    yield open_it
    for window in contexts:
        window.close()


def complaints(page: Page) -> list[str]:
    """What axe finds wrong with a page."""
    found = Axe().run(page).response["violations"]
    return [f"{one['id']}: {one['nodes'][0]['html']}" for one in found]


def is_too_wide(page: Page) -> bool:
    root = page.locator("html")
    return bool(root.evaluate("e => e.scrollWidth > e.clientWidth"))
