"""Surveys: only whoever said yes is asked, and answers live and end with that yes (R95, R151)."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from prefcentre.answers import service as answers
from prefcentre.consent import service as consent
from prefcentre.consent.files import TopicEntry
from prefcentre.consent.service import Act, Channel, ConsentAction, LawfulBasis, Topic
from prefcentre.context import Context
from prefcentre.delivery import service as delivery
from prefcentre.delivery.facts import Question as GateQuestion
from prefcentre.errors import InvalidInput, Refused, WrongState
from prefcentre.preferences import service as preferences
from prefcentre.preferences.service import Method, Visit
from prefcentre.reasons import Reason
from prefcentre.subscribers.service import Subscriber
from prefcentre.surveys import service
from prefcentre.surveys.service import Question, QuestionKind, Words
from prefcentre.testing.makers import make_consent, make_person, make_topic
from prefcentre.tokens import LinkToken, TokenKind
from tests.conftest import Cli
from tests.delivery.conftest import write_campaign

QUESTIONS = (
    Question(1, QuestionKind.ONE, "Where do you read us?", ("At home", "On the way")),
    Question(2, QuestionKind.SEVERAL, "What do you like?", ("News", "Events", "Offers")),
    Question(3, QuestionKind.SCALE5, "How do you like it?"),
    Question(4, QuestionKind.TEXT, "What is missing?"),
)
GIVEN = {"1": ["At home"], "2": ["Offers", "News"], "3": ["4"], "4": ["More pictures"]}


@dataclass
class Scene:
    """An open survey; Ada agreed to surveys, Bo gets them on another basis, Cy was never asked."""

    topic: Topic
    survey: int
    ada: Subscriber
    bo: Subscriber
    cy: Subscriber


def act(person: Subscriber, topic: Topic, action: ConsentAction, **more: Any) -> Act:
    return Act(
        subscriber_id=person.id or 0,
        subscriber_ref=person.consent_ref,
        topic_id=topic.id or 0,
        channel=more.pop("channel", Channel.EMAIL),
        action=action,
        method="test",
        source="test",
        **more,
    )


@pytest.fixture
def scene(context: Context) -> Scene:
    with context.db.writing() as session:
        topic = make_topic(
            session, context, "surveys", for_surveys=True, channels=["email", "phone"]
        )
        people = [
            make_person(session, context, f"{name}@example.org", name.title())
            for name in ("ada", "bo", "cy")
        ]
        make_consent(session, context, people[0], topic)
        granted = act(
            people[1],
            topic,
            ConsentAction.IMPORTED,
            at=context.clock.now(),
            lawful_basis=LawfulBasis.SOFT_OPT_IN,
        )
        consent.record(session, context, [granted])
        made = service.make(session, context, "surveys", "  How   we do ", "staff:1")
        number = made.id or 0
        service.change(session, context, number, Words("How we do", "Hi", "en", QUESTIONS), "s")
        service.open_(session, context, number, "staff:1")
        return Scene(topic, number, *people)


def give(context: Context, scene: Scene, person: Subscriber, given: Any = GIVEN) -> None:
    with context.db.writing() as session:
        survey = service.get(session, scene.survey)
        service.answer(session, context, survey, person, given)


def kept(context: Context, scene: Scene, person: Subscriber) -> dict[str, Any]:
    with context.db.reading() as session:
        return service.answers_of(session, service.get(session, scene.survey), person)


def test_only_a_yes_in_so_many_words_lets_an_invitation_pass(
    context: Context, scene: Scene
) -> None:
    """R95: another basis than consent, and nothing at all, are skipped as no_consent at the gate."""
    found = {}
    with context.db.reading() as session:
        question = GateQuestion(
            scene.topic.id or 0,
            "surveys",
            1,
            context.lookup.version,
            context.clock.now(),
        )
        for person in (scene.ada, scene.bo, scene.cy):
            code = delivery_code(session, question, person)
            found[person.first_name] = code
    assert found == {"Ada": None, "Bo": Reason.NO_CONSENT, "Cy": Reason.NO_CONSENT}


def delivery_code(session: Any, question: GateQuestion, person: Subscriber) -> Reason | None:
    from prefcentre.delivery import coming_queries, rules  # noqa: PLC0415 - used here only

    code = coming_queries.code(session, question, person.id or 0)
    decided = rules.decide(code or 0)
    return None if isinstance(decided, rules.Send) else decided.reason


def test_on_another_topic_the_same_basis_is_enough(context: Context, scene: Scene) -> None:
    """The rule is about surveys; a topic on soft opt-in goes on reaching its customers."""
    with context.db.writing() as session:
        other = make_topic(session, context, "offers")
        granted = act(
            scene.bo,
            other,
            ConsentAction.IMPORTED,
            at=context.clock.now(),
            lawful_basis=LawfulBasis.SOFT_OPT_IN,
        )
        consent.record(session, context, [granted])
        question = GateQuestion(
            other.id or 0, "offers", 1, context.lookup.version, context.clock.now()
        )
        assert delivery_code(session, question, scene.bo) is None


def test_answers_are_tied_to_the_consent_and_can_be_changed(context: Context, scene: Scene) -> None:
    """R95: the row names the event of the ledger that it rests on."""
    give(context, scene, scene.ada)
    assert kept(context, scene, scene.ada) == {
        "1": "At home",
        "2": ["News", "Offers"],
        "3": 4,
        "4": "More pictures",
    }
    give(context, scene, scene.ada, {"3": ["5"]})
    assert kept(context, scene, scene.ada) == {"3": 5}
    with context.db.reading() as session:
        (view,) = consent.consents_of(session, scene.ada.id or 0)
        found = answers.find(session, scene.survey, scene.ada.id or 0)
        assert found is not None
        assert found.consent_seq == view.event_seq


@pytest.mark.parametrize("who", ["bo", "cy"])
def test_without_a_yes_nothing_is_kept(context: Context, scene: Scene, who: str) -> None:
    """R95: consent comes before the first answer."""
    person = getattr(scene, who)
    with pytest.raises(Refused):
        give(context, scene, person)
    assert kept(context, scene, person) == {}


def test_leaving_by_the_link_in_a_mail_removes_the_answers(context: Context, scene: Scene) -> None:
    """R95: withdrawal removes answers, in the same transaction."""
    give(context, scene, scene.ada)
    token = LinkToken(TokenKind.UNSUBSCRIBE, scene.ada.public_id, scene.topic.id or 0)
    with context.db.writing() as session:
        preferences.unsubscribe(session, context, token, Visit(Method.ONE_CLICK))
        assert answers.find(session, scene.survey, scene.ada.id or 0) is None
    assert kept(context, scene, scene.ada) == {}


def test_saying_no_to_another_channel_or_topic_removes_nothing(
    context: Context, scene: Scene
) -> None:
    """Answers rest on the consent that brought the invitation, and on no other."""
    give(context, scene, scene.ada)
    now = context.clock.now()
    with context.db.writing() as session:
        other = make_topic(session, context, "offers")
        consent.record(
            session,
            context,
            [
                act(scene.ada, other, ConsentAction.REFUSED, at=now),
                act(scene.ada, scene.topic, ConsentAction.REFUSED, at=now, channel=Channel.PHONE),
            ],
        )
    assert kept(context, scene, scene.ada) != {}


def test_an_opened_survey_stays_as_it_is(context: Context, scene: Scene) -> None:
    with context.db.writing() as session, pytest.raises(WrongState):
        service.change(session, context, scene.survey, Words("Other"), "staff:1")
    with context.db.writing() as session:
        service.close(session, context, scene.survey, "staff:1")
    with pytest.raises(WrongState):
        give(context, scene, scene.ada)


def test_a_report_counts_and_leaves_restricted_people_out(context: Context, scene: Scene) -> None:
    """GDPR art. 18: who is restricted is in no report."""
    give(context, scene, scene.ada)
    with context.db.writing() as session:
        make_consent(session, context, scene.cy, scene.topic)
    give(context, scene, scene.cy, {"1": ["On the way"], "3": ["1"], "4": ["=1+1"]})
    with context.db.reading() as session:
        found = service.report(session, scene.survey)
    assert found.people == 2
    assert [dict(one.counts) for one in found.results[:2]] == [
        {"At home": 1, "On the way": 1},
        {"News": 1, "Events": 0, "Offers": 1},
    ]
    assert found.results[2].average == 2.5
    assert found.results[3].texts == ("=1+1", "More pictures")
    assert "What is missing?,'=1+1,1" in service.as_csv(found)
    with context.db.writing() as session:
        person = session.merge(scene.cy)
        person.restricted = True
    with context.db.reading() as session:
        assert service.report(session, scene.survey).people == 1


def test_a_special_question_needs_a_confirmation(context: Context, scene: Scene) -> None:
    """R151: a lint on the words, and a step that somebody takes on purpose."""
    asked = Question(1, QuestionKind.TEXT, "Do you have allergies?")
    with context.db.writing() as session:
        service.close(session, context, scene.survey, "staff:1")
        made = service.make(session, context, "surveys", "Food", "staff:1").id or 0
        with pytest.raises(Refused, match="no question"):
            service.open_(session, context, made, "staff:1")
        service.change(session, context, made, Words("Food", questions=(asked,)), "staff:1")
        with pytest.raises(Refused, match="health"):
            service.open_(session, context, made, "staff:1")
        service.open_(session, context, made, "staff:1", confirmed=True)


def test_a_topic_for_surveys_needs_consent_as_its_basis() -> None:
    """R95: no other basis will do, so none can be written down."""
    with pytest.raises(ValueError, match="R95"):
        TopicEntry(key="polls", name="Polls", surveys=True, lawful_basis="soft_opt_in")


def test_a_survey_hangs_on_a_topic_for_surveys(context: Context, scene: Scene) -> None:
    with context.db.writing() as session:
        other = make_topic(session, context, "offers")
        with pytest.raises(Refused, match="not a topic for surveys"):
            service.make(session, context, "offers", "Poll", "staff:1")
        assert "not a topic for surveys" in (service.why_not_invite(session, other) or "")
        assert service.why_not_invite(session, scene.topic) is None
        service.close(session, context, scene.survey, "staff:1")
        assert "none is open" in (service.why_not_invite(session, scene.topic) or "")


@pytest.mark.parametrize("given", [{"1": ["Elsewhere"]}, {"3": ["6"]}, {"4": ["x" * 501]}])
def test_answers_that_there_are_not_are_refused(
    context: Context, scene: Scene, given: dict[str, list[str]]
) -> None:
    with pytest.raises(InvalidInput):
        give(context, scene, scene.ada, given)


def test_an_invitation_on_another_topic_is_refused_before_it_goes(
    context: Context, scene: Scene
) -> None:
    """R95: the checks before sending name it, and starting is refused."""
    with context.db.writing() as session:
        make_topic(session, context)
    write_campaign(context.settings.campaigns_dir, body="Hello, [answer us]({{ links.survey }}).")
    with context.db.reading() as session:
        checked = delivery.check(session, context, "spring")
    found = [finding for finding in checked.errors if finding.name == "survey"]
    assert ["not a topic for surveys" in one.message for one in found] == [True]
    with pytest.raises(Refused, match="not a topic for surveys"):
        checked.require_clean()


def test_the_commands_list_show_close_and_export(
    context: Context, scene: Scene, cli: Cli, tmp_path: Path
) -> None:
    give(context, scene, scene.ada)
    listed = json.loads(cli("surveys", "list", "--json").stdout)["surveys"]
    assert [(one["title"], one["state"], one["people"]) for one in listed] == [
        ("How we do", "open", 1)
    ]
    shown = json.loads(cli("surveys", "show", str(scene.survey), "--json").stdout)
    assert shown["results"][0]["counts"] == {"At home": 1, "On the way": 0}
    out = tmp_path / "answers.csv"
    cli("surveys", "export", str(scene.survey), "--out", str(out))
    assert "Where do you read us?,At home,1" in out.read_text()
    cli("surveys", "close", str(scene.survey))
    with context.db.reading() as session:
        assert service.get(session, scene.survey).closed_at is not None
