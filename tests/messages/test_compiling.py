import re

import pytest

from prefcentre.campaigns.service import BodyFormat, CampaignSource, Frame, read_frame
from prefcentre.context import Context
from prefcentre.errors import ContentError
from prefcentre.messages.compiling import compile_source
from prefcentre.messages.service import Compiled
from prefcentre.messages.variants import html_variant, on_colour
from prefcentre.settings import Settings
from tests.messages.conftest import MakeSource

HTML = BodyFormat.HTML
MJML = BodyFormat.MJML
PLAIN_FRAME = Frame(
    "plain",
    "<html><body>{{ content }}<p>{{ links.unsubscribe }}</p></body></html>",
    HTML,
    "{{ content }}",
)


def section(inside: str) -> str:
    return f"<mj-section><mj-column>{inside}</mj-column></mj-section>"


def compiled(settings: Settings, source: CampaignSource) -> Compiled:
    return compile_source(source, settings)


def test_compiled_content_comes_back_from_its_stored_form(
    mail_settings: Settings, make_source: MakeSource
) -> None:
    found = compiled(mail_settings, make_source("[a](https://www.example.com/a)"))
    assert Compiled.from_json(found.to_json()) == found


def test_compiling_twice_gives_the_same(mail_settings: Settings, make_source: MakeSource) -> None:
    source = make_source("# Hello {{ subscriber.name }}\n\n[a](https://www.example.com/a)")
    assert compiled(mail_settings, source) == compiled(mail_settings, source)


@pytest.mark.parametrize(
    ("body", "form"),
    [
        ("{{ subscriber.name }} 1 < 2 & **3**", BodyFormat.MARKDOWN),
        (section("<mj-text>{{ subscriber.name }}</mj-text>"), MJML),
        ("<p>{{ subscriber.name }}</p>", HTML),
    ],
)
@pytest.mark.parametrize("frame", ["newsletter", "letter"])
def test_every_kind_of_body_fits_into_both_frames(
    mail_settings: Settings, make_source: MakeSource, body: str, form: BodyFormat, frame: str
) -> None:
    found = compiled(mail_settings, make_source(body, form, frame=read_frame(mail_settings, frame)))
    assert (
        found.html.count("{{ subscriber.name }}") == found.text.count("{{ subscriber.name }}") == 1
    )
    assert "mj-" not in re.sub(r"mj-(column-per|outlook|column-px)", "", found.html)


def test_markdown_becomes_text_lists_links_and_buttons(
    mail_settings: Settings, make_source: MakeSource
) -> None:
    body = "# Title\n\nWords with [a link](https://www.example.com/a).\n\n- one\n- two\n\n**[Press](https://www.example.com/b)**\n"
    found = compiled(mail_settings, make_source(body))
    assert re.search(r"<h1[^>]*>Title</h1>", found.html)
    assert found.html.count("<li") == 2
    assert 'class="button"' in found.html
    assert "Title" in found.text
    assert "Words with a link <https://www.example.com/a>." in found.text
    assert "* one\n" in found.text
    assert "Press <https://www.example.com/b>" in found.text


def test_raw_html_in_markdown_is_shown_and_not_obeyed(
    mail_settings: Settings, make_source: MakeSource
) -> None:
    found = compiled(
        mail_settings, make_source("Hi <script>alert(1)</script> <img src=x onerror=alert(1)>")
    )
    assert "<script" not in found.html
    assert "&lt;script&gt;" in found.html


def test_a_loop_around_a_list_in_markdown_stays_balanced(
    mail_settings: Settings, make_source: MakeSource
) -> None:
    body = "{% for city in subscriber.attributes.cities %}\n- {{ city }}\n{% endfor %}\n\nEnd"
    found = compiled(mail_settings, make_source(body))
    assert re.search(
        r"\{% for .*? %\}\s*<ul.*?\{\{ city \}\}.*?</ul>\s*\{% endfor %\}", found.html, re.DOTALL
    )
    assert not re.search(r"<p[^>]*>\s*\{% for", found.html)


