"""Where a public page is looked at: one window, the links of a mail, and everything that the window asks for."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Page, Response

from prefcentre.context import Context
from prefcentre.signups.waiting import work_off
from prefcentre.surveys import service as surveys
from prefcentre.surveys.service import Question, QuestionKind, SurveyState, Words
from prefcentre.testing.makers import Cast, make_consent, make_topic
from prefcentre.tokens import LinkToken, TokenKind, issued_on

SCREENSHOTS = Path(os.environ.get("SCREENSHOTS", "var/screenshots"))

FOCUSED = """() => {
    const e = document.activeElement, label = e.labels && e.labels[0];
    return [((label || e).textContent || "").replace(/\\s+/g, " ").trim(), e.id, getComputedStyle(e).outlineStyle];
}"""
_MOST_TABS = 60
QUESTIONS = (
    Question(1, QuestionKind.ONE, "Where do you read our mails?", ("At home", "On the way")),
    Question(2, QuestionKind.SEVERAL, "What do you read?", ("Product news", "Events")),
    Question(3, QuestionKind.SCALE10, "Would you recommend us?"),
    Question(4, QuestionKind.TEXT, "What is missing?"),
)


def make_survey(context: Context, cast: Cast) -> int:
    """The number of an open survey on the topic ``polls``, which Ada agreed to be asked; made once."""
    with context.db.writing() as session:
        for known in surveys.every(session):
            if known.state is SurveyState.OPEN:
                return known.id or 0
        topic = make_topic(session, context, "polls", for_surveys=True)
        make_consent(session, context, cast.ada, topic)
        number = surveys.make(session, context, "polls", "How we do", "staff:1").id or 0
        words = Words("How do you like our mails?", "Four questions, a minute.", "en", QUESTIONS)
        surveys.change(session, context, number, words, "staff:1")
        surveys.open_(session, context, number, "staff:1")
        return number


@dataclass
class Stage:
    """One window on a running site, and whose links it opens."""

    page: Page
    site: str
    context: Context
    cast: Cast
    asked: list[str] = field(default_factory=list)
    bytes_of: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("response", self._weigh)

    def link(self, kind: TokenKind, who: str = "ada", *, topic: bool = True) -> str:
        """The address of a link in a mail about ``news`` that has just gone to somebody."""
        person, news = getattr(self.cast, who), self.cast.news.id or 0
        token = LinkToken(kind, person.public_id, news if topic else 0, 7)
        return self.here(self.context.links.page(issued_on(token, self.context.clock.now())))

    def here(self, address: str) -> str:
        """A public address on the site that is running."""
        return self.site + address.removeprefix(self.context.settings.public_url)

    def open(self, kind: TokenKind, who: str = "ada", *, topic: bool = True) -> Page:
        self.page.goto(self.link(kind, who, topic=topic))
        return self.page

    def press(self, name: str) -> None:
        self.page.get_by_role("button", name=name).first.click()

    def work(self) -> None:
        """Do what a worker would do now with what pages asked for."""
        while work_off(self.context):
            pass

    def strangers(self) -> list[str]:
        """What was asked of any other host."""
        return [url for url in self.asked if urlsplit(url).netloc != urlsplit(self.site).netloc]

    def weight(self) -> int:
        """Bytes of the last answer from each address."""
        return sum(self.bytes_of.values())

    def picture(self, name: str) -> None:
        """Keep a picture of the whole page, for people to look at."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)

    def tab_to(self, wanted: str) -> None:
        """Go to something by the Tab key alone, and see that it shows where one is."""
        for _ in range(_MOST_TABS):
            self.page.keyboard.press("Tab")
            text, identity, outline = self.page.evaluate(FOCUSED)
            if wanted in text or identity == wanted:
                assert outline != "none", wanted
                return
        raise AssertionError(f"{wanted} can't be reached by Tab")

    def press_key(self, wanted: str, key: str = "Enter") -> None:
        self.tab_to(wanted)
        if key == "Enter":
            # What a form answers has to be there before the next key.
            with self.page.expect_navigation():
                self.page.keyboard.press(key)
        else:
            self.page.keyboard.press(key)

    def _weigh(self, response: Response) -> None:
        if response.ok:
            # Asked for its body, a browser that has gone on to another page has nothing to give any more.
            said = response.headers.get("content-length")
            self.bytes_of[response.url] = int(said) if said else len(response.body())


Act = Callable[[Stage], object]
