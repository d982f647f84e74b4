"""The shipped templates and campaigns in a browser: they fit a phone, can be read, and have no dead parts."""

from dataclasses import replace
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser

from prefcentre.campaigns.service import read_source
from prefcentre.context import Context
from tests import wire
from tests.messages.conftest import ADA, AT, PUBLIC_URL, composer_for, received

SLUGS = ("spring-release", "founders-letter")


def mail(context: Context, slug: str) -> wire.Mail:
    source = read_source(context.settings, slug)
    person = replace(ADA, track_opens=True, track_clicks=True)
    return wire.read(received(composer_for(context, source).compose(person, 7, AT)), PUBLIC_URL)


@pytest.mark.xdist_group("browser")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 600])
@pytest.mark.parametrize("slug", SLUGS)
def test_a_mail_fits_the_screen_and_can_be_read_and_pressed(
    mail_context: Context, browser: Browser, tmp_path: Path, slug: str, width: int, scheme: str
) -> None:
    path = tmp_path / "mail.html"
    path.write_text(mail(mail_context, slug).html)
    page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)  # type: ignore[arg-type]
    page.route("https://**", lambda route: route.abort())
    page.goto(path.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    heights = page.eval_on_selector_all(".button a", "found => found.map(one => one.offsetHeight)")
    assert heights
    assert min(heights) >= 44
    violations = [
        violation["id"]
        for violation in Axe().run(page).response["violations"]
        # Landmarks are for pages; a mail is read inside one.
        if violation["id"] not in {"region", "landmark-one-main", "page-has-heading-one"}
    ]
    assert violations == []
    page.close()


@pytest.mark.parametrize("slug", SLUGS)
def test_a_mail_says_the_same_with_and_without_markup(mail_context: Context, slug: str) -> None:
    found = mail(mail_context, slug)
    for link in (link for link in found.links if "/c/" not in link and "/o/" not in link):
        assert link.removeprefix("mailto:") in found.text
    assert max(map(len, found.text.splitlines())) < 998


def test_the_newsletter_example_has_ten_links_to_count(mail_context: Context) -> None:
    assert len(mail(mail_context, "spring-release").clicks) == 10
