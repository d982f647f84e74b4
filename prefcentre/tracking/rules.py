"""What one hit says by itself, and what may be kept of it: a table of signs, the first that fits decides (R165-R168)."""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from prefcentre.tracking.models import HitClass, TrackingKind

VERSION = 1
"""Raise it with every change here or in ``sequence``: what was judged by an older version is judged again."""

LONGEST_AGENT = 400
_LONGEST_AHEAD = 32

# A proxy fetches for a person who looks at that moment. What cannot be told is not counted as a person (R165, R174).
PEOPLE = frozenset({HitClass.HUMAN, HitClass.PROXY})
MACHINES = frozenset(HitClass) - PEOPLE


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a hit is taken for, and the sign that said so; the sign is stored, so the rule can be revised later."""

    hit_class: HitClass
    reason: str


# Every sign that one hit can give by itself. It is kept for good, when the agent is long gone.
SIGNS: Mapping[str, HitClass] = {
    "head": HitClass.SCANNER,
    "purpose-header": HitClass.PREFETCH,
    "no-agent": HitClass.SCANNER,
    "apple-privacy": HitClass.PREFETCH,
    "gmail-delivery": HitClass.PREFETCH,
    "gmail-proxy": HitClass.PROXY,
    "yahoo-proxy": HitClass.PROXY,
    "mail-proxy": HitClass.PROXY,
    # These fetch pictures only, so nobody knows who borrows their names to follow a link.
    "proxy-click": HitClass.UNKNOWN,
    "bare-click": HitClass.UNKNOWN,
    "scanner-agent": HitClass.SCANNER,
    "robot": HitClass.SCANNER,
    "no-browser": HitClass.SCANNER,
    "browser": HitClass.HUMAN,
    "mail-program": HitClass.HUMAN,
    "strange-agent": HitClass.UNKNOWN,
}

# A browser that loads ahead of its user says so in one of these (R166).
PURPOSE_HEADERS = ("sec-purpose", "purpose", "x-purpose", "x-moz")
_AHEAD = re.compile(r"prefetch|preview|prerender", re.IGNORECASE)

# Who makes sure that mail does no harm, and programs of offices that try a link before a person gets there.
_SCANNERS = (
    "agari|avanan|barracuda|bitdefender|brightcloud|check ?point|cisco-?(?:ironport|umbrella)|cloudmark|cofense|cyren",
    "domaintools|eset\\b|f-secure|fireeye|forcepoint|forti(?:guard|mail|sandbox)|google-safety|hornetsecurity|ironport",
    "kaspersky|knowbe4|mailscanner|mcafee|messagelabs|mimecast|netcraft|palo ?alto|phishlabs|proofpoint|retarus",
    "safe ?links|safebrowsing|sonicwall|sophos|symantec|trellix|trend ?micro|trustwave|urldefense|urlscan|vade ?secure",
    "virustotal|websense|zscaler|zix(?:corp|gateway)|microsoft office (?:existence|protocol) discovery",
    "ms-office-?scanner|bingpreview|skypeuripreview|spamassassin|rspamd|clamav",
)
# Whoever reads the web for others: search engines, previews in chats, checkers of links and of uptime.
_ROBOTS = (
    r"(?<!cu)bot\b|bot[/_\-]|\bbot|crawl|spider|slurp|scrap(?:er|y)|archiver|indexer|scanner|monitor(?:ing)?\b",
    "facebookexternalhit|facebookcatalog|meta-external|whatsapp/|telegrambot|slack-img|embedly|iframely|pingdom",
    "linkcheck|link check|link validator|link-?preview|url ?preview|validator|lighthouse|headless|phantomjs|electron-fetch",
    "selenium|puppeteer|playwright|google-(?:read-aloud|inspectiontool|structured|adwords|cloudvertexbot|extended)",
    "googleother|mediapartners-google|feedfetcher|feedburner|apis-google|duplexweb|storebot|chrome-lighthouse",
    # A browser names neither a page that explains it nor an address, and it is compatible with nothing but Microsoft's.
    r"https?:|\bwww\.|@[a-z0-9-]+\.[a-z]|^mozilla/[45]\.0 \(compatible[;)](?! (?:msie|konqueror|ie|ms-office)\b)",
    r"agent\b|httpclient|scan\b|\bptst/|google-physicalweb|google favicon|gecko; compatible|securityheaders|gtmetrix",
    "google web preview|appengine-google|flipboardproxy|appinsights|web-?sniffer|site-?(?:explorer|auditor|check)|robots",
    r"fetch(?:er)?[/ ]|reader/|rss\b|amazon cloudfront|hubspot|datadog|newrelic|nmap|nikto|zgrab|masscan|censys|shodan",
)
# Libraries with which programs ask for pages; none of them is a browser (R166).
_PROGRAMS = (
    "ahc|aiohttp|akka-http|apache|axios|cfnetwork|clojure|cpp-httplib|curl|dart|deno|edgecast|ensembl|faraday|fasthttp",
    "go-http-client|go-resty|got|guzzle(?:http)?|hackney|http(?:ie|client|_request2|ful|rb|unit)?|httpx|jakarta",
    "java|jersey|jetty|ktor(?:-client)?|libcurl|libwww(?:-perl)?|lua-resty-http|lwp|mechanize|nativehost|node(?:-fetch)?",
    "node-superagent|okhttp|open-uri|perl|php|poco|postman(?:runtime)?|powershell|pycurl|python(?:-[a-z]+)?|reqwest|req",
    "requests|restsharp|ruby|rust|scala|superagent|symfony|typhoeus|undici|unirest|urlgrabber|wget|winhttp|wininet|ws",
    "zend(?:_http_client)?",
)
_GMAIL_DELIVERY = r"Chrome/42\.0(?:\.2311\.135)? .*Edge/12\.246 Mozilla/5\.0$"
_MAIL_PROXIES = "seznamemailproxy|mail\\.ru imageproxy|ymlp\\.com|naver ?mail ?proxy|image ?proxy"


def _any_of(parts: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(parts), re.IGNORECASE)


# Each row: what the agent looks like, the name of the sign. The order matters: Gmail's delivery-time fetch also looks
# like a browser, and its proxied open must be known before any list of robots is asked (R168).
_AGENTS: tuple[tuple[re.Pattern[str], str], ...] = (
    # Only the bare words are Apple's; every browser begins with them (R167).
    (re.compile(r"^Mozilla/5\.0$"), "apple-privacy"),
    (re.compile(_GMAIL_DELIVERY), "gmail-delivery"),
    (re.compile("GoogleImageProxy"), "gmail-proxy"),
    (re.compile("YahooMailProxy"), "yahoo-proxy"),
    (re.compile(_MAIL_PROXIES, re.IGNORECASE), "mail-proxy"),
    (_any_of(_SCANNERS), "scanner-agent"),
    (_any_of(_ROBOTS), "robot"),
    (re.compile(rf"^(?:{'|'.join(_PROGRAMS)})(?![a-z])", re.IGNORECASE), "no-browser"),
    (
        re.compile(
            "^(?:Thunderbird|AppleMail|Outlook-|Microsoft Office/.*Outlook|Microsoft Outlook|Airmail|Spark/|Postbox)"
            "|MSOffice 1|ms-office|OneOutlook|Outlook-(?:iOS|Android)|Thunderbird/|eM ?Client|Evolution/",
            re.IGNORECASE,
        ),
        "mail-program",
    ),
    (re.compile(r"^(?:Mozilla/[45]\.0 \(|Opera/|Dalvik/)"), "browser"),
)
# What these say holds for pictures.
_FOR_PICTURES = {
    "apple-privacy": "bare-click",
    "gmail-proxy": "proxy-click",
    "yahoo-proxy": "proxy-click",
    "mail-proxy": "proxy-click",
}


def counts_at_all(method: str) -> bool:
    """Whether a request is a hit: Flask sends HEAD through the same view, and nobody opens a mail with it (R166)."""
    return method == "GET"


def kind_of(method: str, link: int | None) -> TrackingKind:
    """What was hit."""
    if not counts_at_all(method):
        return TrackingKind.HEAD
    return TrackingKind.OPEN if link is None else TrackingKind.CLICK


def ahead_of(headers: Mapping[str, str]) -> str | None:
    """The words of a browser that loads ahead of its user, if it says so. ``headers`` have lower-case names."""
    for name in PURPOSE_HEADERS:
        if _AHEAD.search(headers.get(name, "")):
            printable = "".join(letter for letter in headers[name] if letter.isprintable())
            found = _AHEAD.search(printable)
            # The rest of the header says nothing, and a stranger wrote it.
            return found[0].lower() if found else None
    return None


# Crowds come with few agents, and looking at one takes longer than writing its hit down.
@lru_cache(5_000)
def sign_of(kind: TrackingKind, ahead: str | None, agent: str | None) -> str:
    """The first sign that a hit gives by itself."""
    if kind is TrackingKind.HEAD:
        return "head"
    if ahead:
        return "purpose-header"
    if not agent or not agent.strip():
        return "no-agent"
    sign = next((sign for pattern, sign in _AGENTS if pattern.search(agent)), "strange-agent")
    return _FOR_PICTURES.get(sign, sign) if kind is TrackingKind.CLICK else sign


def told_by(sign: str) -> Verdict:
    """What a sign means; one that this version no longer knows is not enough to say."""
    return Verdict(SIGNS.get(sign, HitClass.UNKNOWN), sign)


def classify(
    headers: Mapping[str, str], agent: str | None, kind: TrackingKind = TrackingKind.OPEN
) -> Verdict:
    """What a hit is taken for by itself, before others are seen beside it. ``headers`` have lower-case names."""
    return told_by(sign_of(kind, ahead_of(headers), agent))


_BYTE = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
# Nearly all of them, for which a library takes ten times as long.
_PLAIN_IPV4 = re.compile(rf"({_BYTE}\.{_BYTE}\.{_BYTE})\.{_BYTE}")


def truncated_ip(text: str | None) -> str | None:
    """The network an address is in, which tells the provider and not the person: /24, and /48 for IPv6."""
    if text and (plain := _PLAIN_IPV4.fullmatch(text)):
        return f"{plain[1]}.0"
    try:
        address = ipaddress.ip_address(text or "")
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    packed = (mapped or address).packed
    kept = 3 if len(packed) == 4 else 6
    return str(ipaddress.ip_address(packed[:kept] + bytes(len(packed) - kept)))


def reduced_agent(agent: str | None) -> str | None:
    """The agent without the build numbers that tell one device from the next."""
    if not agent:
        return None
    printable = "".join(letter for letter in agent if letter.isprintable())
    return re.sub(r"(\d+[._]\d+)(?:[._]\d+)+", r"\1", printable)[:LONGEST_AGENT]
