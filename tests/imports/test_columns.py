import pytest

from prefcentre.errors import InvalidInput
from prefcentre.imports import columns

MAILCHIMP = [
    "Email Address",
    "First Name",
    "Last Name",
    "Address",
    "Phone Number",
    "Birthday",
    "MEMBER_RATING",
    "OPTIN_TIME",
    "OPTIN_IP",
    "CONFIRM_TIME",
    "CONFIRM_IP",
    "LATITUDE",
    "GMTOFF",
    "TIMEZONE",
    "CC",
    "LAST_CHANGED",
    "LEID",
    "EUID",
    "NOTES",
    "TAGS",
]
LISTMONK = ["uuid", "email", "name", "attributes", "status", "created_at", "updated_at"]


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("email", "email"),
        ("E-Mail", "email"),
        ("E-mail address", "email"),
        ("Имейл", "email"),
        ("Telefon", "phone"),
        ("FIRST_NAME", "first_name"),
        ("Vorname", "first_name"),
        ("Prénom", "first_name"),
        ("Nachname", "last_name"),
        ("Фамилия", "last_name"),
        ("Sprache", "language"),
        ("Time zone", "timezone"),
        ("consented_at", "consented_at"),
        ("Consent IP", "consent_ip"),
        ("tracking", "tracking"),
        ("Postal address", "postal_address"),
        ("Favourite colour", "attributes.Favourite colour"),
        ("email_2", "attributes.email_2"),
        ("work email", "attributes.work email"),
        ("", None),
    ],
)
def test_columns_are_known_by_their_names(name: str, field: str | None) -> None:
    found = columns.settle([name, "mail", "gsm"] if field != "email" else [name], {})
    assert found.told[name or "column 1"] == field


def test_an_export_of_mailchimp_is_understood() -> None:
    found = columns.settle(MAILCHIMP, {})
    assert [found.told[name] for name in MAILCHIMP[:5]] == [
        "email",
        "first_name",
        "last_name",
        "postal_address",
        "phone",
    ]
    # The confirmation is the better evidence; the sign-up fills in where there was none.
    assert found.of("consented_at") == (
        MAILCHIMP.index("CONFIRM_TIME"),
        MAILCHIMP.index("OPTIN_TIME"),
    )
    assert found.of("consent_ip") == (MAILCHIMP.index("CONFIRM_IP"), MAILCHIMP.index("OPTIN_IP"))
    assert found.told["MEMBER_RATING"] == "attributes.MEMBER_RATING"


def test_an_export_of_listmonk_is_understood() -> None:
    found = columns.settle(LISTMONK, {})
    assert found.told == {
        "uuid": "attributes.uuid",
        "email": "email",
        "name": "name",
        "attributes": "attributes",
        "status": "status",
        "created_at": "attributes.created_at",
        "updated_at": "attributes.updated_at",
    }


def test_a_person_may_say_otherwise() -> None:
    found = columns.settle(
        ["Email", "Work", "City", "Plan"],
        {"work": "email", "City": "", "Plan": "attributes.tariff", "Email": "attributes.old"},
    )
    assert found.told == {
        "Email": "attributes.old",
        "Work": "email",
        "City": None,
        "Plan": "attributes.tariff",
    }
    assert found.of("email") == (1,)
    assert found.attributes == ((0, "old"), (3, "tariff"))


def test_a_column_that_was_named_for_a_field_is_the_only_one() -> None:
    found = columns.settle(["Email", "Work"], {"Work": "email"})
    assert found.told == {"Email": "attributes.Email", "Work": "email"}


@pytest.mark.parametrize(
    ("header", "wanted", "words"),
    [
        (["email"], {"mail": "email"}, "no column .mail.*“email”"),
        (["email"], {"email": "shoe_size"}, "no field .shoe_size"),
        (["email"], {"email": "attributes."}, "no field"),
        (["a", "b"], {"a": "email", "b": "email"}, "can't both become email"),
        (["name", "city"], {}, "No column holds an e-mail address.*“name”, “city”"),
        (["", ""], {}, "no names"),
        (["ada@example.org", "Ada"], {}, "first line has to name the columns"),
        (["email"], {"email": ""}, "No column holds"),
    ],
)
def test_a_mapping_that_can_not_be_used_says_why(
    header: list[str], wanted: dict[str, str], words: str
) -> None:
    with pytest.raises(InvalidInput, match=words):
        columns.settle(header, wanted)
