import inspect

import pytest

from prefcentre import errors
from prefcentre.errors import ContentError, NotFound, PrefcentreError

CLASSES = [found for _, found in inspect.getmembers(errors, inspect.isclass)]


@pytest.mark.parametrize("error", CLASSES, ids=lambda found: found.__name__)
def test_every_error_hangs_in_one_tree_that_the_docstring_draws(error: type[Exception]) -> None:
    assert issubclass(error, PrefcentreError)
    assert error.__name__ in (errors.__doc__ or "")


def test_an_error_without_words_says_what_its_class_means() -> None:
    assert str(NotFound()) == "What was asked for does not exist."
    assert str(NotFound("No campaign “spring”.")) == "No campaign “spring”."


@pytest.mark.parametrize(
    ("file", "line", "text"),
    [
        (None, None, "no subject"),
        ("campaign.toml", None, "campaign.toml: no subject"),
        ("body.md", 7, "body.md, line 7: no subject"),
    ],
)
def test_a_mistake_in_content_says_where_it_is(
    file: str | None, line: int | None, text: str
) -> None:
    assert str(ContentError("no subject", file=file, line=line)) == text