@pytest.mark.parametrize(
    "inside",
    [
        "{% if subscriber.attributes.a < 3 and 'b' > \"a\" %}x{% else %}y{% endif %}",
        "{% for row in subscriber.attributes.rows %}{{ row|default('\"<&>\"') }}{% endfor %}",
        "{{ subscriber.name }} & {{ subscriber.name }}",
        "{# a <remark> #}x",
        '<a href="https://www.example.com/{{ subscriber.attributes.a }}">x</a>',
        '<span style="color: {{ subscriber.attributes.colour }}">x</span>',
        "{% raw %}{{ not ours }}{% endraw %}",
        "{%- if subscriber.name -%} x {%- endif -%}",
    ],
)
@pytest.mark.parametrize("form", [MJML, HTML])
def test_jinja_comes_through_the_tools_unharmed(
    mail_settings: Settings, make_source: MakeSource, inside: str, form: BodyFormat
) -> None:
    body = section(f"<mj-text><p>{inside}</p></mj-text>") if form is MJML else f"<p>{inside}</p>"
    found = compiled(mail_settings, make_source(body, form))
    for expression in re.findall(r"\{\{.*?\}\}|\{%.*?%\}", re.sub(r"\{#.*?#\}", "", inside)):
        assert expression in found.html
    assert "jnj" not in found.html + found.text
    assert "remark" not in found.html + found.text


def test_a_loop_between_table_rows_is_not_thrown_out(
    mail_settings: Settings, make_source: MakeSource
) -> None:
    rows = "{% for r in subscriber.attributes.rows %}<tr><td>{{ r }}</td></tr>{% endfor %}"
    found = compiled(mail_settings, make_source(section(f"<mj-table>{rows}</mj-table>"), MJML))
    assert re.search(
        r"\{% for r in subscriber.attributes.rows %\}\s*<tr><td[^>]*>\{\{ r \}\}</td></tr>\s*\{% endfor %\}",
        found.html,
    )


def test_what_a_visual_editor_escaped_in_jinja_is_read_as_it_was_meant(
    mail_settings: Settings, make_source: MakeSource
) -> None:
    body = "<p>{% if subscriber.attributes.a &gt; 3 %}x{% endif %}</p>"
    assert (
        "{% if subscriber.attributes.a > 3 %}"
        in compiled(mail_settings, make_source(body, HTML)).html
    )


def test_links_are_numbered_once_each_and_lead_where_they_did(
    mail_settings: Settings, make_source: MakeSource
) -> None:
    body = "[a](https://www.example.com/a?x=1&y=2) [b](http://www.example.com/b) [a again](https://www.example.com/a?x=1&y=2)"
    found = compiled(mail_settings, make_source(body))
    assert found.links == ("https://www.example.com/a?x=1&y=2", "http://www.example.com/b")
    assert found.html.count("{{ link__0 }}") == 2
    page = html_variant(found, "C/", "O/", opens=False, clicks=False)
    assert page.count('href="https://www.example.com/a?x=1&amp;y=2"') == 2


@pytest.mark.parametrize(
    "link",
    [
        '<a href="{{ links.unsubscribe }}">x</a>',
        '<a href="{{ links.preferences }}">x</a>',
        '<a href="{{ links.privacy }}">x</a>',
        '<a href="https://www.example.com/privacy?a=1&amp;b=2">our notice</a>',
        '<a href="https://news.example.com/subscribe">sign up</a>',
        '<a href="mailto:hello@example.com">write</a>',
        '<a href="tel:+3592000000">call</a>',
        '<a href="#top">up</a>',
        '<a href="https://www.example.com/shop">https://www.example.com/shop</a>',
        '<a href="https://www.example.com/shop"><b>www.example.com</b></a>',
        '<a href="https://www.example.com/shop">example.com</a>',
    ],
)
def test_links_of_our_own_and_links_that_show_an_address_are_never_counted(
    mail_settings: Settings, make_source: MakeSource, link: str
) -> None:
    found = compiled(mail_settings, make_source(f"<p>{link}</p>", HTML))
    assert found.links == ()
    assert found.warnings == ()


def test_a_link_that_differs_from_person_to_person_stays_direct_and_is_noted(
    mail_settings: Settings, make_source: MakeSource
) -> None:
    found = compiled(
        mail_settings,
        make_source('<a href="https://www.example.com/{{ subscriber.attributes.id }}">x</a>', HTML),
    )
    assert found.links == ()
    assert 'href="https://www.example.com/{{ subscriber.attributes.id }}"' in found.html
    assert "subscriber.attributes.id" in found.warnings[0]


