from dataclasses import replace

import pytest

from prefcentre.accounts import SmtpAccount
from prefcentre.campaigns import service as campaigns
from prefcentre.context import Context
from prefcentre.messages import service as messages
from prefcentre.messages.service import Finding, Level
from prefcentre.settings import Brand
from prefcentre.testing.makers import Cast
from tests.messages.conftest import ADA


def found(context: Context, slug: str = "spring-release", **changes: object) -> list[Finding]:
    source = replace(campaigns.read_source(context.settings, slug), **changes)  # type: ignore[arg-type]
    compiled = messages.compile_campaign(source, context.settings)
    with context.db.reading() as session:
        return messages.preflight(session, context, source, compiled, [ADA])


@pytest.mark.parametrize("slug", ["spring-release", "founders-letter"])
def test_the_worked_examples_pass_with_nothing_but_the_domain_to_look_at(
    context: Context, cast: Cast, slug: str
) -> None:
    assert [(finding.level, finding.name) for finding in found(context, slug)] == [
        (Level.WARNING, "sender_domain")
    ]


def test_a_verified_domain_leaves_nothing_to_say(context: Context, cast: Cast) -> None:
    with context.db.writing() as session:
        campaigns.record_domain_check(
            session, context, "mail.example.com", verified=True, findings={}
        )
    assert found(context) == []


def test_errors_come_first_and_each_has_its_name(context: Context, cast: Cast) -> None:
    broken = "Words for {{ subscriber.attributes.nobody_has }}\n"
    findings = found(context, "founders-letter", body=broken, topic="nope", subject="Re: you")
    assert [finding.name for finding in findings] == [
        "topic",
        "variables",
        "sender_domain",
        "subject",
    ]
    assert [finding.level for finding in findings] == [Level.ERROR] * 2 + [Level.WARNING] * 2


@pytest.mark.usefixtures("tried_apart")
def test_a_template_bomb_is_an_error_among_others(context: Context, cast: Cast) -> None:
    bomb = "{% set a = 'xxxxxxxxxx' %}" + "{% set a = a ~ a %}" * 40 + "{{ a }}"
    assert "template" in [finding.name for finding in found(context, "founders-letter", body=bomb)]


def test_a_brand_without_an_address_can_not_send(context: Context, cast: Cast) -> None:
    bare = replace(
        context, settings=context.settings.model_copy(update={"brand": Brand(name="Acme")})
    )
    assert [finding.name for finding in found(bare) if finding.level is Level.ERROR] == [
        "postal_address"
    ]


def with_servers(context: Context, *urls: str) -> Context:
    accounts = tuple(
        SmtpAccount.model_validate({"name": f"no-{number}", "url": url})
        for number, url in enumerate(urls)
    )
    changes = {"smtp_url": None, "smtp_accounts": accounts}
    return replace(context, settings=context.settings.model_copy(update=changes))


def test_one_of_several_mail_servers_elsewhere_is_enough_for_the_domain_to_count(
    context: Context, cast: Cast
) -> None:
    near, far = "smtp://127.0.0.1", "smtps://mail.example.com"
    assert [(one.level, one.name) for one in found(with_servers(context, near, near))] == [
        (Level.WARNING, "sender_domain")
    ]
    assert [(one.level, one.name) for one in found(with_servers(context, near, far))] == [
        (Level.ERROR, "sender_domain")
    ]


def test_no_mail_server_at_all_is_warned_of(context: Context, cast: Cast) -> None:
    assert "smtp" in [finding.name for finding in found(with_servers(context))]


def test_a_frame_without_unsubscribe_link_is_refused(context: Context, cast: Cast) -> None:
    frame = campaigns.read_frame(context.settings, "letter")
    without = replace(frame, body=frame.body.replace("{{ links.unsubscribe }}", "{{ links.why }}"))
    findings = found(context, "founders-letter", frame=without)
    assert [finding.name for finding in findings if finding.level is Level.ERROR] == ["unsubscribe"]
