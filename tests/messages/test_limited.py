import subprocess
from dataclasses import replace

import pytest

from prefcentre.errors import ContentError
from prefcentre.messages import limited
from prefcentre.messages.service import Compiled, Recipient
from prefcentre.messages.values import Trial
from prefcentre.settings import Settings
from tests.messages.conftest import ADA

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
