"""The campaigns that are measured: about 17 KB for each person, ten tracked links, personal texts, all page links."""

from pathlib import Path
from typing import Literal

Kind = Literal["plain", "rich"]

TOPIC, SAMPLE_TOPIC = "product-news", "product-test"
TOPICS = "".join(
    f"""
[[topic]]
key = "{key}"
name = "Product news"
description = "New features and releases, about twice a month."
channels = ["email"]
lawful_basis = "consent"
double_opt_in = true
"""
    for key in (TOPIC, SAMPLE_TOPIC)
)

_CAMPAIGN = """
topic = "TOPIC"
template = "measured"
subject = "{{ subscriber.first_name }}, what is new for {{ subscriber.attributes.company }}"
from = "Acme News <news@mail.example.com>"
reply_to = "hello@example.com"

[tracking]
opens = true
clicks = true
"""

_FRAME = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{{ campaign.subject }}</title>
</head>
<body style="margin:0;background-color:#f2f4f7">
<table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0"><tr><td align="center">
<table role="presentation" width="600" cellpadding="0" cellspacing="0" border="0" style="background-color:#ffffff">
<tr><td style="padding:16px 24px;font-family:Arial,sans-serif;font-size:13px;color:#48535f">
<a href="{{ links.view }}">Read in browser</a></td></tr>
<tr><td style="padding:8px 24px;font-family:Arial,sans-serif;font-size:16px;line-height:1.6;color:#1f2933">
{{ content }}
</td></tr>
<tr><td style="padding:16px 24px;font-family:Arial,sans-serif;font-size:14px;line-height:1.6;color:#48535f">
<p>{{ brand.name }} sent you this because you get “{{ campaign.topic }}” from us.</p>
{% if tracked %}<p>You agreed that we count whether you open or click this mail.
<a href="{{ links.tracking }}">Change what we count</a></p>{% endif %}
<p>{{ brand.postal_address }}</p>
<p><a href="{{ links.unsubscribe }}">Unsubscribe</a> <a href="{{ links.preferences }}">Choose what we send</a>
<a href="{{ links.why }}">Why did I get this?</a> <a href="{{ links.privacy }}">Privacy</a></p>
</td></tr></table></td></tr></table>
</body>
</html>
"""

_FRAME_TEXT = """{{ brand.name }}

{{ content }}

{{ brand.name }} sent you this because you get “{{ campaign.topic }}” from us.
Unsubscribe: {{ links.unsubscribe }}
Choose what we send: {{ links.preferences }}
Why did I get this? {{ links.why }}
Read this in your browser: {{ links.view }}
Privacy: {{ links.privacy }}
{% if tracked %}You agreed that we count whether you open or click this mail.
Change what we count: {{ links.tracking }}
{% endif %}
{{ brand.postal_address }}
"""

_STORIES = (
    ("Calendars you can share", "shared-calendars"),
    ("A search that keeps up", "search"),
    ("Repeating events keep their time", "clocks"),
    ("Exports that open in every spreadsheet", "exports"),
    ("Half the battery on your phone", "battery"),
    ("Rooms and desks in one view", "rooms"),
    ("Reminders that know when to be quiet", "reminders"),
    ("An archive for the whole team", "archive"),
    ("Keyboard shortcuts for everything", "shortcuts"),
    ("Come and see it", "events"),
)

_STORY = """<h2 style="margin:24px 0 6px;font-size:20px;line-height:1.3;color:#12181f">{title}</h2>
<p style="margin:0 0 14px">{about} We spent the winter on the things that were asked for most – and on making \
everything else quicker. It is there for all {plan} plans from today on, without anything to install, and it works \
without a connection, on every machine that you use, too. What you have set up so far stays as it is.</p>
<p style="margin:0 0 14px">Nothing changes for people who look at your pages; whoever helps you with them finds \
the new places in the menu on the left. Should anything be missing, just reply to this mail. A person reads it, and \
answers within a day or two, and not with a ready-made text; the most frequent questions and our answers to them are on the page behind the link.</p>
<p style="margin:0 0 14px"><a href="https://www.example.com/releases/5/{slug}" \
style="color:#1a5fb4;font-weight:bold">Read more about it</a></p>
"""

_TEXT_STORY = """{title}

{about} It is there for all {plan} plans from today on.
Nothing changes for people who look at your pages.
https://www.example.com/releases/5/{slug}
"""

_PERSONAL = (
    "Good news for {{ subscriber.attributes.company }} in {{ subscriber.attributes.city }}.",
    "All {{ subscriber.attributes.seats }} seats have it.",
    "Dear {{ subscriber.first_name }}, this one is for you.",
    "With us since {{ subscriber.attributes.since }}, you will remember how it was.",
    "Your plan is {{ subscriber.attributes.plan }}, {{ subscriber.first_name }}.",
)

_RICH = (
    (
        "{% if subscriber.attributes.seats > 100 %}All {{ subscriber.attributes.seats }} seats have it."
        "{% else %}The whole team has it.{% endif %}"
    ),
    (
        "{% for part in ['phones', 'tablets', 'desks'] %}{{ loop.index }}. For {{ part }} in "
        "{{ subscriber.attributes.city }}. {% endfor %}"
    ),
    (
        "{% if subscriber.attributes.plan == 'team' %}Good news for your team at "
        "{{ subscriber.attributes.company }}.{% elif subscriber.attributes.plan == 'free' %}It costs nothing."
        "{% else %}Talk to us, {{ subscriber.first_name|upper }}.{% endif %}"
    ),
    "{{ subscriber.first_name|default('Friend')|title }}, this one is for you.",
    "{% if subscriber.attributes.since %}With us since {{ subscriber.attributes.since }}.{% endif %}",
)

_PLAN = "{{ subscriber.attributes.plan }}"


def write_campaign(home: Path, slug: str, kind: Kind, topic: str = TOPIC) -> None:
    """Write a campaign and its frame into a home folder; ``rich`` has conditions, loops and filters."""
    frame = home / "templates" / "emails" / "measured"
    _write(frame, "body.html", _FRAME)
    _write(frame, "body.txt", _FRAME_TEXT)
    _write(frame, "template.toml", 'description = "The frame of what is measured."\n')
    folder = home / "campaigns" / slug
    words = _PERSONAL if kind == "plain" else _RICH
    _write(folder, "campaign.toml", _CAMPAIGN.replace("TOPIC", topic))
    hello = '<p style="margin:0 0 14px">Hello {{ subscriber.first_name }},</p>\n'
    _write(folder, "body.html", hello + _stories(_STORY, words))
    _write(
        folder, "body.txt", "Hello {{ subscriber.first_name }},\n\n" + _stories(_TEXT_STORY, words)
    )


def _stories(form: str, words: tuple[str, ...]) -> str:
    return "\n".join(
        form.format(title=title, slug=slug, plan=_PLAN, about=words[number % len(words)])
        for number, (title, slug) in enumerate(_STORIES)
    )


def _write(folder: Path, name: str, text: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
