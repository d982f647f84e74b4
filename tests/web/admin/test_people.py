"""People on the desk: found, seen whole, answered for, and acted for; each act leaves a trace and loses nothing typed."""

import io
import json
import re
from typing import Any

import pytest
from werkzeug.test import TestResponse

from prefcentre.audit import service as audit
from prefcentre.campaigns.models import Campaign
from prefcentre.consent import service as consents
from prefcentre.context import Context
from prefcentre.imports import desk as imports
from prefcentre.people import importing
from prefcentre.subscribers import service as subscribers
from prefcentre.subscribers.models import Subscriber
from prefcentre.suppression import service as suppression
from prefcentre.testing.makers import Cast
from tests.web.admin.conftest import PASSWORD, Desk, post

CSV = b"email,name,city\neve@example.org,Eve,Sofia\nada@example.org,Ada King,\nbroken,X,\n"


def words(page: TestResponse) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", page.text).split())


def home(person: Subscriber) -> str:
    return f"/admin/people/{person.public_id}"


def again(context: Context, person: Subscriber) -> Subscriber:
    with context.db.reading() as session:
        found = subscribers.by_id(session, person.id or 0)
    assert found is not None
    return found


def acts(context: Context) -> list[tuple[str, str]]:
    with context.db.reading() as session:
        found = [(event.action.value, event.actor[:6]) for event in audit.newest(session)]
    return [one for one in found if one[0] != "staff_signed_in"]


# --- the list and the page ------------------------------------------------------------------------------------------


def test_people_are_listed_and_found(desk: Desk, cast: Cast) -> None:
    viewer = desk("viewer")
    page = viewer.get("/admin/people")
    assert "ada@example.org" in page.text
    assert "4 people" in words(page)
    page = viewer.get("/admin/people?text=lovel&language=en")
    assert "ada@example.org" in page.text
    assert "dan@example.org" not in page.text
    page = viewer.get("/admin/people?topic=nothing")
    assert page.status_code == 400
    assert "There is no topic" in page.text


def test_an_empty_list_teaches_what_to_do(desk: Desk) -> None:
    assert "Nobody here yet" in desk("viewer").get("/admin/people").text


def test_one_page_shows_everything_about_a_person(desk: Desk, cast: Cast) -> None:
    page = desk("viewer").get(home(cast.dan))
    assert page.status_code == 200
    for text in (
        "dan@example.org",
        "Product news",
        "granted",
        "Mailbox does not exist any more · everywhere",
        "Confirmed",
    ):
        assert text in words(page), text
    assert "Withdraw a consent" not in page.text
    assert desk("viewer").get("/admin/people/12345").status_code == 404


def test_why_is_answered_in_words(desk: Desk, cast: Cast, context: Context) -> None:
    with context.db.writing() as session:
        now = context.clock.now()
        session.add(Campaign(slug="spring", topic_id=cast.news.id or 0, created_at=now))
    page = words(desk("viewer").get(f"{home(cast.cleo)}?campaign=spring"))
    assert "No. They withdrew their consent to this topic by email." in page
    assert "Yes, as everything stands now." in words(
        desk("viewer").get(f"{home(cast.ada)}?campaign=spring")
    )
    assert "nothing" in words(desk("viewer").get(f"{home(cast.ada)}?campaign=nothing"))


# --- acts -----------------------------------------------------------------------------------------------------------


def test_corrections_are_saved_and_mistakes_lose_nothing(
    desk: Desk, cast: Cast, context: Context
) -> None:
    sender = desk("sender")
    form: dict[str, Any] = {
        "name": "Ada King",
        "language": "bg",
        "attribute": ["plan", ""],
        "value": ["team", ""],
    }
    assert post(sender, f"{home(cast.ada)}/edit", form).status_code == 303
    ada = again(context, cast.ada)
    assert (ada.name, ada.language, dict(ada.attributes)) == ("Ada King", "bg", {"plan": "team"})
    page = post(
        sender, f"{home(cast.ada)}/edit", form | {"timezone": "Mars/North", "name": "Typed"}
    )
    assert page.status_code == 400
    assert "Europe/Sofia" in page.text
    assert 'value="Typed"' in page.text
    assert again(context, cast.ada).name == "Ada King"
    assert ("edited", "staff:") in acts(context)


