"""What a template is cut into, and that filling it in says the same as Jinja alone."""

import quopri
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefcentre.campaigns.service import BodyFormat, read_source
from prefcentre.errors import ContentError
from prefcentre.messages import sandbox
from prefcentre.messages.compiling import compile_source
from prefcentre.messages.compose import _Frame
from prefcentre.messages.cutting import Cut, Form, Hole, Known, Page, Source, cut
from prefcentre.messages.filling import Memo, Part, subscriber_values
from prefcentre.messages.sandbox import MailEnvironment, Values
from prefcentre.messages.values import MissingValue, Recipient
from prefcentre.messages.variants import html_variant
from prefcentre.settings import Settings
from tests.messages.conftest import ADA

BRAND = {"name": "Söhne & Co", "postal_address": "1 Example Street", "contact_email": None}
CAMPAIGN = {"slug": "spring", "name": "Spring", "topic": "News"}
PRIVACY = "https://www.example.com/privacy?a=1&b=2"
SITE = "https://news.example.com"
TOKENS = {
    "unsubscribe": "u" * 44,
    "why": "w" * 44,
    "view": "v" * 44,
    "preferences": "p" * 44,
    "counting": "c" * 32,
}
SUBJECT = "A <subject> & more"
KNOWN = Known(
    {
        "brand": Values("brand", BRAND),
        "campaign": Values("campaign", CAMPAIGN),
        "links": Values("links", {"privacy": PRIVACY}),
        "tracked": True,
    },
    {
        **{name: Page(f"{SITE}/{name[0]}/", name) for name in TOKENS if name != "counting"},
        "tracking": Page(f"{SITE}/p/", "preferences", "#tracking"),
    },
)
PEOPLE = [
    ADA,
    Recipient(2, 2, " ben@example.org "),
    Recipient(
        3,
        3,
        "zoe@example.org",
        name="Zoë <b>&amp;</b>",
        first_name=".Zoë  ",
        attributes={
            "city": "=" * 30 + "Αθήνα" * 9,
            "seats": True,
            "plan": ["a", None, "b & c"],
            "hid\u200eden": "x",
            "n": 0.5,
        },
    ),
    Recipient(4, 4, "x@example.org", first_name="\u202e", attributes={"city": "", "seats": 0}),
]


def cut_of(source: str, form: Form = Form.HTML) -> Cut:
    return cut(source, "x", form, KNOWN)


def filled(source: str, form: Form, recipient: Recipient, memo: Memo | None = None) -> str:
    made = cut_of(source, form)
    part = Part(made, form, Memo() if memo is None else memo, KNOWN)
    names = list(TOKENS)
    frame = _Frame({name: number for number, name in enumerate(names)})
    frame.part(made, part, len(names))
    pieces = [*TOKENS.values(), *part.fill(recipient, SUBJECT, TOKENS)]
    text = frame.layout().joined(pieces)
    if form is Form.LINE:
        return text
    assert all(len(line) <= 76 and not line.startswith(".") for line in text.split("\r\n"))
    assert text.isascii()
    return quopri.decodestring(text.encode()).decode().replace("\r\n", "\n")


def by_jinja(source: str, form: Form, recipient: Recipient) -> str:
    environment = MailEnvironment(autoescape=form is Form.HTML)
    own = {} if form is Form.LINE else {"subject": SUBJECT}
    links = {
        name: page.before + TOKENS[page.token] + page.after for name, page in KNOWN.pages.items()
    }
    values: dict[str, Any] = {
        **KNOWN.values,
        "subscriber": subscriber_values(recipient),
        "campaign": Values("campaign", CAMPAIGN | own),
        "links": Values("links", links | {"privacy": PRIVACY}),
        "token__": TOKENS["counting"],
    }
    return sandbox.program(environment, environment.parse(source), "x").render(values)


def outcome(way: Any, source: str, form: Form, recipient: Recipient) -> str:
    try:
        return str(way(source, form, recipient))
    except ContentError as error:
        return f"refused: {error}"


def is_told(text: str) -> bool:
    return text.startswith("refused: ")


