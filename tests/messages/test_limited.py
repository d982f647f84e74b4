import contextlib
import subprocess
import sys
from dataclasses import replace

import pytest

from prefcentre.campaigns.service import BodyFormat
from prefcentre.errors import ContentError
from prefcentre.messages import children, limited
from prefcentre.messages.compiling import compile_source
from prefcentre.messages.service import Compiled, Recipient
from prefcentre.messages.values import Trial
from prefcentre.settings import Settings
from tests.messages.conftest import ADA, MakeSource

pytestmark = pytest.mark.usefixtures("tried_apart")
MINE = Compiled(
    subject="Hello",
    html="<p>x</p>\n",
    text="x\n",
    sender_name="Acme",
    sender_email="news@mail.example.com",
)
GROWING = "{% set a = 'xxxxxxxxxx' %}" + "{% set a = a ~ a %}" * 40 + "{{ a }}"


def tried(settings: Settings, html: str, *samples: Recipient) -> Trial:
    return limited.try_out(settings, replace(MINE, html=html), "mine", "News", samples)


def test_what_is_missing_is_counted_and_the_rest_is_rendered(mail_settings: Settings) -> None:
    without = replace(ADA, attributes={})
    found = tried(mail_settings, "<p>{{ subscriber.attributes.city }}</p>", ADA, without, without)
    assert (found.tried, dict(found.missing), found.failures) == (
        3,
        {"subscriber.attributes.city": 2},
        (),
    )
    assert found.html == "<p></p>"


def test_other_mistakes_are_told_once(mail_settings: Settings) -> None:
    found = tried(
        mail_settings, "<p>{{ 1 / (subscriber.attributes.seats|default(1) - 3) }}</p>", ADA, ADA
    )
    assert len(found.failures) == 1
    assert "division by zero" in found.failures[0]


@pytest.mark.parametrize(
    "bomb", [GROWING, GROWING.replace("a ~ a", "a|replace('x', 'xxxxxxxxxxxxxxxx')")]
)
def test_a_text_that_grows_without_end_is_stopped_in_words(
    mail_settings: Settings, bomb: str
) -> None:
    with pytest.raises(ContentError, match=r"was stopped\. Look for loops inside loops"):
        tried(mail_settings, bomb)


def test_the_child_is_given_no_keys_of_ours(
    mail_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, object] = {}

    def run(command: list[str], **options: object) -> None:
        seen.update(options)
        raise subprocess.TimeoutExpired(command, 1)

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(ContentError):
        tried(mail_settings, "x", ADA)
    assert seen["env"] == {}
    for key in (*mail_settings.secret_keys, *mail_settings.tracking_keys):
        assert key.get_secret_value() not in str(seen["input"])


def test_compiling_in_the_child_gives_what_compiling_here_gives(
    mail_settings: Settings, make_source: MakeSource
) -> None:
    source = make_source("Hello {{ subscriber.name }}, [a](https://www.example.com/a)")
    assert limited.compile_source(mail_settings, source) == compile_source(source, mail_settings)


def test_a_mistake_comes_back_from_the_child_as_it_was(
    mail_settings: Settings, make_source: MakeSource
) -> None:
    with pytest.raises(ContentError) as caught:
        limited.compile_source(mail_settings, make_source("a\n{{ subscriber.frist_name }}"))
    assert (caught.value.line, caught.value.variable) == (2, "subscriber.frist_name")
    assert str(caught.value).startswith("campaigns/founders-letter/body.md, line 2: There is no")


@pytest.mark.parametrize(
    ("body", "form"),
    [
        pytest.param("<!--" * 60_000, BodyFormat.HTML, id="comments"),
        pytest.param("![[]()" * 60_000, BodyFormat.MARKDOWN, id="images"),
        pytest.param("<title" * 60_000, BodyFormat.HTML, id="titles", marks=pytest.mark.full),
        pytest.param("<a " * 100_000, BodyFormat.HTML, id="anchors", marks=pytest.mark.full),
        pytest.param('<a href="' * 50_000, BodyFormat.HTML, id="hrefs", marks=pytest.mark.full),
        pytest.param(
            "<a href='https://a.example/x'>" * 15_000,
            BodyFormat.HTML,
            id="links",
            marks=pytest.mark.full,
        ),
        pytest.param("[" * 100_000, BodyFormat.MARKDOWN, id="brackets", marks=pytest.mark.full),
        pytest.param("*a_ " * 90_000, BodyFormat.MARKDOWN, id="stars", marks=pytest.mark.full),
        pytest.param("{{ " * 100_000, BodyFormat.HTML, id="jinja", marks=pytest.mark.full),
    ],
)
def test_a_source_made_to_be_slow_ends_within_the_childs_limits(
    mail_settings: Settings, make_source: MakeSource, body: str, form: BodyFormat
) -> None:
    with contextlib.suppress(ContentError):
        limited.compile_source(mail_settings, make_source(body, form))


def test_a_child_that_waits_answers_as_one_that_was_just_started(
    mail_settings: Settings, make_source: MakeSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready = children._Ready(wanted=True)
    monkeypatch.setattr(children, "_ready", ready)
    source = make_source("Hello {{ subscriber.name }}, [a](https://www.example.com/a)")
    first = limited.compile_source(mail_settings, source)
    waiting = ready.child
    assert waiting is not None
    assert limited.compile_source(mail_settings, source) == first
    assert waiting.returncode == 0
    last = ready.take()
    assert last is not None
    assert last is not waiting
    last.kill()
    last.communicate()


def test_a_child_that_died_while_it_waited_is_replaced(
    mail_settings: Settings, make_source: MakeSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = children._start([sys.executable, "-c", ""])
    dead.wait()
    monkeypatch.setattr(children, "_ready", children._Ready(child=dead))
    assert limited.compile_source(mail_settings, make_source("Hello")).text