def test_a_consent_is_withdrawn_at_their_wish_with_a_note(
    desk: Desk, cast: Cast, context: Context
) -> None:
    officer = desk("privacy_officer")
    place = {"place": "product-news:email"}
    page = post(officer, f"{home(cast.ada)}/withdraw", place)
    assert page.status_code == 400
    assert "how and when" in page.text
    assert (
        post(officer, f"{home(cast.ada)}/withdraw", place | {"note": "By phone"}).status_code == 303
    )
    with context.db.reading() as session:
        event = consents.history(session, context, cast.ada)[-1]
        standing = suppression.check(session, context, "ada@example.org")
    assert (event["action"], event["method"]) == ("withdrawn", "staff")
    assert event["evidence"] == {"note": "By phone"}
    assert [(entry.scope, entry.reason.value) for entry in standing] == [
        ("product-news:email", "topic")
    ]


def _grant(context: Context, cast: Cast, **more: str) -> dict[str, str]:
    with context.db.reading() as session:
        wording = consents.current_wording(session, cast.events.id or 0, "en")
    return {
        "topic": "events",
        "channel": "email",
        "way": "paper",
        "given_on": "2026-11-01",
        "wording": str(wording.id),
        "evidence": "Form 17, binder 3",
        **more,
    }


def test_a_consent_on_paper_is_recorded_with_proof_and_words(
    desk: Desk, cast: Cast, context: Context
) -> None:
    sender = desk("sender")
    assert post(sender, f"{home(cast.ben)}/grant", _grant(context, cast)).status_code == 303
    with context.db.reading() as session:
        event = consents.history(session, context, cast.ben)[-1]
    assert (event["action"], event["method"], event["topic"]) == ("granted", "paper", "events")
    assert event["evidence"] == {"proof": "Form 17, binder 3"}
    assert event["wording"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"evidence": " "}, "proves"),
        ({"wording": "999"}, "words"),
        ({"given_on": "2027-01-01"}, "future"),
        ({"given_on": "yesterday"}, "day"),
        ({"way": "dream"}, "how"),
        ({"channel": "post"}, "no channel"),
    ],
)
def test_a_gap_in_the_proof_is_told(
    desk: Desk, cast: Cast, context: Context, change: dict[str, str], told: str
) -> None:
    page = post(desk("sender"), f"{home(cast.ben)}/grant", _grant(context, cast, **change))
    assert page.status_code == 400
    assert told in words(page)


def test_a_deny_is_never_lifted_by_a_grant(desk: Desk, cast: Cast, context: Context) -> None:
    page = post(desk("sender"), f"{home(cast.dan)}/grant", _grant(context, cast))
    assert page.status_code == 400
    assert "hard_bounce" in page.text
    # Cleo withdrew at 10:00 of the day that a form of the day before is recorded.
    with context.db.reading() as session:
        wording = consents.current_wording(session, cast.news.id or 0, "en")
    late = _grant(context, cast, topic="product-news", wording=str(wording.id))
    assert "later than" in words(post(desk("sender"), f"{home(cast.cleo)}/grant", late))


def test_breaks_restrictions_links_and_entries(desk: Desk, cast: Cast, context: Context) -> None:
    admin = desk("admin")
    base = home(cast.ada)
    for act, form in (
        ("pause", {"until": "2026-12-01"}),
        ("pause", {"until": ""}),
        ("link", {}),
        ("restrict", {"note": "They dispute it"}),
        ("unrestrict", {"note": "Settled"}),
        ("suppress", {"scope": "sms", "reason": "manual", "note": "Asked by letter"}),
        ("lift", {"scope": "sms", "reason": "manual", "note": "They asked again"}),
    ):
        answer = post(admin, f"{base}/{act}", form)
        assert answer.status_code == 303, (act, words(answer))
        assert admin.get(answer.location).status_code == 200
    for act, form in (
        ("pause", {"until": "2031-12-01"}),
        ("restrict", {"note": ""}),
        ("unrestrict", {"note": "x"}),
        ("suppress", {"scope": "moon", "reason": "manual", "note": "x"}),
        ("lift", {"scope": "sms", "reason": "manual", "note": "twice"}),
        ("lift", {"scope": "all", "reason": "nonsense", "note": "x"}),
    ):
        answer = post(admin, f"{base}/{act}", form)
        assert answer.status_code == 400, act
        assert "Nothing was changed." in answer.text
    assert len([act for act in acts(context) if act[0] != "looked_at"]) == 7


def test_what_staff_may_not_lift_stays(desk: Desk, cast: Cast, context: Context) -> None:
    admin = desk("admin")
    form = {"scope": "all", "reason": "hard_bounce", "note": "They say it works"}
    assert post(admin, f"{home(cast.dan)}/lift", form).status_code == 303
    with context.db.writing() as session:
        for reason in (
            suppression.parse_reason("hard_bounce"),
            suppression.parse_reason("complaint"),
        ):
            suppression.suppress(
                session, context, email="dan@example.org", scope="all", reason=reason, source="t"
            )
    assert "lifted by staff before" in words(post(admin, f"{home(cast.dan)}/lift", form))
    form["reason"] = "complaint"
    assert post(admin, f"{home(cast.dan)}/lift", form).status_code == 400


