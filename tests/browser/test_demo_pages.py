import threading
from collections.abc import Iterator
from email.message import EmailMessage

import pytest
from werkzeug.serving import make_server

from prefcentre.context import Context
from prefcentre.demo import scenario
from prefcentre.demo.mailbox import Mailbox
from prefcentre.demo.pages import HEROINE, create_app
from tests.browser.conftest import Open, _Quiet, complaints, is_too_wide

pytestmark = pytest.mark.xdist_group("browser")


@pytest.fixture
def site(context: Context) -> Iterator[str]:
    """The demonstration's pages, with one mail."""
    message = EmailMessage()
    message["From"], message["Subject"] = "Acme <news@mail.example.com>", "Ada, spring is here"
    message.set_content("Hello Ada")
    message.add_alternative("<html lang=en><title>Hello</title><h1>Hello Ada</h1>", subtype="html")
    mailbox = Mailbox(context.settings.home / "inbox.db")
    mailbox.add(context.clock.now(), HEROINE, message.as_bytes())
    server = make_server("127.0.0.1", 0, create_app(context), threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_pages_of_the_demonstration_are_for_everybody(
    site: str, open_page: Open, context: Context
) -> None:
    scenario.fill(context, context.settings.home, lambda _: None)
    for path in (
        "",
        "/inbox",
        "/inbox?q=nobody",
        "/inbox/1",
        "/inbox/1?show=headers",
        "/inbox/1?show=source",
    ):
        for width, dark in ((1280, False), (390, True)):
            page = open_page(f"{site}/demo{path}", width, dark=dark)
            assert complaints(page) == [], path
            assert not is_too_wide(page), (path, width)


def test_a_mail_is_read_in_its_frame(site: str, open_page: Open) -> None:
    page = open_page(f"{site}/demo/inbox/1")
    assert page.frame_locator("iframe").locator("h1").inner_text() == "Hello Ada"


def test_a_search_finds_her_mail_without_scripts(site: str, open_page: Open) -> None:
    page = open_page(f"{site}/demo/inbox", scripts=False)
    page.get_by_label("Address or subject").fill("ada")
    page.get_by_role("button", name="Search").click()
    page.get_by_role("link", name="Ada, spring is here").click()
    assert page.get_by_role("heading", level=1).inner_text() == "Ada, spring is here"
