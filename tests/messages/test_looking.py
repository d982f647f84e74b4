import pytest

from prefcentre.campaigns.service import BodyFormat, read_frame
from prefcentre.messages import looking
from prefcentre.messages import service as messages
from prefcentre.messages.values import MissingValue, Pale, Picture, Recipient
from prefcentre.settings import Settings
from tests.messages.conftest import MakeSource

ADA = Recipient(7, 11, "ada@example.org", "Ada Lovelace", "Ada", "Lovelace")


@pytest.mark.parametrize(
    ("markup", "pale"),
    [
        ("<p>Hello</p>", []),
        ('<p style="color:#999">Hello</p>', [Pale("Hello", "#999999", "#ffffff", 2.8)]),
        ('<p style="color:#999;font-size:24px">Hello</p>', [Pale("Hello", "#999999", "#ffffff", 2.8)]),
        ('<h1 style="color:#777;font-size:24px">Hello</h1>', []),
        ('<div style="background:#000"><p>Hello</p></div>', [Pale("Hello", "#000000", "#000000", 1.0)]),
        ('<div style="background:url(x) #000"><p>Hello</p></div>', []),
        ('<td bgcolor="black"><b style="color: WHITE !important">Hi</b></td>', []),
        ('<p style="color:rgb(200, 200,200)">Hello</p>', [Pale("Hello", "#c8c8c8", "#ffffff", 1.7)]),
        ('<p style="color:rgba(0,0,0,.1)">Hello</p>', []),
        ('<p style="display:none;color:#fff">Hello</p><style>p{color:#fff}</style>', []),
        ('<p style="color:#fff">Hello <b style="color:#000">all</b> there</p>',
         [Pale("Hello", "#ffffff", "#ffffff", 1.0)]),
    ],
)  # fmt: skip
def test_words_that_stand_out_too_little_are_found(markup: str, pale: list[Pale]) -> None:
    assert list(looking.look(f"<html><body>{markup}</body></html>").pale) == pale


def test_pictures_are_found_with_what_is_said_about_them() -> None:
    found = looking.look(
        '<img src="/a" alt="A dog"><img src="/b"><img src="/c" alt=""><img src="/o" width="1"><img>'
    )
    assert found.pictures == (Picture("/a", "A dog"), Picture("/b", None), Picture("/c", ""))


def test_markup_without_an_end_is_looked_at_all_the_same() -> None:
    assert looking.look("<div>" * 200 + "deep").words == 1
    assert looking.look(" ").words == 0


def test_a_mail_is_shown_as_a_person_would_get_it(
    mail_settings: Settings, make_source: MakeSource
) -> None:
    source = make_source(
        "Dear {{ subscriber.first_name }},\n\n.hidden dot\n\n**[Go](https://www.example.com/a)**",
        BodyFormat.MARKDOWN,
        frame=read_frame(mail_settings, "letter"),
        subject="Hello {{ subscriber.first_name }}",
    )
    shown = messages.show(mail_settings, source, "News", ADA)
    assert shown.subject == "Hello Ada"
    assert "Dear Ada," in shown.text
    assert "\n.hidden dot" in shown.text
    assert "https://www.example.com/a" in shown.html
    assert shown.raw.startswith("From: ")
    assert shown.look.words > 10
    assert shown.look.pale == ()


def test_who_lacks_a_variable_is_told_by_its_name(
    mail_settings: Settings, make_source: MakeSource
) -> None:
    source = make_source("Dear {{ subscriber.name }}", BodyFormat.MARKDOWN)
    with pytest.raises(MissingValue) as found:
        messages.show(mail_settings, source, "News", Recipient(1, 2, "b@example.org"))
    assert found.value.variable == "subscriber.name"


def test_people_are_tried_one_by_one(mail_settings: Settings, make_source: MakeSource) -> None:
    source = make_source(
        "Dear {{ subscriber.name }} {{ 1 // subscriber.attributes.n|default(1) }}",
        BodyFormat.MARKDOWN,
    )
    compiled = messages.compile_campaign(source, mail_settings)
    people = [
        ADA,
        Recipient(8, 12, "b@example.org"),
        Recipient(9, 13, "c@example.org", "C", attributes={"n": 0}),
    ]
    tried = messages.try_people(mail_settings, compiled, source.slug, "News", people)
    assert tried.missing == {"subscriber.name": [8]}
    assert list(tried.failures.values()) == [[9]]