def test_everything_about_a_person_is_given_as_a_file(
    desk: Desk, cast: Cast, context: Context
) -> None:
    sender = desk("sender")
    page = post(sender, f"{home(cast.ada)}/export", {"_proof": PASSWORD})
    assert page.status_code == 200, words(page)
    assert page.headers["Content-Disposition"].startswith("attachment")
    data = json.loads(page.text)
    assert data["email"] == "ada@example.org"
    assert {one["topic"] for one in data["held"]["consents"]["consent"]} == {
        "Product news",
        "Events",
    }
    assert ("person_exported", "staff:") in acts(context)


# --- importing ------------------------------------------------------------------------------------------------------


def _upload(client: Any, octets: bytes = CSV, name: str = "people.csv") -> str:
    answer = post(client, "/admin/people/import", {"file": (io.BytesIO(octets), name)})
    assert answer.status_code == 303, words(answer)
    return str(answer.location)


def test_a_file_goes_all_the_way_and_back(desk: Desk, cast: Cast, context: Context) -> None:
    sender = desk("sender")
    page = _upload(sender)
    text = sender.get(page).text
    assert "eve@example.org" in text
    columns = {"column": ["email", "name", "city"], "field": ["email", "name", "attribute"]}
    consent = {"topic": "product-news", "channel": "email", "basis": "consent", "source": "Fair"}
    assert post(sender, f"{page}/check", columns | consent).status_code == 303
    assert "Checking every line" in sender.get(page).text
    assert "HX-Redirect" not in sender.get(f"{page}/progress").headers
    importing.work(context)
    assert "HX-Redirect" in sender.get(f"{page}/progress").headers
    text = words(sender.get(page))
    assert "What it would do" in text
    assert "Ada Lovelace → Ada King" in text
    assert "Import 2 people now" in text
    changes = sender.get(f"{page}/changes.csv")
    if changes.status_code == 403:
        post(sender, "/admin/prove", {"_proof": PASSWORD, "password": PASSWORD, "next": page})
        changes = sender.get(f"{page}/changes.csv")
    assert changes.status_code == 200, words(changes)
    assert "added,eve@example.org" in changes.text
    assert post(sender, f"{page}/run").status_code == 303
    importing.work(context)
    text = words(sender.get(page))
    assert "What it did" in text
    assert "is not an e-mail address" in sender.get(f"{page}/rejects.csv").text
    assert "eve@example.org" in sender.get(f"/admin/people?imported={page.rpartition('/')[2]}").text
    assert post(sender, f"{page}/undo").status_code == 303
    importing.work(context)
    assert "1 people removed" in words(sender.get(page))
    assert again(context, cast.ada).name == "Ada Lovelace"
    assert sender.get("/admin/people/import").status_code == 200
    assert ("imported", "staff:") in acts(context)
    assert ("import_undone", "staff:") in acts(context)


def test_a_mistake_in_the_mapping_keeps_what_was_chosen(desk: Desk, cast: Cast) -> None:
    sender = desk("sender")
    page = _upload(sender)
    columns = {"column": ["email", "name", "city"], "field": ["email", "name", "email"]}
    answer = post(sender, f"{page}/check", columns | {"topic": "events", "source": "Typed source"})
    assert answer.status_code == 400
    assert "Typed source" in answer.text
    answer = post(sender, f"{page}/check", {**columns, "field": ["", "", ""]})
    assert "No column holds" in words(answer)


def test_a_file_that_is_none_is_told_and_dropped(desk: Desk) -> None:
    sender = desk("sender")
    assert post(sender, "/admin/people/import", {}).status_code == 400
    page = _upload(sender, b"\0\0\0\0", "x.csv")
    assert "can’t be read" in sender.get(page).text
    assert post(sender, f"{page}/drop").status_code == 303
    assert sender.get(page).status_code == 404


def test_a_file_may_be_larger_than_any_form(desk: Desk, cast: Cast) -> None:
    sender = desk("sender")
    sender.application.config["MAX_CONTENT_LENGTH"] = 5_000
    rows = b"".join(b"person%d@example.org\n" % number for number in range(1_000))
    page = _upload(sender, b"email\n" + rows)
    assert "person0@example.org" in sender.get(page).text
    answer = post(sender, f"{home(cast.ada)}/edit", {"name": "x" * 6_000})
    assert answer.status_code in {400, 413}


