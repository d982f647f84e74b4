"""Which time zones the desk offers."""

from prefcentre.web.admin.zones import is_zone, places, zones_for


def test_places_are_offered_after_utc_and_old_names_are_not() -> None:
    assert places()[0] == "UTC"
    assert {"Europe/Sofia", "America/Argentina/Ushuaia"} <= set(places())
    assert not {"EST5EDT", "Factory", "localtime", "Etc/GMT+7", "US/Pacific"} & set(places())


def test_an_unusual_zone_that_stands_stays_in_its_list() -> None:
    assert zones_for("US/Pacific")[:2] == ("US/Pacific", "UTC")
    assert zones_for("Europe/Sofia") == places()


def test_what_is_no_zone_is_known_as_such_and_stays_where_it_was_typed() -> None:
    assert is_zone("Europe/Sofia")
    assert not is_zone("Moon/Tranquillity")
    assert zones_for("Moon/Tranquillity")[0] == "Moon/Tranquillity"
    assert zones_for("") == places()
