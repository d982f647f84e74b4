"""The table of signs by which machines are told from people (R165-R168)."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefcentre.tracking import rules
from prefcentre.tracking.models import HitClass
from prefcentre.tracking.rules import Verdict

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 26_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148"
GMAIL_PROXY = (
    "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"
)
GMAIL_DELIVERY = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/42.0.2311.135 Safari/537.36 Edge/12.246 Mozilla/5.0"
)
YAHOO = "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html"


@pytest.mark.parametrize(
    ("agent", "hit_class", "reason"),
    [
        (FIREFOX, HitClass.HUMAN, "browser"),
        (IPHONE, HitClass.HUMAN, "browser"),
        ("Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 10.0)", HitClass.HUMAN, "browser"),
        ("Thunderbird/140.5", HitClass.HUMAN, "mail-program"),
        # Only the bare words are Apple's; every browser begins with them.
        ("Mozilla/5.0", HitClass.PREFETCH, "apple-privacy"),
        (GMAIL_DELIVERY, HitClass.PREFETCH, "gmail-delivery"),
        (GMAIL_PROXY, HitClass.PROXY, "gmail-proxy"),
        (YAHOO, HitClass.PROXY, "yahoo-proxy"),
        ("Mozilla/5.0 (compatible; Googlebot/2.1)", HitClass.SCANNER, "robot"),
        ("Mozilla/5.0 (compatible; Barracuda Sentinel)", HitClass.SCANNER, "scanner-agent"),
        ("Mozilla/5.0 (X11) HeadlessChrome/120.0.0.0", HitClass.SCANNER, "robot"),
        ("Slackbot-LinkExpanding 1.0", HitClass.SCANNER, "robot"),
        ("curl/8.5.0", HitClass.SCANNER, "no-browser"),
        ("python-requests/2.32", HitClass.SCANNER, "no-browser"),
        ("Go-http-client/1.1", HitClass.SCANNER, "no-browser"),
        ("Something never seen", HitClass.UNKNOWN, "strange-agent"),
        ("", HitClass.SCANNER, "no-agent"),
        ("   ", HitClass.SCANNER, "no-agent"),
        (None, HitClass.SCANNER, "no-agent"),
    ],
)
def test_an_agent_is_known_by_its_sign(agent: str | None, hit_class: HitClass, reason: str) -> None:
    assert rules.classify({}, agent) == Verdict(hit_class, reason)


@pytest.mark.parametrize("name", ["sec-purpose", "purpose", "x-purpose", "x-moz"])
@pytest.mark.parametrize("value", ["prefetch", "Preview", "prefetch;prerender", "prerender"])
def test_a_browser_that_loads_ahead_is_no_reader(name: str, value: str) -> None:
    assert rules.classify({name: value}, FIREFOX) == Verdict(HitClass.PREFETCH, "purpose-header")


def test_other_words_in_these_headers_mean_nothing() -> None:
    assert rules.classify({"purpose": "reading"}, FIREFOX).hit_class is HitClass.HUMAN


@pytest.mark.parametrize(
    ("method", "counts"), [("GET", True), ("HEAD", False), ("OPTIONS", False), ("POST", False)]
)
def test_only_a_get_is_a_hit(method: str, *, counts: bool) -> None:
    assert rules.counts_at_all(method) is counts


@given(st.text(), st.dictionaries(st.text(), st.text()))
def test_every_request_gets_a_class(agent: str, headers: dict[str, str]) -> None:
    verdict = rules.classify(headers, agent)
    assert verdict.hit_class in HitClass
    assert 0 < len(verdict.reason) <= 64


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.77", "192.0.2.0"),
        ("::ffff:192.0.2.77", "192.0.2.0"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1::"),
        ("not an address", None),
        ("", None),
        (None, None),
    ],
)
def test_an_address_is_cut_to_its_network(address: str | None, network: str | None) -> None:
    assert rules.truncated_ip(address) == network


@given(st.ip_addresses())
def test_no_whole_address_is_kept(address: ipaddress.IPv4Address) -> None:
    kept = rules.truncated_ip(str(address))
    assert kept is not None
    # The last part is gone: 8 bits of IPv4, 80 of IPv6.
    assert int(ipaddress.ip_address(kept)) & 0xFF == 0


def test_an_agent_is_kept_without_what_tells_devices_apart() -> None:
    assert rules.reduced_agent("Chrome/120.0.6099.129 iOS 26_1_2") == "Chrome/120.0 iOS 26_1"
    assert rules.reduced_agent(None) is None


@given(st.text(max_size=600))
def test_an_agent_fits_its_column_and_one_line(agent: str) -> None:
    kept = rules.reduced_agent(agent)
    assert kept is None or (len(kept) <= rules.LONGEST_AGENT and kept.isprintable())
