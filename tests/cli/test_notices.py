"""prefcentre notices."""

from prefcentre.context import Context
from prefcentre.notices import service as notices
from prefcentre.testing.makers import Cast
from tests.conftest import Cli
from tests.notices.test_telling import form, tell_all


def test_a_notice_is_listed_published_and_shown(context: Context, cast: Cast, cli: Cli) -> None:
    assert cli("notices", "list").stdout == "There are no notices yet.\n"
    with context.db.writing() as session:
        notices.make(session, context, form(about="product-news"), "staff")
    (found,) = cli("notices", "list", "--json").json["notices"]
    assert (found["number"], found["about"], found["state"]) == (1, "topic:product-news", "draft")
    context.clock.advance(minutes=1)  # type: ignore[attr-defined]
    published = cli("notices", "publish", 1, "--json").json
    assert published["state"] == "gathering"
    assert published["wording_versions"] == {"en": 1}
    tell_all(context)
    shown = cli("notices", "show", 1, "--json").json
    assert shown["state"] == "told"
    assert shown["people"]["sent"] == 2
    assert shown["texts"]["en"]["summary"] == "We keep orders for five years now."
    assert "sent: 2" in cli("notices", "show", 1).stdout
    again = cli("notices", "publish", 1)
    assert again.code != 0
    assert "published" in again.stderr
