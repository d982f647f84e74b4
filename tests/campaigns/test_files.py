from pathlib import Path

import pytest

from prefcentre.campaigns import files
from prefcentre.campaigns.files import CampaignSource
from prefcentre.campaigns.models import BodyFormat
from prefcentre.errors import ContentError, NotFound
from prefcentre.settings import Settings

TOML = """\
topic = "product-news"
template = "letter"
subject = "Hello"
from = "Acme <news@mail.example.com>"
"""


def write(settings: Settings, toml: str = TOML, name: str = "mine", **bodies: str) -> None:
    folder = settings.campaigns_dir / name
    folder.mkdir(parents=True)
    (folder / "campaign.toml").write_text(toml)
    for ending, text in (bodies or {"md": "Words."}).items():
        (folder / f"body.{ending}").write_text(text)


def test_a_campaign_in_the_smallest_form_has_defaults_for_the_rest(settings: Settings) -> None:
    write(settings)
    source = files.read_source(settings, "mine")
    assert (source.topic, source.subject, source.name) == ("product-news", "Hello", "mine")
    assert (source.sender_name, source.sender_email) == ("Acme", "news@mail.example.com")
    assert (source.body, source.body_format, source.text) == ("Words.", BodyFormat.MARKDOWN, None)
    assert (source.track_opens, source.track_clicks) == (True, True)
    assert (source.reply_to, source.preheader, source.start_at) == (None, "", None)
    assert source.frame.name == "letter"
    assert source.limits == {}


def test_everything_that_can_be_said_is_read(settings: Settings) -> None:
    toml = TOML + (
        'reply_to = "hello@example.com"\npreheader = "Soon"\nname = "Mine"\n'
        "[tracking]\nopens = false\nclicks = true\n[schedule]\nstart_at = 2026-12-01T09:00:00+02:00\n"
    )
    write(settings, toml, html="<p>Words</p>", txt="Words")
    source = files.read_source(settings, "mine")
    assert (source.reply_to, source.preheader, source.name) == ("hello@example.com", "Soon", "Mine")
    assert (source.track_opens, source.track_clicks) == (False, True)
    assert source.start_at == "2026-12-01T09:00:00+02:00"
    assert (source.body_format, source.text) == (BodyFormat.HTML, "Words")


WINDOW = 'days = ["mon", "fri"]\nfrom = "22:00"\nto = 06:00:00\nzone = "Europe/Sofia"\n'


def test_a_campaign_has_a_pace_and_hours_of_its_own(settings: Settings) -> None:
    toml = f"{TOML}[throttle]\nper_second = 0.5\nper_day = 20_000\n[send_window]\n{WINDOW}"
    write(settings, toml)
    assert files.read_source(settings, "mine").limits == {
        "per_second": 0.5,
        "per_day": 20_000,
        "send_window": {
            "days": ["mon", "fri"],
            "from": "22:00",
            "to": "06:00",
            "zone": "Europe/Sofia",
        },
    }


@pytest.mark.parametrize(
    ("lines", "words", "line"),
    [
        ("[throttle]\nper_second = 0\n", "“throttle.per_second” must be a number, at least", 6),
        ("[throttle]\nper_second = inf\n", "must be a number", 6),
        ("[throttle]\nper_minute = 0.5\n", "“throttle.per_minute” must be a whole number", 6),
        ('[throttle]\nper_hour = "many"\n', "“throttle.per_hour” must be a whole number", 6),
        ("[throttle]\nper_day = true\n", "“throttle.per_day” must be a whole number", 6),
        ("[throttle]\nper_week = 5\n", "“throttle.per_week” is not known", 6),
        ("throttle = 5\n", "“throttle” must be a table", 5),
        ("[send_window]\n", "“send_window.days” is missing", 5),
        (f"[send_window]\n{WINDOW}".replace('"mon"', '"Monday"'), "list of mon, tue", 6),
        (f"[send_window]\n{WINDOW}".replace('["mon", "fri"]', '"mon"'), "list of mon, tue", 6),
        (f"[send_window]\n{WINDOW}".replace('["mon", "fri"]', "[]"), "list of mon, tue", 6),
        (f"[send_window]\n{WINDOW}".replace("22:00", "22"), "“22” is not a time of day", 7),
        (f"[send_window]\n{WINDOW}".replace("22:00", "24:00"), "beginning and an end", 8),
        (f"[send_window]\n{WINDOW}".replace("22:00", "06:00"), "beginning and an end", 8),
        (f"[send_window]\n{WINDOW}".replace("Sofia", "Sofa"), "“Europe/Sofa” is not a time", 9),
        (f"[send_window]\n{WINDOW}pause = 1\n", "“send_window.pause” is not known", 10),
    ],
)
def test_a_mistake_in_pace_or_hours_is_reported_with_its_key_and_line(
    settings: Settings, lines: str, words: str, line: int
) -> None:
    write(settings, TOML + lines)
    with pytest.raises(ContentError, match=words) as caught:
        files.read_source(settings, "mine")
    assert caught.value.line == line


