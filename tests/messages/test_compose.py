import email
import email.policy
import email.utils
import html
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from email.header import decode_header, make_header
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prefcentre.campaigns.service import BodyFormat
from prefcentre.context import Context
from prefcentre.errors import ContentError, InvalidAddress
from prefcentre.messages import headers, sandbox
from prefcentre.messages.compiling import compile_source
from prefcentre.messages.filling import subscriber_values
from prefcentre.messages.headers import own_unsubscribe_token
from prefcentre.messages.sandbox import MailEnvironment
from prefcentre.messages.service import (
    Compiled,
    Composer,
    ForeignLink,
    MissingValue,
    Recipient,
    render_page,
)
from prefcentre.messages.variants import html_variant
from prefcentre.tokens import Signer, TokenKind
from prefcentre.tracking.links import TrackingLinks
from tests import wire
from tests.messages.conftest import ADA, AT, PUBLIC_URL, MakeSource, Write, composer_for, received

AGREED = replace(ADA, track_opens=True, track_clicks=True)
LINK = "[go](https://www.example.com/go)"
NASTY = st.text(st.characters(), max_size=200)
HOME_MADE = """\
<p class="x">Dear {{ subscriber.name|default('you') }}, = 1. a  b\t
.dot {{ subscriber.attributes.city }}{{ subscriber.first_name|default('?') }}.
{% if subscriber.attributes.city %}{% for n in [1, 2, 3] %}{{ n }}.{{ subscriber.attributes.city|upper }}
{% endfor %}{% else %}nothing{% endif %}{% set x = subscriber.attributes.city %}{{ x }}
{{ [x, x]|join(', ') }} {{ x ~ '!' }} {{ x|e }} {{ x|truncate(9) }} ünï {{ 3 * 4 }}</p>
"""


def read(message: object) -> wire.Mail:
    return wire.read(received(message), PUBLIC_URL)  # type: ignore[arg-type]


def test_a_message_keeps_every_rule_of_the_wire(
    mail_context: Context, make_source: MakeSource, write: Write
) -> None:
    message = write(make_source(f"# Hello {{{{ subscriber.first_name }}}}\n\n{LINK}"))
    mail = read(message)
    wire.check_person(mail, mail_context.signer, ADA.public_id)
    assert "Hello Ada" in mail.html
    assert "Hello Ada" in mail.text
    assert str(mail.headers["to"]) == "Ada Lovelace <ada@example.org>"
    assert str(mail.headers["precedence"]) == "bulk"
    assert "auto-submitted" not in mail.headers


def test_the_envelope_sender_names_the_delivery_and_fits(
    mail_context: Context, make_source: MakeSource, write: Write
) -> None:
    message = write(make_source("x"), delivery_id=4711)
    local, _, domain = message.mail_from.partition("@")
    assert domain == "mail.example.com"
    assert len(local) <= 64
    assert mail_context.signer.read_return_path(local.removeprefix("b-").lower()) == (3, 4711)


def test_a_second_try_differs_in_its_dates_only(
    mail_context: Context, make_source: MakeSource
) -> None:
    composer = composer_for(mail_context, make_source("x"))
    first, again = (composer.compose(ADA, 7, AT + timedelta(minutes=n)) for n in (0, 5))
    assert first.message_id == again.message_id
    assert own_unsubscribe_token(first.data) == own_unsubscribe_token(again.data)
    assert composer.compose(ADA, 7, AT) == first
    assert b"10:05:00 +0000" in again.data
    changed = [
        (a, b)
        for a, b in zip(first.data.split(b"\r\n"), again.data.split(b"\r\n"), strict=True)
        if a != b
    ]
    assert [a[:5] for a, _ in changed] == [b"Date:"]


def test_deliveries_and_people_have_ids_and_links_of_their_own(
    mail_context: Context, make_source: MakeSource
) -> None:
    composer = composer_for(mail_context, make_source("x"))
    mails = [
        read(composer.compose(replace(ADA, public_id=n, email=f"p{n}@example.org"), n, AT))
        for n in range(1, 200)
    ]
    wire.check_together(mails)


def test_the_own_token_is_the_recipients(
    mail_context: Context, make_source: MakeSource, write: Write
) -> None:
    token = own_unsubscribe_token(write(make_source("x")).data)
    found = mail_context.signer.read(TokenKind.UNSUBSCRIBE, token)
    assert (found.subscriber, found.topic, found.campaign) == (ADA.public_id, 5, 3)


