"""Ctrl-K finds pages, campaigns and people, and only what somebody may see."""

from prefcentre.context import Context
from prefcentre.testing.makers import Cast
from tests.web.admin.conftest import Desk


def titles(desk: Desk, role: str, text: str) -> list[tuple[str, str]]:
    answer = desk(role).get(f"/admin/find?q={text}", headers={"Accept": "application/json"})
    assert answer.status_code == 200
    assert answer.json
    return [(one["kind"], one["title"]) for one in answer.json["found"]]


def test_a_person_is_found_by_how_the_address_begins(desk: Desk, cast: Cast) -> None:
    assert ("Person", "ada@example.org") in titles(desk, "viewer", "ada")


def test_a_page_is_found_by_other_words_for_it(desk: Desk) -> None:
    assert titles(desk, "viewer", "newsletters") == [("Page", "Campaigns")]


def test_nothing_is_offered_that_the_role_may_not_open(desk: Desk) -> None:
    assert ("Page", "Who did what") not in titles(desk, "author", "who did")
    assert ("Page", "Who did what") in titles(desk, "privacy_officer", "who did")


def test_it_is_a_page_of_its_own_without_scripts(desk: Desk, cast: Cast, context: Context) -> None:
    answer = desk("viewer").get("/admin/find?q=ada", headers={"Accept": "text/html"})
    assert f"/admin/people/{cast.ada.public_id}" in answer.text
    assert "Nothing is called like that" in desk("viewer").get("/admin/find?q=zzzz").text


def test_what_is_typed_stands_in_the_page_as_text(desk: Desk) -> None:
    page = desk("viewer").get('/admin/find?q="><script>alert(1)</script>').text
    assert "<script>alert" not in page
