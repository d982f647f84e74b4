"""What rests on a consent and ends with it, in the same transaction."""

from collections.abc import Collection, Mapping

from sqlmodel import Session

from prefcentre.answers import service as answers
from prefcentre.consent.models import Channel, ConsentState


def forget_answers(
    session: Session,
    states: Mapping[tuple[int, int, Channel], ConsentState],
    places: Collection[tuple[int, int]],
) -> None:
    """Answers to surveys rest on the consent by e-mail, which brought the invitation, and end with it (R95)."""
    ended = [
        place
        for place in places
        if states.get((*place, Channel.EMAIL)) in {ConsentState.WITHDRAWN, ConsentState.REFUSED}
    ]
    if ended:
        answers.forget_topics(session, ended)