@pytest.mark.parametrize(
    ("opens", "clicks", "pixels", "counted"),
    [(False, False, 0, 0), (True, False, 1, 0), (False, True, 0, 1), (True, True, 1, 1)],
)
def test_nobody_is_counted_beyond_what_they_agreed_to(
    mail_context: Context,
    make_source: MakeSource,
    write: Write,
    *,
    opens: bool,
    clicks: bool,
    pixels: int,
    counted: int,
) -> None:
    source = make_source(LINK, track_opens=True, track_clicks=True)
    mail = read(write(source, replace(ADA, track_opens=opens, track_clicks=clicks)))
    assert (len(mail.opens), len(mail.clicks)) == (pixels, counted)
    assert ("https://www.example.com/go" in mail.links) is not clicks
    assert ("#tracking" in mail.html) is ("#tracking" in mail.text) is (opens or clicks)
    reader = TrackingLinks(mail_context.settings, mail_context.links)
    for link in (*mail.opens, *(link.rpartition("/")[0] for link in mail.clicks)):
        assert reader.read(link.rpartition("/")[2]) == (3, 7)


def test_a_campaign_that_counts_nothing_counts_nobody(
    make_source: MakeSource, write: Write
) -> None:
    mail = read(write(make_source(LINK, track_opens=False, track_clicks=False), AGREED))
    assert (mail.opens, mail.clicks) == ([], [])
    assert "/o/" not in mail.html


def test_the_text_part_leads_straight_to_every_destination(
    make_source: MakeSource, write: Write
) -> None:
    mail = read(write(make_source(LINK, track_opens=True, track_clicks=True), AGREED))
    assert "go <https://www.example.com/go>" in mail.text
    assert "/c/" not in mail.text


def display_name(data: bytes) -> str:
    # Read by the older parser: the newer one puts blanks between the encoded words of a name.
    name, _ = email.utils.parseaddr(str(email.message_from_bytes(data)["to"]).replace("\r\n", ""))
    return str(make_header(decode_header(name)))


@settings(max_examples=150, deadline=None)
@given(name=NASTY, first=NASTY, city=NASTY)
def test_no_name_and_no_attribute_breaks_a_message(
    mail_context: Context, make_source: MakeSource, name: str, first: str, city: str
) -> None:
    composer = _composer(mail_context, make_source)
    recipient = replace(ADA, name=name, first_name=first, attributes={"city": city})
    if not headers.clean(city):
        # A value of nothing but invisible letters is no value.
        with pytest.raises(MissingValue, match=r"subscriber\.attributes\.city"):
            composer.compose(recipient, 7, AT)
        return
    message = composer.compose(recipient, 7, AT)
    data = received(message).data
    wire.check_bytes(data)
    parsed = email.message_from_bytes(data, policy=email.policy.default)
    wire.check_headers(wire._raw_headers(data), parsed)
    assert email.utils.parseaddr(str(parsed["to"]))[1] == "ada@example.org"
    text, markup = wire.check_parts(parsed)
    assert _plain_render(recipient, rich=True) == markup.replace("\r\n", "\n")
    assert _plain_render(recipient, rich=False) == text.replace("\r\n", "\n")


_made: dict[str, Composer] = {}


def _composer(context: Context, make_source: MakeSource) -> Composer:
    if "one" not in _made:
        compiled = Compiled(
            subject="{{ subscriber.first_name|default('Hello') }}: {{ subscriber.attributes.city|truncate(40) }}",
            html=HOME_MADE,
            text=HOME_MADE,
            sender_name="Acme",
            sender_email="news@mail.example.com",
        )
        _made["one"] = Composer(context, compiled, 3, "mine", 5, "product-news", "Product news")
    return _made["one"]


def _plain_render(recipient: Recipient, *, rich: bool) -> str:
    environment = MailEnvironment(autoescape=rich)
    values = {"subscriber": subscriber_values(recipient)}
    return sandbox.program(environment, environment.parse(HOME_MADE), "x").render(values)


@pytest.mark.parametrize(
    "body",
    [
        "{% set block %}<b>{{ subscriber.name }} é</b>{% endset %}<p>{{ block }}{{ block }}</p>",
        "<p>{% filter upper %}a {{ subscriber.name }} é{% endfilter %}</p>",
    ],
)
def test_text_that_is_kept_for_later_is_encoded_once(
    make_source: MakeSource, write: Write, body: str
) -> None:
    mail = read(write(make_source(body, BodyFormat.HTML), replace(ADA, name="Ada & Co")))
    expected = (
        "<b>Ada &amp; Co é</b><b>Ada &amp; Co é</b>" if "block" in body else "A ADA &AMP; CO É"
    )
    assert expected in mail.html