def test_a_source_comes_back_from_its_stored_form(settings: Settings) -> None:
    write(settings, f"{TOML}[throttle]\nper_hour = 5\n[send_window]\n{WINDOW}")
    source = files.read_source(settings, "mine")
    assert CampaignSource.from_json(source.to_json()) == source


@pytest.mark.parametrize("slug", ["spring-release", "founders-letter"])
def test_the_worked_examples_are_found_without_any_files_of_ones_own(
    settings: Settings, slug: str
) -> None:
    assert files.read_source(settings, slug).slug == slug
    assert slug in files.campaign_slugs(settings)


def test_ones_own_campaign_and_template_win_over_the_shipped_ones(settings: Settings) -> None:
    write(settings, name="spring-release", md="Mine.")
    folder = settings.templates_dir / "letter"
    folder.mkdir(parents=True)
    (folder / "template.toml").write_text("")
    (folder / "body.html").write_text("<p>{{ content }}</p>")
    (folder / "body.txt").write_text("{{ content }}")
    source = files.read_source(settings, "spring-release")
    assert source.body == "Mine."
    assert source.frame.body == "<p>{{ content }}</p>"


def test_a_campaign_that_is_not_there_is_answered_with_those_that_are(settings: Settings) -> None:
    with pytest.raises(NotFound, match=r"“nope”.*campaigns/nope/campaign.toml.*spring-release"):
        files.read_source(settings, "nope")


@pytest.mark.parametrize("slug", ["../secrets", "/etc", "a/b", "."])
def test_a_name_can_not_lead_out_of_the_folder(settings: Settings, slug: str) -> None:
    outside = settings.home / "secrets"
    outside.mkdir()
    (outside / "campaign.toml").write_text(TOML)
    with pytest.raises(NotFound):
        files.read_source(settings, slug)


@pytest.mark.parametrize(
    ("toml", "words", "line"),
    [
        ("topic = \n", "not TOML", 1),
        (TOML + "colour = 1\n", "“colour” is not known", 5),
        (TOML + "[tracking]\nopen = true\n", "“tracking.open” is not known", 6),
        (TOML + "[tracking]\nopens = 1\n", "“tracking.opens” must be true or false", 6),
        (TOML.replace('"Hello"', "5"), "“subject” must be text", 3),
        (TOML.replace('"Hello"', '""'), "what the mail is about", 3),
        (TOML.replace("topic", "tpoic"), "“topic” is missing", None),
        (TOML.replace("letter", "lettre"), "no template “lettre”.*letter, newsletter", 2),
        (TOML.replace("<news@mail.example.com>", "<news@>"), "not an e-mail address", 4),
        (TOML.replace("Acme <", "Acme, Inc <"), "exactly one address", 4),
        (TOML.replace("news@mail.example.com", "a@example.com>, <b@example.com"), "exactly one", 4),
        (TOML + "[schedule]\nstart_at = 2026-12-01T09:00:00\n", "with a zone", 6),
    ],
)
def test_a_mistake_is_reported_with_its_file_and_line(
    settings: Settings, toml: str, words: str, line: int | None
) -> None:
    write(settings, toml)
    with pytest.raises(ContentError, match=words) as caught:
        files.read_source(settings, "mine")
    assert caught.value.file == "campaigns/mine/campaign.toml"
    assert caught.value.line == line


def test_exactly_one_body_is_needed(settings: Settings) -> None:
    write(settings, md="a", html="b")
    with pytest.raises(ContentError, match=r"body\.md and body\.html"):
        files.read_source(settings, "mine")


def test_a_file_that_is_too_large_or_not_text_is_refused(settings: Settings) -> None:
    write(settings, md="a" * (files.MAX_FILE_BYTES + 1))
    with pytest.raises(ContentError, match="512 KB is the most"):
        files.read_source(settings, "mine")
    Path(settings.campaigns_dir / "mine" / "body.md").write_bytes(b"good\nbad \xff\n")
    with pytest.raises(ContentError, match="not UTF-8") as caught:
        files.read_source(settings, "mine")
    assert caught.value.line == 2
