"""A person's number is never given to another, because deliveries outlive an erased person."""

from prefcentre.context import Context
from prefcentre.subscribers import queries
from prefcentre.testing.makers import make_person


def test_the_number_of_an_erased_person_is_not_given_again(any_context: Context) -> None:
    with any_context.db.writing() as session:
        erased = make_person(session, any_context, "eve@example.org")
        number = erased.id or 0
    with any_context.db.writing() as session:
        session.delete(session.merge(erased))
    with any_context.db.writing() as session:
        assert queries.next_ids(session, 1)[0] > number
        assert (make_person(session, any_context, "fay@example.org").id or 0) > number