@pytest.mark.parametrize(
    "name",
    ["Ада", "🎉 Ada", "Ada\r\nBcc: x@example.com", "Ada\x00", "a" * 400, ",", '"', "\u202eevil"],
)
def test_odd_names_reach_the_header_and_do_no_harm(
    make_source: MakeSource, write: Write, name: str
) -> None:
    message = write(make_source("Hello {{ subscriber.name }}"), replace(ADA, name=name))
    mail = read(message)
    assert "bcc" not in mail.headers
    assert mail.headers["to"].addresses[0].addr_spec == "ada@example.org"
    assert display_name(message.data) == headers.one_line(name)


class _Mixed:
    """A signer that takes one person, or one campaign, for another."""

    def __init__(self, signer: Signer, **wrong: int) -> None:
        self._signer, self._wrong = signer, wrong

    def __getattr__(self, name: str) -> Any:
        return getattr(self._signer, name)

    def stamp(self, kind: TokenKind, topic: int, campaign: int, *issued: date) -> Any:
        stamp = self._signer.stamp(kind, topic, self._wrong.get("campaign", campaign), *issued)
        return lambda subscriber: stamp(self._wrong.get("subscriber") or subscriber)


@pytest.mark.parametrize("wrong", [{"subscriber": 9}, {"campaign": 4}])
def test_a_message_with_somebody_elses_unsubscribe_link_is_never_finished(
    mail_context: Context, make_source: MakeSource, wrong: dict[str, int]
) -> None:
    composer = composer_for(mail_context, make_source("x"))
    composer._signer = _Mixed(mail_context.signer, **wrong)  # type: ignore[assignment]
    with pytest.raises(ForeignLink, match="somebody else"):
        composer.compose(ADA, 7, AT)


def test_a_message_whose_unsubscribe_link_nobody_can_verify_is_never_finished(
    mail_context: Context, make_source: MakeSource
) -> None:
    composer = composer_for(mail_context, make_source("x"))
    stranger = Signer(["a key of somebody else"])
    composer._signer = stranger
    composer.compose(ADA, 7, AT)
    composer._signer = mail_context.signer
    with pytest.raises(ForeignLink, match="of ours"):
        composer.compose(ADA, 8, AT)


def test_links_carry_the_day_and_messages_the_second_of_their_making(
    mail_context: Context, make_source: MakeSource
) -> None:
    composer = composer_for(mail_context, make_source("x"))
    night = datetime(2026, 11, 2, 23, 59, 59, 900_000, tzinfo=UTC)
    # Also backwards, as clocks are set right now and then.
    for seconds in (0, 1, 0, 86_400, 1):
        at = night + timedelta(seconds=seconds)
        mail = wire.read(replace(received(composer.compose(ADA, 7, at)), at=at), PUBLIC_URL)
        assert email.utils.parsedate_to_datetime(str(mail.headers["date"])) == at.replace(
            microsecond=0
        )
        (view,) = {link.rpartition("/")[2] for link in mail.links if "/v/" in link}
        assert mail_context.signer.read(TokenKind.VIEW, view).issued == at.date()
        assert mail_context.signer.read(TokenKind.UNSUBSCRIBE, mail.token).issued == date(
            2020, 1, 1
        )


@pytest.mark.parametrize(
    "host", ["a.bg", "n" * 28, "a-very-long-host-name.with-a-long-domain.example.com"]
)
def test_the_unsubscribe_address_stands_on_one_line_with_any_host(
    mail_context: Context, make_source: MakeSource, host: str
) -> None:
    url = f"https://{host}"
    settings = mail_context.settings.model_copy(update={"public_url": url})
    context = replace(mail_context, settings=settings)
    message = composer_for(context, make_source(LINK)).compose(AGREED, 7, AT)
    assert wire.read(received(message), url).unsubscribe.startswith(f"{url}/u/")


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        ("Always the same", "Always the same"),
        ("{{ subscriber.first_name }}", "Ada"),
        ("{{ brand.name }}: {{ campaign.topic }}", "Acme & Söhne: Product news"),
        (
            "{% if subscriber.attributes.seats > 2 %}Big{% else %}Small{% endif %} {{ tracked }}",
            "Big False",
        ),
        ("{{ subscriber.first_name|upper }} {{ subscriber.first_name }}", "ADA Ada"),
        ("See {{ links.unsubscribe|length }} {{ subscriber.email }}", "See 71 ada@example.org"),
    ],
)
def test_a_subject_is_filled_in_and_can_be_shown_in_the_mail(
    mail_context: Context, make_source: MakeSource, subject: str, expected: str
) -> None:
    source = make_source("[{{ campaign.subject }}]", BodyFormat.HTML, subject=subject)
    for _ in range(2):
        mail = read(composer_for(mail_context, source).compose(ADA, 7, AT))
        assert mail.subject == expected
        assert f"[{html.escape(expected)}]" in mail.html
        assert f"[{expected}]" in mail.text


