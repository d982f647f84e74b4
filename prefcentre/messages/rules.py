"""What has to hold before a campaign may go, each rule by itself (R192)."""

import re
import unicodedata
from collections.abc import Iterator, Sequence

from prefcentre.messages.values import Finding, Level, Trial

HTML_LIMIT = 100_000
HTML_WARNING = 80_000
# Mailbox providers quarantine mail that claims to come from them but does not (R2).
FREE_MAIL = frozenset(
    {
        *(
            "gmail.com",
            "googlemail.com",
            "outlook.com",
            "hotmail.com",
            "live.com",
            "msn.com",
            "aol.com",
        ),
        *(
            "yahoo.com",
            "ymail.com",
            "icloud.com",
            "me.com",
            "mac.com",
            "gmx.com",
            "gmx.de",
            "gmx.net",
            "web.de",
        ),
        *(
            "mail.ru",
            "yandex.ru",
            "yandex.com",
            "proton.me",
            "protonmail.com",
            "zoho.com",
            "abv.bg",
            "mail.bg",
        ),
        *(
            "yahoo.co.uk",
            "hotmail.co.uk",
            "yahoo.fr",
            "orange.fr",
            "laposte.net",
            "libero.it",
            "seznam.cz",
            "wp.pl",
        ),
    }
)
_REPLY = re.compile(r"\s*(?:re|fwd?|aw|wg|sv|vs)\s*:", re.IGNORECASE)
_HIDDEN = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0(?![\d.])|mso-hide\s*:|opacity\s*:\s*0(?![\d.])|<mj-preview",
    re.IGNORECASE,
)
_NO_ALT = re.compile(
    r"<(?:mj-image|img)\b(?=[^>]*\bsrc\s*=)(?![^>]*\balt\s*=)[^>]*>", re.IGNORECASE
)
_NO_REPLY = re.compile(r"(?:no|do-?not)[-_.]?reply", re.IGNORECASE)


def error(name: str, message: str) -> Finding:
    """A finding that stops a campaign."""
    return Finding(Level.ERROR, name, message)


def warning(name: str, message: str) -> Finding:
    """A finding that a person should look at."""
    return Finding(Level.WARNING, name, message)


def check_sender(
    name: str, email: str, reply_to: str | None, *, loopback: bool
) -> Iterator[Finding]:
    """R2, R21 and the reply address of R23."""
    local, _, domain = email.rpartition("@")
    if domain.lower() in FREE_MAIL and not loopback:
        yield error(
            "sender",
            f"Nobody can prove that mail from {domain} is yours; send from a domain of your own (R2).",
        )
    if "{{" in name or "{%" in name:
        yield error("sender_name", "The sender's name must be the same for everybody (R21).")
    if any(unicodedata.category(letter) == "So" for letter in name):
        yield error("sender_name", "The sender's name must not hold pictures or badges (R21).")
    if _NO_REPLY.match(local) and not reply_to:
        yield error(
            "reply_address",
            "People must be able to answer (R23): set reply_to, or send from an address that is read.",
        )


def check_domain(domain: str, *, verified: bool, loopback: bool) -> Iterator[Finding]:
    """R45: a domain that has not been verified may send to a local mail server only."""
    if not verified:
        message = f"{domain} has not been verified (R45); Settings → Health does it, and so does “prefcentre doctor”."
        yield warning("sender_domain", message) if loopback else error("sender_domain", message)


def check_scripts(domains: Sequence[str]) -> Iterator[Finding]:
    """R11: a domain that mixes alphabets imitates another one."""
    for domain in domains:
        if any(len(_alphabets(label)) > 1 for label in _unicode(domain).split(".")):
            yield error(
                "lookalike", f"{domain} mixes alphabets and looks like another domain (R11)."
            )


def check_subject(subject: str) -> Iterator[Finding]:
    """R21: no false answer or forward."""
    if _REPLY.match(subject):
        yield warning(
            "subject",
            "A subject that begins like an answer or a forwarded mail misleads people (R21).",
        )


def check_source(sources: Sequence[str]) -> Iterator[Finding]:
    """R22 and pictures without words."""
    hidden = next((found for text in sources if (found := _HIDDEN.search(text))), None)
    if hidden:
        yield warning(
            "hidden", f"Hidden text looks like deceit to mailbox providers (R22): {hidden[0]}"
        )
    pictures = sum(len(_NO_ALT.findall(text)) for text in sources)
    if pictures:
        yield warning("alt", f"{pictures} picture(s) have no alt text; many people see only that.")


