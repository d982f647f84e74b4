"""Whose mailboxes an address belongs to, as far as its domain tells: complaint rates are judged by provider (R53)."""

_BY_DOMAIN = {
    **dict.fromkeys(("gmail.com", "googlemail.com"), "Gmail"),
    **dict.fromkeys(("icloud.com", "me.com", "mac.com"), "Apple"),
    **dict.fromkeys(("aol.com", "ymail.com", "rocketmail.com"), "Yahoo"),
    **dict.fromkeys(
        ("gmx.de", "gmx.net", "gmx.at", "gmx.ch", "gmx.com", "web.de"), "GMX and WEB.DE"
    ),
    **dict.fromkeys(("proton.me", "protonmail.com", "pm.me"), "Proton"),
    **dict.fromkeys(("mail.ru", "bk.ru", "inbox.ru", "list.ru"), "Mail.ru"),
    **dict.fromkeys(("yandex.ru", "yandex.com", "ya.ru"), "Yandex"),
}
# These have a domain for each country.
_BY_NAME = {
    "yahoo": "Yahoo",
    "hotmail": "Microsoft",
    "outlook": "Microsoft",
    "live": "Microsoft",
    "msn": "Microsoft",
}


def of_domain(domain: str) -> str:
    """The provider of a domain in small letters; one that we don't know is its own."""
    known = _BY_DOMAIN.get(domain)
    if known:
        return known
    name, _, country = domain.partition(".")
    is_national = country in {"com", "net"} or (
        2 <= len(country) <= 6 and len(country.split(".")[-1]) == 2
    )
    return _BY_NAME.get(name, domain) if is_national else domain


def of_address(address: str) -> str:
    """The provider of an address."""
    return of_domain(address.rpartition("@")[2].lower())