def test_a_message_that_grows_too_long_is_refused(make_source: MakeSource, write: Write) -> None:
    city = {"city": "x" * 1_100_000}
    with pytest.raises(ContentError, match="kB when filled in"):
        write(make_source("{{ subscriber.attributes.city }}"), replace(ADA, attributes=city))


def test_an_address_with_blanks_around_it_is_shown_without(
    make_source: MakeSource, write: Write
) -> None:
    message = write(
        make_source("[{{ subscriber.email }}]", BodyFormat.HTML),
        replace(ADA, email=" ada@example.org "),
    )
    assert message.rcpt_to == "ada@example.org"
    assert "[ada@example.org]" in read(message).html


def test_an_international_domain_is_an_a_label_and_a_local_part_needs_smtputf8(
    make_source: MakeSource, write: Write
) -> None:
    domain = write(make_source("x"), replace(ADA, email="ada@bücher.example"))
    assert (domain.rcpt_to, domain.smtputf8) == ("ada@xn--bcher-kva.example", False)
    assert b"<ada@xn--bcher-kva.example>" in domain.data
    local = write(make_source("x"), replace(ADA, email="иван@example.bg"))
    assert (local.rcpt_to, local.smtputf8) == ("иван@example.bg", True)
    assert "<иван@example.bg>".encode() in local.data
    read(local)


def test_an_address_that_can_not_be_used_is_refused(make_source: MakeSource, write: Write) -> None:
    for address in ("", "x", "a@b", "a b@example.org", "a@example.org\r\nDATA", "a@example.org>"):
        with pytest.raises(InvalidAddress):
            write(make_source("x"), replace(ADA, email=address))


def test_a_missing_value_is_named(make_source: MakeSource, write: Write) -> None:
    with pytest.raises(MissingValue) as caught:
        write(make_source("{{ subscriber.attributes.plan_b }}"))
    assert caught.value.variable == "subscriber.attributes.plan_b"


def test_a_name_is_put_together_when_there_is_none(make_source: MakeSource, write: Write) -> None:
    mail = read(write(make_source("x"), replace(ADA, name=None)))
    assert str(mail.headers["to"]) == "Ada Lovelace <ada@example.org>"
    mail = read(write(make_source("x"), replace(ADA, name=None, first_name=None, last_name=None)))
    assert str(mail.headers["to"]) == "ada@example.org"


def test_the_footer_says_who_why_where_and_how_to_leave(
    make_source: MakeSource, write: Write
) -> None:
    mail = read(write(make_source("x")))
    for words in (
        "Acme & Söhne sent you this because you get “Product news”",
        "1 Example Street",
        "Unsubscribe",
        "Choose what we send",
        "Why did I get this?",
        "https://www.example.com/privacy?a=1&b=2",
    ):
        assert words in mail.text
    for words in (
        "Acme &amp; Söhne",
        "1 Example Street",
        ">Unsubscribe<",
        ">Choose what we send<",
        ">Why did I get this?<",
        ">Privacy<",
    ):
        assert words in mail.html


def test_the_page_for_a_browser_shows_nobody_and_counts_nothing(
    mail_context: Context, make_source: MakeSource
) -> None:
    body = (
        "Hello {{ subscriber.first_name }}, {{ subscriber.email }} {% if subscriber.attributes.age > 3 %}old{% endif %}{{ subscriber.attributes.a.b }}\n\n"
        + LINK
    )
    compiled = compile_source(make_source(body, track_opens=True), mail_context.settings)
    page = render_page(
        mail_context, compiled, slug="x", topic_name="News", links={"unsubscribe": "/there"}
    )
    assert "Hello , •••@•••" in page
    assert 'href="https://www.example.com/go"' in page
    assert 'href="/there"' in page
    assert f'href="{PUBLIC_URL}/my-data#preferences"' in page
    assert "/o/" not in page
    assert "token" not in page
    assert "__" not in html_variant(compiled, "C/", "O/", opens=False, clicks=False)