PIECES = [
    "plain text, ünï & <b>bold</b>\n", "\n.dots\n..\n", "  blanks\t\t \n", "= 1 =\n", "a" * 80,
    "{{ subscriber.name|default('you') }}", "{{ subscriber.first_name|d('<you>') }}", "{{ subscriber.email }}",
    "{{ subscriber.attributes.city|default('?') }}", "{{ subscriber.attributes['seats']|default(3) }}",
    "{{ subscriber.attributes.plan|default('-') }}", "{{ subscriber.attributes.hidden|default('-') }}", "{{ subscriber.attributes.n|default('') }}",
    "{{ campaign.topic }}", "{{ brand.name }}", "{{ brand.contact_email|default('') }}", "{{ links.privacy }}",
    "{{ links.view }}", "{{ links.tracking }}", "{{ links.view|upper }}", "{{ links['view'] }}", "{{ token__ }}",
    "{% if tracked %}counted {{ subscriber.email }}{% else %}not{% endif %}",
    "{% if brand.contact_email is defined %}{{ brand.contact_email }}{% elif brand.name %}B{% else %}C{% endif %}",
    "{% if brand.name == 'x' %}x{% elif subscriber.attributes.seats %}{{ subscriber.attributes.seats }}{% endif %}",
    "{% if links.privacy is defined %}{{ links.privacy }}{% endif %}", "{% if links.view %}{{ links.view }}.{% endif %}",
    "{% if subscriber.attributes.city is defined %}in {{ subscriber.attributes.city }}!{% endif %}",
    "{% if subscriber.first_name %}{{ subscriber.name }}{% endif %}",
    "{{ 'a' if subscriber.attributes.seats|default(0) > 2 else 'b' }}",
    "{{ subscriber.first_name|default('you')|upper }}", "{{ subscriber.name|default('x')|e }}",
    "{{ [subscriber.email, brand.name]|join(' & ') }}", "{{ subscriber.attributes.city|default('')|truncate(9) }}",
    "{% for n in [1, 2, 3] %}{{ loop.index }}{{ n }}{{ subscriber.attributes.city|default('-') }}{% endfor %}",
    "{% for n in range(2, 7, 2) %}{{ loop.first }}{{ loop.last }}{{ n }}{% if n > 3 %}{{ subscriber.email }}{% endif %}{% endfor %}",
    "{% for w in ['a', '<é>'] %}{{ w }}{{ w|upper }}{{ w ~ brand.name }}{{ loop.revindex }}{{ loop['length'] }}{% endfor %}",
    "{% for w in ['a', 'b'] %}{{ loop.cycle('x', 'y') }}{{ w }}{% endfor %}", "{% for w in [] %}{{ w }}{% else %}none{% endfor %}",
    "{% for a, b in [[1, 2], [3, 4]] %}{{ a }}{{ b }}{% endfor %}", "{% for n in range(60) %}{{ n }}{% endfor %}",
    "{% for a in [1, 2] %}{% for a in [3] %}{{ a }}{{ loop.index }}{% endfor %}{{ a }}{{ loop.index }}{% endfor %}",
    "{% for a in [1, 2] %}{% set x = a %}{{ x }}{{ subscriber.email }}{% endfor %}", "{% for a in [1, 2, 3] if a > 1 %}{{ a }}{% endfor %}",
    "{% for a in range(0) %}{{ a }}{% else %}{{ subscriber.email }}{% endfor %}", "{% for a in range() %}{{ a }}{% endfor %}", "{% for a in range(1, *[3]) %}{{ a }}{% endfor %}",
    "{% for a in ['subscriber'] %}{{ subscriber[a] }}{{ subscriber.attributes[a]|default('-') }}{{ a.b }}{% endfor %}",
    "{% for a in ('p', none, true, 1.5) %}{{ a }}{% endfor %}",
    "{% for a in 'abc' %}{{ a }}{% endfor %}", "{% for a in brand.name %}{{ a }}{% endfor %}",
    "{% for entry in subscriber.attributes.plan|default([]) %}{{ entry }},{% else %}none{% endfor %}",
    "{% for key in subscriber.attributes|sort %}{{ key }}{% endfor %}",
    "{{ subscriber|length }}", "{{ 3 * 4 }}", "{{ '.' }}", "{{ subscriber.attributes.city }}",
    "{{ subscriber.attributes.plan.name|default('-') }}",
]  # fmt: skip
SETS = [
    "{% set x = subscriber.first_name|default('new') %}",
    "{% set y = 'é' ~ brand.name %}",
    "{% if brand.name %}{% set z = 1 %}{% endif %}",
    "{% if subscriber.email %}{% set z = 2 %}{% endif %}",
]
USES_SET = ["{{ x }}", "{% if y is defined %}{{ y|upper }}{% endif %}", "{{ z }}", "{{ x|e }}"]
KEPT = [
    "{% set k %}<i>{{ subscriber.email }}</i>{% endset %}{{ k }}{{ k }}",
    "{% filter upper %}{{ brand.name }} {{ subscriber.email }}{% endfilter %}",
]


@given(
    st.lists(st.sampled_from(PIECES), max_size=8),
    st.lists(st.sampled_from(SETS), max_size=3),
    st.lists(st.sampled_from([*USES_SET, *PIECES]), max_size=4),
    st.lists(st.sampled_from(KEPT), max_size=1),
    st.sampled_from(Form),
    st.sampled_from(PEOPLE),
)
def test_a_part_in_pieces_says_what_jinja_alone_says(
    first: list[str],
    sets: list[str],
    then: list[str],
    kept: list[str],
    form: Form,
    recipient: Recipient,
) -> None:
    source = "".join([*first, *sets, *then, *kept])
    if form is Form.LINE:
        source = source.replace("{{ token__ }}", "")
    found, expected = (outcome(way, source, form, recipient) for way in (filled, by_jinja))
    # Of two mistakes in one part the first to be met is told, which need not be the same.
    if not (is_told(found) and is_told(expected)):
        assert found == expected


