"""Which hits may count as a person's: a table of signs, first match decides (R165-R168)."""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass

from prefcentre.tracking.models import HitClass

LONGEST_AGENT = 160

# A proxy fetches for a person who looks at that moment. What cannot be told is not counted as a person (R165, R174).
PEOPLE = frozenset({HitClass.HUMAN, HitClass.PROXY})
MACHINES = frozenset(HitClass) - PEOPLE


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a hit is taken for, and the sign that said so; the sign is stored, so the rule can be revised later."""

    hit_class: HitClass
    reason: str


# A browser that loads ahead of its user says so in one of these (R166).
PURPOSE_HEADERS = ("sec-purpose", "purpose", "x-purpose", "x-moz")
_AHEAD = re.compile(r"prefetch|preview|prerender", re.IGNORECASE)

_SCANNERS = (
    "barracuda|bitdefender|cloudmark|facebookexternalhit|forcepoint|fortiguard|headless|mimecast|phantomjs|proofpoint",
    "microsoft office existence discovery|safelinks|skypeuripreview|slackbot|sophos|symantec|telegrambot|trendmicro",
    "urldefense|virustotal|whatsapp|zscaler",
    r"\b(?:bot|crawler|scanner|spider)\b|bot[/;)]",
)
_PROGRAMS = (
    "aiohttp|apache-httpclient|axios|curl|dart|go-http-client|guzzle|httpie|java|libwww|lwp|node|okhttp|perl|php",
    "postman|python|ruby|undici|wget",
)
_GMAIL_DELIVERY = r"Chrome/42\.0\.2311\.135 .*Edge/12\.246 Mozilla/5\.0$"

# Each row: what the agent looks like, what it is, the name of the sign. The order matters: Gmail's delivery-time fetch
# also looks like a browser, and its proxied open must be known before any list of robots is asked (R168).
_AGENTS: tuple[tuple[re.Pattern[str], HitClass, str], ...] = (
    (re.compile(r"^Mozilla/5\.0$"), HitClass.PREFETCH, "apple-privacy"),
    (re.compile(_GMAIL_DELIVERY), HitClass.PREFETCH, "gmail-delivery"),
    (re.compile("GoogleImageProxy"), HitClass.PROXY, "gmail-proxy"),
    (re.compile("YahooMailProxy"), HitClass.PROXY, "yahoo-proxy"),
    (re.compile("|".join(_SCANNERS), re.IGNORECASE), HitClass.SCANNER, "scanner-agent"),
    (re.compile(rf"^(?:{'|'.join(_PROGRAMS)})\b", re.IGNORECASE), HitClass.SCANNER, "no-browser"),
)
# Mail programs and browsers that people use begin like this; anything else is not enough to say.
_BROWSER = re.compile(
    r"^(Mozilla/[45]\.0 \(|Opera/|Outlook-|Thunderbird/|AppleMail/|Microsoft Outlook )"
)


def counts_at_all(method: str) -> bool:
    """Whether a request is a hit: Flask sends HEAD through the same view, and nobody opens a mail with it (R166)."""
    return method == "GET"


def classify(headers: Mapping[str, str], agent: str | None) -> Verdict:
    """What a GET of a pixel or a link is taken for. ``headers`` have lower-case names."""
    if any(_AHEAD.search(headers.get(name, "")) for name in PURPOSE_HEADERS):
        return Verdict(HitClass.PREFETCH, "purpose-header")
    if not agent or not agent.strip():
        return Verdict(HitClass.SCANNER, "no-agent")
    for pattern, hit_class, reason in _AGENTS:
        if pattern.search(agent):
            return Verdict(hit_class, reason)
    if _BROWSER.search(agent):
        return Verdict(HitClass.HUMAN, "browser")
    return Verdict(HitClass.UNKNOWN, "strange-agent")


def truncated_ip(text: str | None) -> str | None:
    """The network an address is in, which tells the provider and not the person: /24, and /48 for IPv6."""
    try:
        address = ipaddress.ip_address(text or "")
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    address = mapped or address
    prefix = 24 if address.version == 4 else 48
    return str(ipaddress.ip_network((address, prefix), strict=False).network_address)


def reduced_agent(agent: str | None) -> str | None:
    """The agent without the build numbers that tell one device from the next."""
    if not agent:
        return None
    printable = "".join(letter for letter in agent if letter.isprintable())
    return re.sub(r"(\d+[._]\d+)(?:[._]\d+)+", r"\1", printable)[:LONGEST_AGENT]