# --- suppressions ---------------------------------------------------------------------------------------------------


def test_suppressions_are_listed_checked_added_and_lifted(
    desk: Desk, cast: Cast, context: Context
) -> None:
    admin = desk("admin")
    assert "Mailbox does not exist any more everywhere" in words(admin.get("/admin/suppressions"))
    asks = {"HX-Request": "true"}
    assert "<html" not in admin.get("/admin/suppressions/counts", headers=asks).text
    assert "← Suppressions" in words(admin.get("/admin/suppressions/counts"))
    assert "Mailbox does not exist any more everywhere 1" in words(
        admin.get("/admin/suppressions/counts")
    )
    assert "is suppressed" in words(admin.get("/admin/suppressions?check=dan@example.org"))
    assert "is not suppressed" in words(admin.get("/admin/suppressions?check=ada@example.org"))
    assert "whole address" in words(admin.get("/admin/suppressions?check=ada"))
    for who in ("zoe@example.org", "@blocked.example", "+359 2 9876543"):
        form = {"who": who, "note": "Asked by letter", "scope": "all", "reason": "manual"}
        answer = post(admin, "/admin/suppressions/add", form)
        assert answer.status_code == 303, words(answer)
        assert post(admin, "/admin/suppressions/add", form).status_code == 400
        assert "is suppressed" in words(
            admin.get("/admin/suppressions", query_string={"check": who})
        )
    form = {"who": "zoe@example.org", "scope": "all", "reason": "manual", "note": ""}
    assert "needs a note" in words(post(admin, "/admin/suppressions/lift", form))
    answer = post(admin, "/admin/suppressions/lift", form | {"note": "They asked"})
    assert answer.status_code == 303
    assert "Asked" in words(admin.get("/admin/suppressions?reason=domain"))
    assert "They asked" in words(admin.get("/admin/suppressions?lifted=yes"))


@pytest.mark.parametrize(
    ("layout", "octets"),
    [
        (
            "mailchimp",
            b"Email Address,UNSUB_TIME,UNSUB_REASON\nzoe@example.org,2026-01-01 10:00:00,N/A\n",
        ),
        ("sendgrid", b"email,created,reason,status\nzoe@example.org,1700000000,550 no,5.1.1\n"),
        (
            "ses",
            b"EmailAddress,Reason,LastUpdateTime\nzoe@example.org,BOUNCE,2026-01-01T10:00:00Z\n",
        ),
        (
            "postmark",
            b"EmailAddress,SuppressionReason,Origin,CreatedAt\nzoe@example.org,SpamComplaint,Recipient,2026-01-01\n",
        ),
        ("listmonk", b"uuid,email,status\n1,zoe@example.org,blocklisted\n"),
        ("plain", b"zoe@example.org\nbroken\n"),
    ],
)
def test_lists_of_other_systems_come_in(
    desk: Desk, context: Context, layout: str, octets: bytes
) -> None:
    form = {"file": (io.BytesIO(octets), "list.csv")}
    page = post(desk("sender"), "/admin/suppressions/import", form)
    assert f"lines ({layout})" in words(page)
    with context.db.reading() as session:
        assert suppression.check(session, context, "zoe@example.org")


def test_the_list_goes_out_as_hashes_or_with_known_addresses(desk: Desk, cast: Cast) -> None:
    sender = desk("sender")
    hashed = post(sender, "/admin/suppressions/export", {"form": "hashed", "_proof": PASSWORD})
    assert hashed.text.startswith("key_version,key,scope,reason")
    assert "example.org" not in hashed.text
    plain = post(sender, "/admin/suppressions/export", {"form": "plain", "_proof": PASSWORD})
    assert "dan@example.org,,all,hard_bounce" in plain.text


# --- topics ---------------------------------------------------------------------------------------------------------

TOPIC = {
    "key": "surveys",
    "name": "Surveys",
    "description": "Twice a year.",
    "channel": ["email", "sms"],
    "double_opt_in": "on",
    "wording": "Yes, ask me.",
    "language": ["de", ""],
    "name-0": "Umfragen",
    "description-0": "Zweimal im Jahr.",
    "wording-0": "Ja, fragt mich.",
}


