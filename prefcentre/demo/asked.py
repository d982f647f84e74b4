"""An open survey in the demonstration, and what some people answered who agreed to be asked."""

from collections.abc import Sequence

from prefcentre.consent import service as consent
from prefcentre.consent.service import Act, Channel, ConsentAction
from prefcentre.context import Context
from prefcentre.demo.people import MadeUp
from prefcentre.subscribers import service as subscribers
from prefcentre.surveys import service as surveys
from prefcentre.surveys.service import Question, QuestionKind, Words

_PEOPLE = 60
_TEXTS = ("More pictures, please.", "", "Shorter mails.", "", "", "Nothing, go on like this.")
_QUESTIONS = (
    Question(1, QuestionKind.ONE, "Where do you read our mails?", ("At home", "At work", "On the way")),
    Question(2, QuestionKind.SEVERAL, "What do you read?", ("Product news", "Events", "Offers")),
    Question(3, QuestionKind.SCALE5, "How do you like our mails?"),
    Question(4, QuestionKind.TEXT, "What is missing?"),
)  # fmt: skip


def ask(context: Context, everybody: Sequence[MadeUp]) -> None:
    """Make and open the survey, have some people agree on their page, and have most of them answer."""
    with context.db.writing() as session:
        topic = consent.topic(session, "surveys")
        number = surveys.make(session, context, topic.key, "How do you like our mails?", "demo").id
        words = Words("How do you like our mails?", "Four questions, a minute.", "en", _QUESTIONS)
        surveys.change(session, context, number or 0, words, "demo")
        surveys.open_(session, context, number or 0, "demo")
        survey = surveys.get(session, number or 0)
        found = [subscribers.find(session, context, who.email) for who in everybody[:_PEOPLE]]
        people = [person for person in found if person is not None and not person.restricted]
        wording = consent.current_wording(session, topic.id or 0, "en").id
        acts = [
            Act(
                subscriber_id=person.id or 0,
                subscriber_ref=person.consent_ref,
                topic_id=topic.id or 0,
                channel=Channel.EMAIL,
                action=ConsentAction.GRANTED,
                method="preference_page",
                source="preference page",
                at=context.clock.now(),
                wording_id=wording,
            )
            for person in people
        ]
        consent.record(session, context, acts)
        for place, person in enumerate(people):
            if place % 4:
                surveys.answer(session, context, survey, person, _given(place))


def _given(place: int) -> dict[str, list[str]]:
    home, topics = _QUESTIONS[0].choices, _QUESTIONS[1].choices
    return {
        "1": [home[place % 5 % 3]],
        "2": list(topics[: 1 + place % 3]),
        "3": [str(5 - place % 7 % 4)],
        "4": [_TEXTS[place % len(_TEXTS)]],
    }
