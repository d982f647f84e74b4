"""Topics come from a file; the words people agreed to stay as they were."""

import hashlib
from pathlib import Path

import pytest

from prefcentre.consent import service
from prefcentre.consent.service import AppliedTopics, LawfulBasis, Topic
from prefcentre.context import Context
from prefcentre.errors import ContentError, NotFound

NEWS = """
[[topic]]
key = "product-news"
name = "Product news"
description = "New features, about twice a month."
channels = ["email", "post"]
lawful_basis = "consent"
double_opt_in = true
"""
EVENTS = """
[[topic]]
key = "events"
name = "Events"
channels = ["sms"]
lawful_basis = "legitimate_interest"
double_opt_in = false
list_label = "our-events"
wording.en = "Yes, text me."
wording.bg = "Да, пишете ми."
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "topics.toml"


def apply(context: Context, file: Path, text: str) -> AppliedTopics:
    file.write_text(text)
    with context.db.writing() as session:
        return service.apply_topics(session, context, file)


def topics(context: Context) -> list[Topic]:
    with context.db.reading() as session:
        return service.topics(session)


def words(context: Context, key: str, language: str | None) -> tuple[int, str]:
    with context.db.reading() as session:
        topic = service.topic(session, key)
        found = service.current_wording(session, topic.id or 0, language)
    assert found.sha256 == hashlib.sha256(found.text.encode()).hexdigest()
    return found.version, found.text


def test_topics_are_taken_from_the_file_in_its_order(any_context: Context, file: Path) -> None:
    done = apply(any_context, file, EVENTS + NEWS)
    assert (done.added, done.new_wordings) == (["events", "product-news"], 3)
    events, news = topics(any_context)
    assert (events.name, events.channels, events.lawful_basis, events.double_opt_in) == (
        "Events",
        ["sms"],
        LawfulBasis.LEGITIMATE_INTEREST,
        False,
    )
    assert (events.list_label, news.list_label) == ("our-events", "product-news")
    assert news.channels == ["email", "post"]


def test_applying_again_changes_nothing(any_context: Context, file: Path) -> None:
    apply(any_context, file, NEWS + EVENTS)
    done = apply(any_context, file, NEWS + EVENTS)
    assert done == AppliedTopics(unchanged=["product-news", "events"])


def test_other_words_make_a_new_version_in_each_language(any_context: Context, file: Path) -> None:
    apply(any_context, file, EVENTS)
    assert words(any_context, "events", "bg") == (1, "Events\nДа, пишете ми.")
    done = apply(any_context, file, EVENTS.replace('name = "Events"', 'name = "Meetings"'))
    assert (done.changed, done.new_wordings) == (["events"], 2)
    assert words(any_context, "events", "bg") == (2, "Meetings\nДа, пишете ми.")
    assert words(any_context, "events", "en") == (2, "Meetings\nYes, text me.")


def test_a_changed_description_is_a_new_wording_of_its_own(
    any_context: Context, file: Path
) -> None:
    apply(any_context, file, NEWS)
    apply(any_context, file, NEWS.replace("twice", "once"))
    assert words(any_context, "product-news", "en") == (
        2,
        "Product news: New features, about once a month.",
    )


def test_a_changed_channel_changes_the_topic_and_no_words(any_context: Context, file: Path) -> None:
    apply(any_context, file, NEWS)
    done = apply(any_context, file, NEWS.replace('["email", "post"]', '["email"]'))
    assert (done.changed, done.new_wordings) == (["product-news"], 0)
    assert topics(any_context)[0].channels == ["email"]


@pytest.mark.parametrize(
    ("language", "text"), [("bg", "Да"), ("bg-BG", "Да"), ("fr", "Yes"), (None, "Yes")]
)
def test_words_come_in_the_nearest_language_there_is(
    context: Context, file: Path, language: str | None, text: str
) -> None:
    apply(context, file, EVENTS)
    assert text in words(context, "events", language)[1]


GERMAN = """
[topic.text.de]
name = "Neuigkeiten"
description = "Etwa zweimal im Monat."
"""


def test_a_topic_is_called_by_its_name_in_each_language(any_context: Context, file: Path) -> None:
    apply(any_context, file, NEWS + GERMAN)
    (topic,) = topics(any_context)
    assert service.topic_texts(topic, "de-AT") == ("Neuigkeiten", "Etwa zweimal im Monat.")
    assert service.topic_texts(topic, "fr").name == "Product news"
    assert words(any_context, "product-news", "de") == (1, "Neuigkeiten: Etwa zweimal im Monat.")
    assert words(any_context, "product-news", "fr")[1].startswith("Product news: ")


def test_other_words_in_one_language_are_a_new_version_there_only(
    any_context: Context, file: Path
) -> None:
    apply(any_context, file, NEWS + GERMAN)
    done = apply(any_context, file, NEWS + GERMAN.replace("zweimal", "dreimal"))
    assert (done.changed, done.new_wordings) == (["product-news"], 1)
    assert words(any_context, "product-news", "de") == (2, "Neuigkeiten: Etwa dreimal im Monat.")
    assert words(any_context, "product-news", "en")[0] == 1


def test_how_long_an_implied_consent_stands_is_said_in_months_or_years(
    context: Context, file: Path
) -> None:
    apply(context, file, NEWS + 'valid_for = "2 years"')
    assert topics(context)[0].implied_months == 24
    apply(context, file, NEWS + 'valid_for = "6 months"')
    assert topics(context)[0].implied_months == 6
    with pytest.raises(ContentError, match="valid_for: “soon” can't be used"):
        apply(context, file, NEWS + 'valid_for = "soon"')


def test_a_topic_that_the_file_leaves_out_is_kept_and_told(
    any_context: Context, file: Path
) -> None:
    apply(any_context, file, NEWS + EVENTS)
    done = apply(any_context, file, NEWS)
    assert done.kept == ["events"]
    assert [topic.key for topic in topics(any_context)] == ["product-news", "events"]


def test_the_label_in_list_id_never_changes(context: Context, file: Path) -> None:
    apply(context, file, EVENTS)
    apply(context, file, EVENTS.replace('list_label = "our-events"\n', ""))
    assert topics(context)[0].list_label == "our-events"
    with pytest.raises(ContentError, match=r"topics\.toml: topic “events”: list_label is"):
        apply(context, file, EVENTS.replace("our-events", "others"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[[topic\n", r"topics\.toml: This is not TOML: .*line 1"),
        ("", r"There is no \[\[topic\]\]"),
        ("[topics]\n", "“topics” is not known"),
        (NEWS + NEWS, "topic “product-news”: another topic has the key"),
        (NEWS.replace('"product-news"', '"Product News"'), "key: “Product News” can't be used"),
        (NEWS.replace('key = "product-news"\n', ""), "topic number 1: key: is missing"),
        (NEWS.replace("post", "fax"), r"channels\.1: “fax” is not known; there are .*'post'"),
        (NEWS.replace('["email", "post"]', "[]"), "channels: .*at least 1 item"),
        (NEWS.replace("= true", '= "yes"'), "double_opt_in: "),
        (NEWS.replace('"consent"', '"because"'), "lawful_basis: “because” is not known"),
        (NEWS + 'colour = "red"', "colour: there is no such key; there are key, name"),
        (NEWS + 'list_label = "a b"', "list_label: “a b” can't be used"),
        (NEWS.replace("Product news", ""), "name: “” can't be used"),
        (NEWS + '[topic.wording]\nEnglish = "Yes"', "wording.English: “English” can't be used"),
    ],
)
def test_a_mistake_is_told_by_file_topic_and_key(
    context: Context, file: Path, text: str, words: str
) -> None:
    with pytest.raises(ContentError, match=words):
        apply(context, file, text)
    assert topics(context) == []


def test_a_missing_file_or_topic_is_told(context: Context, file: Path) -> None:
    with pytest.raises(NotFound, match="There is no file"), context.db.writing() as session:
        service.apply_topics(session, context, file)
    apply(context, file, NEWS)
    with pytest.raises(NotFound, match="there are: product-news"):
        words(context, "events", "en")