def test_a_topic_is_previewed_made_changed_and_archived(desk: Desk, context: Context) -> None:
    admin = desk("admin")
    preview = post(admin, "/admin/topics/new", TOPIC | {"preview": "yes"})
    assert "Umfragen: Zweimal im Jahr. Ja, fragt mich." in words(preview)
    assert "Nothing is saved yet" in words(preview)
    assert post(admin, "/admin/topics/new", TOPIC).status_code == 303
    assert "there is a topic" in words(post(admin, "/admin/topics/new", TOPIC)).lower()
    page = admin.get("/admin/topics/surveys")
    assert "Yes, ask me." in page.text
    changed = TOPIC | {"wording": "Yes, please ask me."}
    assert post(admin, "/admin/topics/surveys", changed).status_code == 303
    with context.db.reading() as session:
        topic = consents.topic(session, "surveys")
        found = [(one.language, one.version) for one in consents.wordings(session, topic.id or 0)]
    assert found == [("de", 1), ("en", 2), ("en", 1)]
    assert post(admin, "/admin/topics/surveys/archive").status_code == 303
    assert "archived" in admin.get("/admin/topics").text
    assert post(admin, "/admin/topics/surveys/bring-back").status_code == 303
    assert admin.get("/admin/topics/none").status_code == 404


def test_a_channel_on_which_people_agreed_is_not_taken_away(desk: Desk, cast: Cast) -> None:
    form = {"name": "Product news", "channel": ["post"], "wording": "Typed words"}
    page = post(desk("admin"), "/admin/topics/product-news", form)
    assert page.status_code == 400
    assert "2 people have agreed" in words(page)
    assert "Typed words" in page.text
    page = post(desk("admin"), "/admin/topics/product-news", {"name": "", "channel": []})
    assert page.status_code == 400


# --- what was stored is shown and never run (S3) --------------------------------------------------------------------

PAYLOADS = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'><svg/onload=alert(1)>",
    "{{7*7}}",
    "javascript:alert(1)",
    "</textarea><script>alert(1)</script>",
)


@pytest.mark.parametrize("payload", PAYLOADS)
def test_nothing_stored_is_run_by_a_browser(
    desk: Desk, cast: Cast, context: Context, payload: str
) -> None:
    admin = desk("admin")
    base = home(cast.ada)
    fields = ("name", "first_name", "last_name", "postal_address")
    form: dict[str, Any] = dict.fromkeys(fields, payload)
    form |= {"attribute": [payload[:90]], "value": [payload], "note": payload}
    assert post(admin, f"{base}/edit", form).status_code == 303
    post(admin, f"{base}/withdraw", {"place": "events:email", "note": payload})
    post(admin, f"{base}/suppress", {"scope": "sms", "reason": "manual", "note": payload})
    post(
        admin,
        "/admin/topics/new",
        {"key": "x", "name": payload, "channel": "email", "wording": payload},
    )
    octets = f'email,"{payload.replace(chr(34), chr(34) * 2)}"\n{payload[:20].replace(",", " ")},x\n'.encode()
    run = _upload(admin, octets, f"{payload[:40].replace(chr(34), chr(39))}.csv")
    post(admin, f"{run}/check", {"topic": "events", "source": payload, "column": [], "field": []})
    importing.work(context)
    for path in (
        "/admin/people",
        base,
        f"{base}?campaign={payload}",
        f"/admin/people?text={payload}&attribute=a={payload}&topic=",
        "/admin/people/import",
        run,
        "/admin/topics",
        "/admin/topics/x",
        f"/admin/suppressions?check={payload}",
        "/admin/suppressions",
    ):
        page = admin.get(path)
        assert page.status_code in {200, 400}, path
        assert "<script>alert" not in page.text, path
        assert "onerror=alert(1)>" not in page.text.replace(
            "&#34;&gt;&lt;img src=x onerror=alert(1)&gt;", ""
        ), path
        assert "<svg/onload" not in page.text, path
        assert "49" not in re.findall(r"\b49\b", page.text), path
        assert 'href="javascript:' not in page.text, path


def test_a_column_that_sounds_special_is_asked_about_before_anything_is_read(
    context: Context, desk: Desk
) -> None:
    """R151: the question is there, what was chosen stays, and the word of whoever confirms is kept."""
    client = desk("admin")
    body = {"file": (io.BytesIO(b"email,Religion\nzoe@example.org,none\n"), "people.csv")}
    page = post(client, "/admin/people/import", body).headers["Location"]
    assert "sound like special categories" in client.get(page).text
    form = {"column": ["email", "Religion"], "field": ["email", "attribute"]}
    refused = post(client, f"{page}/check", form)
    assert refused.status_code == 400
    assert "“Religion” (religion or belief)" in refused.text
    assert post(client, f"{page}/check", form | {"special": "yes"}).status_code == 303
    with context.db.reading() as session:
        (run,) = imports.runs(session)
        assert imports.options_of(run).special