def test_each_variant_counts_only_what_was_agreed_to(
    mail_settings: Settings, make_source: MakeSource
) -> None:
    found = compiled(mail_settings, make_source("[a](https://www.example.com/a)"))

    def variant(*, opens: bool, clicks: bool) -> str:
        return html_variant(found, "C/", "O/", opens=opens, clicks=clicks)

    assert "__" not in variant(opens=False, clicks=False)
    image = '<img src="O/{{ token__ }}" alt="" width="1" height="1" style="border:0"></body>'
    assert image in variant(opens=True, clicks=False)
    assert 'href="https://www.example.com/a"' in variant(opens=True, clicks=False)
    assert 'href="C/{{ token__ }}/0"' in variant(opens=False, clicks=True)
    assert "<img" not in variant(opens=False, clicks=True)


def test_nothing_in_a_compiled_mail_is_fetched_from_elsewhere(
    mail_settings: Settings, make_source: MakeSource
) -> None:
    found = compiled(mail_settings, make_source("Words"))
    assert not re.search(r"@import|<link|url\(|fonts\.g|mailjet|<img|<script", found.html)


def test_dark_mode_and_phone_rules_stay_and_the_rest_stands_on_the_elements(
    mail_settings: Settings, make_source: MakeSource
) -> None:
    found = compiled(mail_settings, make_source("# Title"))
    assert "prefers-color-scheme: dark" in found.html
    assert re.search(r"@media only screen and \(min-width", found.html)
    assert re.search(r'<h1 style="[^"]*font-size: 24px', found.html)


@pytest.mark.parametrize(
    ("body", "form", "words", "line"),
    [
        ("<mj-section>\n<mj-column></mj-section>", MJML, "<mj-column> is not closed", 2),
        ("<mj-section>\n<mj-sparkle /></mj-section>", MJML, "mj-sparkle", 2),
        ("<mj-section></mj-section>\n</mj-column>", MJML, "</mj-column> closes nothing", 2),
        ("<mj-include path='/etc/passwd' />", MJML, "included", 1),
        ("<mj-social></mj-social>", MJML, "another company", 1),
        ("<p>\n<script>x</script></p>", HTML, "script", 2),
        ("<p>\n<a href='java\tscript:x'>x</a></p>", HTML, "runs a script", 2),
        ("<p onclick='x'>x</p>", HTML, "runs a script", 1),
        ("<iframe src='x'></iframe>", HTML, "iframe", 1),
        ("x\n\n{{ subscriber.frist_name }}", BodyFormat.MARKDOWN, "first_name", 3),
        ("x\n{% if subscriber.name %}", BodyFormat.MARKDOWN, "Jinja", 2),
    ],
)
def test_a_mistake_is_reported_with_file_and_line(
    mail_settings: Settings,
    make_source: MakeSource,
    body: str,
    form: BodyFormat,
    words: str,
    line: int,
) -> None:
    with pytest.raises(ContentError, match=words) as caught:
        compiled(mail_settings, make_source(body, form))
    assert caught.value.file == f"campaigns/founders-letter/body.{form.value}"
    assert caught.value.line == line


@pytest.mark.parametrize("tag", ["div", "b", "table", "mj-section"])
def test_nesting_that_would_crash_the_tools_is_refused_first(
    mail_settings: Settings, make_source: MakeSource, tag: str
) -> None:
    with pytest.raises(ContentError, match="nested"):
        compiled(
            mail_settings, make_source(f"<{tag}>" * 20_000, HTML if tag != "mj-section" else MJML)
        )


def test_deep_markdown_is_flattened(mail_settings: Settings, make_source: MakeSource) -> None:
    assert compiled(mail_settings, make_source(">" * 5_000 + " x")).html.count("<blockquote") < 30


def test_a_source_that_is_too_large_is_refused(
    mail_settings: Settings, make_source: MakeSource
) -> None:
    with pytest.raises(ContentError, match="larger than 512 KB"):
        compiled(mail_settings, make_source("<p>" + "x" * 600_000, HTML))


