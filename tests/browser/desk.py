"""Where a page of the desk is looked at: one window, somebody signed in by the form, pictures, and axe."""

from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page

from prefcentre.context import Context
from tests.browser.stage import SCREENSHOTS
from tests.web.admin.conftest import PASSWORD, make_staff

WIDTHS = (1440, 1024, 390)
# Each width and each scheme is among the first three; the long suite looks at all six.
_LOOKED_AT = ((1440, False), (1024, False), (390, True))
every_look = pytest.mark.parametrize(
    ("width", "dark"),
    [
        pytest.param(
            width,
            dark,
            id=f"{width}-{'dark' if dark else 'light'}",
            marks=[] if (width, dark) in _LOOKED_AT else [pytest.mark.full],
        )
        for width in WIDTHS
        for dark in (False, True)
    ],
)
"""A page of the desk at every width, in light and dark."""


@dataclass
class DeskWindow:
    """One window on the desk of a running site."""

    page: Page
    site: str
    context: Context
    asked: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("request", lambda request: self.asked.append(request.url))
        # What the policy for scripts and styles forbids is told here, and mistakes of scripts too.
        self.page.on("console", lambda word: self.said.append(word.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))

    def sign_in(self, role: str) -> None:
        """Fill in the form as a person with this role."""
        email = make_staff(self.context, role)
        self.page.goto(f"{self.site}/admin/login")
        self.page.get_by_label("Email address").fill(email)
        self.page.get_by_label("Password").fill(PASSWORD)
        self.page.get_by_role("button", name="Sign in", exact=True).click()
        self.page.wait_for_url(lambda url: "/login" not in url)

    def open(self, path: str) -> Page:
        """Go to a page, such as ``/admin/people``."""
        self.page.goto(self.site + path)
        return self.page

    def look(self, name: str) -> None:
        """Keep a picture, and see that nothing is wrong with the page: axe, width, and what the browser complains of."""
        from tests.browser.conftest import complaints  # noqa: PLC0415 - conftest imports this file

        self.picture(name)
        for wrong in (complaints(self.page), self.said, self.strangers()):
            assert not wrong, wrong
        wide, seen = self.page.evaluate(
            "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
        )
        assert wide <= seen, f"{name} has to be moved sideways: {wide} in {seen}"

    def picture(self, name: str) -> None:
        """Keep a picture of the whole page, for people to look at."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)

    def strangers(self) -> list[str]:
        """What was asked of any other host."""
        ours = urlsplit(self.site).netloc
        return [
            url
            for url in self.asked
            if urlsplit(url).netloc not in {ours, ""} and "data:" not in url
        ]
