from datetime import timedelta

import pytest

from prefcentre import addresses
from prefcentre.consent.models import Channel
from prefcentre.signups import rules
from prefcentre.signups.rules import Counted, Problem


@pytest.mark.parametrize(
    ("typed", "mailbox"),
    [
        ("Zoe@Example.org", "zoe@example.org"),
        ("zoe+news@example.org", "zoe@example.org"),
        ("z.o.e+x@googlemail.com", "zoe@gmail.com"),
        ("z.o.e@example.org", "z.o.e@example.org"),
    ],
)
def test_the_spellings_of_a_mailbox_are_one(typed: str, mailbox: str) -> None:
    assert rules.mailbox_of(addresses.parse(typed)) == mailbox


@pytest.mark.parametrize(
    ("ip", "network"),
    [
        ("192.0.2.77", "192.0.2.0/24"),
        ("::ffff:192.0.2.77", "192.0.2.0/24"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        (None, "unknown"),
        ("nonsense", "unknown"),
    ],
)
def test_a_network_is_no_closer_than_it_has_to_be(ip: str | None, network: str) -> None:
    assert rules.network(ip) == network


@pytest.mark.parametrize("full", ["address", "mailbox", "network", "altogether"])
def test_each_limit_is_enough_to_stop_a_mail(full: str) -> None:
    none = Counted(0, 0, 0, 0)
    assert rules.may_mail({rules.HOUR: none, rules.DAY: none})
    limits = {
        "address": rules.PER_ADDRESS,
        "mailbox": rules.PER_MAILBOX,
        "network": rules.PER_NETWORK,
        "altogether": rules.ALTOGETHER,
    }[full]
    for span in (rules.HOUR, rules.DAY):
        counts: dict[timedelta, Counted] = {rules.HOUR: none, rules.DAY: none}
        values = dict.fromkeys(Counted.__dataclass_fields__, 0) | {full: limits[span]}
        assert not rules.may_mail(counts | {span: Counted(**values)})


def test_what_was_ticked_says_what_is_missing() -> None:
    places = {("news", Channel.EMAIL), ("news", Channel.SMS), ("news", Channel.POST)}
    assert rules.missing(places, email=False, phone=False, post=False) == [
        Problem.NO_ADDRESS,
        Problem.NO_PHONE,
        Problem.NO_POSTAL_ADDRESS,
    ]
    assert rules.missing(places, email=True, phone=True, post=True) == []
    assert rules.missing(set(), email=True, phone=True, post=True) == [Problem.NOTHING_CHOSEN]
