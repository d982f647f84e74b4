from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from prefcentre.campaigns import service as campaigns
from prefcentre.campaigns.service import BodyFormat, Fields, Texts
from prefcentre.checks import explaining
from prefcentre.checks import service as checks
from prefcentre.checks.outside import SpamAnswer
from prefcentre.checks.service import CheckState, Item
from prefcentre.context import Context
from prefcentre.errors import Refused, Unavailable
from prefcentre.messages.service import Finding, Level
from prefcentre.testing import FrozenClock
from prefcentre.testing.makers import Cast, make_consent, make_person

FIELDS = Fields(
    name="Autumn", topic="product-news", template="letter", subject="Autumn is here",
    sender="Acme <news@mail.example.com>", reply_to="hello@example.com",
)  # fmt: skip
LINK = "https://www.example.com/a"
BODY = f"Dear reader,\n\nautumn. See [all of it]({LINK}).\n"
Write = Callable[..., None]


class Elsewhere:
    """An outside in which every link has this answer, and the filter this one."""

    def __init__(self, status: int | str = 200, score: float = 0.0) -> None:
        self.status, self.score = status, score
        self.asked: list[str] = []

    def links(self, addresses: Sequence[str]) -> dict[str, int | str]:
        self.asked += addresses
        return dict.fromkeys(addresses, self.status)

    def spam(self, place: str, message: bytes) -> SpamAnswer:
        if place == "away:1":
            raise Unavailable("The spam filter at away:1 does not answer")
        assert message.startswith(b"From: ")
        return SpamAnswer(self.score, 5.0, ("FREE_MONEY",))


@pytest.fixture
def write(context: Context, cast: Cast) -> Write:
    def save(body: str = BODY, text: str | None = None, **fields: str) -> None:
        toml = campaigns.new_file(replace(FIELDS, **fields))  # type: ignore[arg-type]
        texts = Texts(toml, body, BodyFormat.MARKDOWN, text)
        with context.db.writing() as session:
            draft = campaigns.find_draft(session, "autumn")
            if draft is None:
                campaigns.create(session, context, "autumn", texts, "Mira")
            else:
                campaigns.save(session, context, "autumn", texts, draft.revision, "Mira")

    save()
    return save


def with_settings(context: Context, **changes: object) -> Context:
    return replace(context, settings=context.settings.model_copy(update=changes))


def item(found: Sequence[Item], name: str) -> Item:
    return next(one for one in found if one.name == name)


def look(context: Context, outside: Elsewhere | None = None) -> list[Item]:
    return checks.check(context, "autumn", outside=outside or Elsewhere())[1]


def test_every_check_says_what_why_and_how(context: Context, write: Write) -> None:
    found = look(context)
    assert {one.name for one in found} == {about.name for about in explaining.CHECKS}
    assert all(one.what and one.why and one.mend for one in found)
    assert {one.level for one in found} <= {"fine", "warn", "open"}
    assert item(found, "variables").level == "fine"
    assert item(found, "footer").level == "fine"


def test_what_refuses_comes_first_and_keeps_the_campaign_from_going(
    context: Context, write: Write
) -> None:
    write("Dear {{ subscriber.attributes.nickname }}")
    found = look(context)
    assert (found[0].name, found[0].level) == ("variables", "refuse")
    with pytest.raises(Refused, match="nickname"):
        checks.for_start(context, "autumn", Elsewhere()).require_clean()


def test_the_whole_audience_is_tried_and_examples_are_named(
    context: Context, cast: Cast, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "PEOPLE_AT_ONCE", 2)
    with context.db.writing() as session:
        for number in range(4):
            person = make_person(session, context, f"p{number}@example.org")
            make_consent(session, context, person, cast.news)
    write("Dear {{ subscriber.first_name }}")
    told: list[tuple[int, int]] = []

    def tell(done: int, total: int) -> bool:
        told.append((done, total))
        return True

    _, found = checks.check(context, "autumn", outside=Elsewhere(), tell=tell)
    variables = item(found, "variables")
    assert variables.level == "warn"
    assert "4 of 5 people have no subscriber.first_name" in variables.what[0]
    assert len(variables.what) == 1
    assert told == [(0, 5), (2, 5), (4, 5), (5, 5)]


def test_links_are_not_tried_while_mail_stays_here_unless_asked_for(
    context: Context, write: Write
) -> None:
    outside = Elsewhere(404)
    assert "not tried" in item(look(context, outside), "links").what[0]
    assert outside.asked == []
    asking = with_settings(context, check_links=True)
    found = item(look(asking, outside), "links")
    assert (outside.asked, found.level) == ([LINK], "refuse")
    assert "404" in found.what[0]
    assert item(look(asking, Elsewhere(503)), "links").level == "warn"
    assert item(look(asking, Elsewhere("no answer in time")), "links").level == "warn"
    assert item(look(asking, Elsewhere(302)), "links").level == "fine"