def check_size(octets: int) -> Iterator[Finding]:
    """R14: Gmail cuts long mails off, and the unsubscribe link with them."""
    if octets >= HTML_LIMIT:
        yield error(
            "size",
            f"The HTML part has {octets // 1000} kB; from 100 kB on the end is cut off (R14).",
        )
    elif octets >= HTML_WARNING:
        yield warning(
            "size", f"The HTML part has {octets // 1000} kB; at 100 kB it is too long (R14)."
        )


def check_parts(
    trial: Trial, unsubscribe: str, brand_name: str, postal_address: str
) -> Iterator[Finding]:
    """R13 and R23: what both parts must show."""
    if not postal_address:
        yield error(
            "postal_address",
            "Set PREFCENTRE_BRAND__POSTAL_ADDRESS: every mail has to show it (R23).",
        )
    for part, shown in (("HTML", _without_markup(trial.html)), ("text", _flat(trial.text))):
        if not shown:
            yield error("parts", f"The {part} part is empty (R13).")
            continue
        if brand_name and _flat(brand_name) not in shown:
            yield error(
                "brand", f"The {part} part does not say who is sending: {{{{ brand.name }}}} (R23)."
            )
        if postal_address and _flat(postal_address) not in shown:
            yield error(
                "postal_address",
                f"The {part} part does not show {{{{ brand.postal_address }}}} (R23).",
            )
    for part, source in (("HTML", trial.html), ("text", trial.text)):
        if unsubscribe not in source:
            yield error("unsubscribe", f"The {part} part has no {{{{ links.unsubscribe }}}} (R23).")


def check_tracking(trial: Trial, ways: Sequence[str]) -> Iterator[Finding]:
    """R156: whoever is counted can change that from the mail itself, by any of these links."""
    for part, source in (("HTML", trial.tracked_html), ("text", trial.tracked_text)):
        if not any(way in source for way in ways):
            yield error(
                "tracking",
                f"The {part} part of a counted mail has neither {{{{ links.tracking }}}} nor {{{{ links.preferences }}}}"
                " (R156); add one, or set opens and clicks to false under [tracking].",
            )


def check_topic(key: str, channels: Sequence[str] | None) -> Iterator[Finding]:
    """A campaign belongs to a topic that is offered by e-mail."""
    if channels is None:
        yield error("topic", f"There is no topic “{key}”; run “prefcentre topics apply FILE”.")
    elif "email" not in channels:
        yield error("topic", f"The topic “{key}” is not offered by e-mail.")


def check_values(trial: Trial) -> Iterator[Finding]:
    """All variables resolve for a sample; a few people without a value are skipped, everybody is a mistake (R192)."""
    for failure in trial.failures:
        yield error("template", failure)
    for variable, people in sorted(trial.missing.items()):
        message = (
            f"{people} of {trial.tried} people looked at have no {variable} and would be skipped; "
            f"a fallback helps: {{{{ {variable}|default('…') }}}}"
        )
        yield (
            error("variables", message) if people == trial.tried else warning("variables", message)
        )


def check_public_url(
    url: str, *, url_is_loopback: bool, smtp_is_loopback: bool
) -> Iterator[Finding]:
    """R26: the links have to work where the mail is read."""
    if url_is_loopback and not smtp_is_loopback:
        yield error("public_url", f"Nobody else can open {url}; set PREFCENTRE_PUBLIC_URL (R26).")


def _unicode(domain: str) -> str:
    try:
        return domain.encode("ascii").decode("idna")
    except UnicodeError:
        return domain


def _alphabets(label: str) -> set[str]:
    # The first word of a letter's name is its script. Japanese and Korean mix theirs by nature.
    names = {unicodedata.name(letter, "?").split()[0] for letter in label if letter.isalpha()}
    return names & {"LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE"}


def _without_markup(html: str) -> str:
    body = re.sub(
        r"<head\b.*?</head>|<!--.*?-->|<style\b.*?</style>",
        " ",
        html,
        flags=re.DOTALL | re.IGNORECASE,
    )
    return _flat(re.sub(r"<[^>]*>", " ", body))


def _flat(text: str) -> str:
    unescaped = text
    for sign, letter in (
        ("&#39;", "'"),
        ("&#34;", '"'),
        ("&quot;", '"'),
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&amp;", "&"),
    ):
        unescaped = unescaped.replace(sign, letter)
    return " ".join(unescaped.split())