def test_jinja_where_no_mail_can_keep_it_is_refused(
    mail_settings: Settings, make_source: MakeSource
) -> None:
    with pytest.raises(ContentError):
        compiled(
            mail_settings, make_source(section("<mj-text {{ subscriber.name }}>x</mj-text>"), MJML)
        )


@pytest.mark.parametrize("frame", ["<p>none</p>", "{{ content }}{{ content }}"])
def test_a_frame_needs_its_slot_exactly_once(
    mail_settings: Settings, make_source: MakeSource, frame: str
) -> None:
    with pytest.raises(ContentError, match="exactly once"):
        compiled(mail_settings, make_source("x", frame=Frame("mine", frame, HTML, "{{ content }}")))


def test_a_plain_html_frame_takes_markdown_and_refuses_mjml(
    mail_settings: Settings, make_source: MakeSource
) -> None:
    assert "<p>Words</p>" in compiled(mail_settings, make_source("Words", frame=PLAIN_FRAME)).html
    with pytest.raises(ContentError, match="can't hold MJML"):
        compiled(
            mail_settings, make_source(section("<mj-text>x</mj-text>"), MJML, frame=PLAIN_FRAME)
        )


def test_a_written_text_part_is_taken_as_it_is(
    mail_settings: Settings, make_source: MakeSource
) -> None:
    found = compiled(
        mail_settings, make_source("**Words**", text="My own\n\n  words: {{ subscriber.name }}\n")
    )
    assert "My own\n\n  words: {{ subscriber.name }}\n" in found.text


def test_the_text_part_reads_like_a_letter(
    mail_settings: Settings, make_source: MakeSource
) -> None:
    body = (
        "# Title\n\n{% if subscriber.attributes.a %}\nShown\nor not\n{% endif %}\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n"
        "![A picture](https://www.example.com/p.png)\n\n[![Go](https://www.example.com/p.png)](https://www.example.com/go)\n"
    )
    text = compiled(mail_settings, make_source(body)).text
    assert text.startswith(
        "Title\n\n{% if subscriber.attributes.a %}Shown or not\n\n{% endif %}a | b\n1 | 2\n\n"
        "A picture\n\nGo <https://www.example.com/go>\n"
    )


def test_a_condition_around_a_button_takes_no_room(
    mail_settings: Settings, make_source: MakeSource
) -> None:
    body = "{% if subscriber.attributes.a %}\n**[Go](https://www.example.com/go)**\n{% endif %}"
    found = compiled(mail_settings, make_source(body))
    assert (
        "<div"
        not in found.html.partition("{% if subscriber.attributes.a %}")[2].partition("<a ")[0]
    )
    assert "{% endif %}</tbody>" in found.html


def test_a_condition_inside_an_attribute_leaves_the_text_part_whole(
    mail_settings: Settings, make_source: MakeSource
) -> None:
    body = (
        '<p style="color: {% if subscriber.attributes.a %}red{% else %}blue{% endif %}">Words</p>'
    )
    assert compiled(mail_settings, make_source(body, HTML)).text.startswith("Words\n")


def test_the_preheader_is_the_first_visible_line_of_the_newsletter(
    mail_context: Context, make_source: MakeSource
) -> None:
    settings = mail_context.settings
    frame = read_frame(settings, "newsletter")
    found = compiled(
        settings,
        make_source("Words", frame=frame, preheader="News for {{ subscriber.name }} & you"),
    )
    body = found.html[found.html.index("<body") :]
    assert (
        re.sub(r"<[^>]*>|\s+", " ", body)
        .strip()
        .startswith("News for {{ subscriber.name }} &amp; you")
    )
    assert "display:none" not in found.html.replace(" ", "")


def test_a_preheader_that_the_frame_does_not_show_is_noted(
    mail_settings: Settings, make_source: MakeSource
) -> None:
    assert "preheader" in compiled(mail_settings, make_source("x", preheader="Soon")).warnings[0]


@pytest.mark.parametrize(
    ("colour", "expected"),
    [
        ("#1a5fb4", "#ffffff"),
        ("#ffffff", "#111111"),
        ("#ffd60a", "#111111"),
        ("#000000", "#ffffff"),
    ],
)
def test_the_words_on_a_button_can_be_read(colour: str, expected: str) -> None:
    assert on_colour(colour) == expected