@pytest.mark.parametrize("source", PIECES)
@pytest.mark.parametrize("form", Form)
def test_each_kind_of_expression_says_what_jinja_alone_says(source: str, form: Form) -> None:
    for recipient in PEOPLE:
        found = outcome(filled, source, form, recipient)
        assert found == outcome(by_jinja, source, form, recipient)


def test_what_is_the_same_for_everybody_is_settled_once() -> None:
    made = cut_of(
        "{{ brand.name }}{% if brand.contact_email is defined %}{{ brand.contact_email }}{% endif %}"
        "{% if tracked %} {{ campaign.topic }}{% else %}{{ subscriber.name|upper }}{% endif %}"
        "{{ links.privacy }}"
    )
    assert made.holes == ()
    assert made.fragments is None
    (fixed,) = made.fixed
    assert quopri.decodestring(fixed).decode() == "Söhne &amp; Co News" + PRIVACY.replace(
        "&", "&amp;"
    )


def test_one_value_is_one_hole_however_often_it_stands_there() -> None:
    name = "{{ subscriber.first_name|default('you') }}"
    made = cut_of(
        f"a {name} b {name} {{{{ subscriber['first_name']|d('you') }}}} {{{{ links.view }}}}"
    )
    hole = Hole(Source.FIELD, "first_name", "you")
    assert made.holes == (hole, hole, hole, Hole(Source.LINK, "view"))
    assert Part(made, Form.HTML, Memo(), KNOWN).holes == (hole,)
    assert made.fragments is None


@pytest.mark.parametrize("slug", ["spring-release", "founders-letter"])
def test_the_frames_that_come_along_keep_no_program(mail_settings: Settings, slug: str) -> None:
    source = replace(
        read_source(mail_settings, slug), body="Hello", body_format=BodyFormat.MARKDOWN
    )
    compiled = compile_source(source, mail_settings)
    html = html_variant(compiled, "C/", "O/", opens=True, clicks=True)
    for text, form in ((html, Form.HTML), (compiled.text, Form.TEXT)):
        assert cut_of(text, form).fragments is None


def test_a_loop_over_what_is_written_there_is_written_out() -> None:
    loop = "{% for w in ['a', 'b'] %}{{ loop.index }}{{ w }}{{ subscriber.email }}{% endfor %}"
    made = cut_of(loop + "{% for n in range(3) %}{{ n }}{% endfor %}")
    assert made.fragments is None
    assert made.fixed == ("1a=\r\n", "2b=\r\n", "012=\r\n")


def test_only_what_depends_on_a_person_stays_a_program() -> None:
    made = cut_of(
        "{% if subscriber.name %}yes{% endif %}{{ subscriber.email }}{{ subscriber.name|upper }}"
    )
    assert [hole.source for hole in made.holes] == [
        Source.FRAGMENT,
        Source.MESSAGE,
        Source.FRAGMENT,
    ]
    assert made.fragments is not None


def test_a_missing_value_matters_only_where_it_is_printed() -> None:
    source = (
        "{% if subscriber.attributes.plan is defined %}{{ subscriber.attributes.plan }}{% endif %}"
    )
    assert filled(source, Form.TEXT, PEOPLE[1]) == ""
    with pytest.raises(MissingValue) as caught:
        filled(
            "{% if true or subscriber.name %}{{ subscriber.attributes.plan }}{% endif %}",
            Form.TEXT,
            PEOPLE[1],
        )
    assert caught.value.variable == "subscriber.attributes.plan"
    with pytest.raises(MissingValue) as caught:
        filled("{% if subscriber.email %}{{ subscriber.name }}{% endif %}", Form.TEXT, PEOPLE[1])
    assert caught.value.variable == "subscriber.name"


@pytest.mark.parametrize("values", [[1, True, 1.0, "1"], ["1", 1.0, True, 1], [False, 0, 0.0, "0"]])
def test_values_that_equal_each_other_are_not_taken_for_each_other(values: list[Any]) -> None:
    memo = Memo()
    for value in values:
        recipient = Recipient(1, 1, "a@example.org", attributes={"x": value})
        assert filled("{{ subscriber.attributes.x }}", Form.HTML, recipient, memo) == str(value)


def test_what_is_remembered_has_an_end_and_depends_on_the_form() -> None:
    memos = {form: Memo() for form in Form}
    for number in range(10_000):
        recipient = Recipient(1, 1, "a@example.org", name=f"<{number}>")
        for form, memo in memos.items():
            if number % 1000 == 0:
                expected = f"&lt;{number}&gt;" if form is Form.HTML else f"<{number}>"
                assert filled("{{ subscriber.name }}", form, recipient, memo) == expected
            memo.keep(f"{number}", "x")
    assert all(len(memo) <= 4096 for memo in memos.values())
    memo = Memo()
    filled(
        "{{ subscriber.name }}", Form.HTML, Recipient(1, 1, "a@example.org", name="x" * 61), memo
    )
    assert not memo