@pytest.mark.parametrize(("score", "level"), [(0.1, "fine"), (3.5, "warn"), (5.0, "refuse")])
def test_the_spam_filter_may_refuse(
    context: Context, write: Write, score: float, level: str
) -> None:
    asking = with_settings(context, spamd="filter:783")
    assert item(look(asking, Elsewhere(score=score)), "spam").level == level


def test_without_a_filter_or_its_answer_there_is_no_score(context: Context, write: Write) -> None:
    assert "PREFCENTRE_SPAMD" in item(look(context), "spam").what[0]
    away = item(look(with_settings(context, spamd="away:1")), "spam")
    assert (away.level, "does not answer" in away.what[0]) == ("warn", True)


def test_texts_pictures_and_subjects_are_looked_at(context: Context, write: Write) -> None:
    write(
        '<p style="color:#ccc">Pale</p>\n\n![](https://www.example.com/dog.png)\n\n'
        + "word " * 200,
        text="<p>Short</p>",
        subject="A subject that goes on and on and on until nobody reads it any more, sorry",
    )
    found = look(context)
    assert "markup" in item(found, "parts").what[0]
    assert "letters" in item(found, "subject").what[0]


def test_a_look_is_begun_found_again_and_outdated_by_a_change(
    context: Context, write: Write, clock: FrozenClock
) -> None:
    with context.db.writing() as session:
        name = checks.begin(session, context, "autumn")
    with context.db.reading() as session:
        seen = checks.latest(session, context, "autumn")
    assert seen is not None
    assert (seen.state, seen.is_current, seen.broke_off) == (CheckState.RUNNING, True, False)
    checks.run(context, "autumn", name, Elsewhere())
    write("Something else")
    with context.db.reading() as session:
        after = checks.latest(session, context, "autumn")
    assert after is not None
    assert (after.state, after.is_current, after.done, after.total) == (
        CheckState.DONE,
        False,
        1,
        1,
    )
    assert item(after.items, "variables").level == "fine"


def test_a_look_that_broke_off_is_told(context: Context, write: Write, clock: FrozenClock) -> None:
    with context.db.writing() as session:
        checks.begin(session, context, "autumn")
    clock.advance(minutes=2)
    with context.db.reading() as session:
        seen = checks.latest(session, context, "autumn")
    assert seen is not None
    assert seen.broke_off


def test_a_second_look_ends_the_first_one(context: Context, write: Write) -> None:
    with context.db.writing() as session:
        first = checks.begin(session, context, "autumn")
        second = checks.begin(session, context, "autumn")
    outside = Elsewhere()
    checks.run(context, "autumn", first, outside)
    with context.db.reading() as session:
        seen = checks.latest(session, context, "autumn")
    assert seen is not None
    assert (seen.state, seen.row.run, outside.asked) == (CheckState.RUNNING, second, [])


def test_a_mistake_in_the_text_is_what_a_look_finds(context: Context, write: Write) -> None:
    write("{% if %}")
    with context.db.writing() as session:
        name = checks.begin(session, context, "autumn")
    checks.run(context, "autumn", name, Elsewhere())
    with context.db.reading() as session:
        seen = checks.latest(session, context, "autumn")
    assert seen is not None
    assert (seen.state, seen.refuses, seen.items[0].name) == (CheckState.DONE, True, "variables")
    assert "body.md, line 1" in seen.items[0].what[0]


def test_a_start_believes_the_last_look_at_the_same_text(context: Context, write: Write) -> None:
    asking = with_settings(context, check_links=True)
    with context.db.writing() as session:
        name = checks.begin(session, context, "autumn")
    checks.run(asking, "autumn", name, Elsewhere(404))
    fine = Elsewhere(200)
    with pytest.raises(Refused, match="does not exist"):
        checks.for_start(asking, "autumn", fine).require_clean()
    assert fine.asked == []
    write(BODY + "\nMore.\n")
    checks.for_start(asking, "autumn", fine).require_clean()
    assert fine.asked == [LINK]


def test_files_that_say_something_else_are_told(context: Context, write: Write) -> None:
    with context.db.writing() as session:
        campaigns.pull_draft(session, context, "autumn")
    assert item(look(context), "files").level == "fine"
    write("At the desk")
    assert item(look(context), "files").level == "warn"


def test_weights_are_judged_one_by_one_and_together() -> None:
    found = list(explaining.about_weights({"a": 600 * 1024, "b": 400 * 1024, "c": 600 * 1024}))
    assert [one.message.split()[0] for one in found] == ["a", "c", "All"]


def test_a_finding_that_no_check_knows_is_told_all_the_same() -> None:
    (first, *_) = explaining.report([Finding(Level.ERROR, "new", "Words.")], frozenset())
    assert (first.name, first.what) == ("other", ("Words.",))
