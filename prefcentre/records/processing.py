"""The record of processing activities (GDPR art. 30(1)), made from the settings and topics as they are now (R148)."""

import re
from typing import Any

from sqlmodel import Session

from prefcentre.consent import service as consent
from prefcentre.consent.service import NOT_STATED, Topic
from prefcentre.context import Context
from prefcentre.records.classes import CLASSES
from prefcentre.rights import service as rights
from prefcentre.settings import Settings
from prefcentre.transfers import service as transfers
from prefcentre.transfers.service import Standing

# Numbers of requirements, which mean something to whoever works on the code alone.
_FOR_BUILDERS = re.compile(r" ?\([RTD]\d+\)")
_PEOPLE = ("subscribers and former subscribers", "people who wrote on the contact form", "staff")
_OF_STAFF = ("staff", "names, addresses, sessions, and what they did")
_MEASURES = (
    "Connections to mail servers and mailboxes are encrypted and their certificates checked, unless they are this machine.",
    "People's links are signed, expire, and open one thing each; pages set no cookies for subscribers.",
    "Staff sign in with a password and may add an authenticator app or a passkey; four roles; what they do is noted and can't be changed.",
    "Addresses that are not to be written to are kept as keyed hashes; keys lie in a file of their own that its owner alone reads.",
    "Consents are sealed in a chain whose end is kept outside of the database, so that changes show.",
    "Opt-outs are written to a journal on disk before they are answered; a restored backup catches up before anything is sent.",
    "Data is removed by rule every day; erased people leave no octets in the files of SQLite.",
    "Networks are shortened and programs reduced in what is counted; details go after the period below.",
)


def record(session: Session, context: Context) -> dict[str, Any]:
    """The whole record as of now; what nobody has set is said to be not stated."""
    settings = context.settings
    brand = settings.brand
    return {
        "made_at": context.clock.now(),
        "controller": {
            "name": settings.controller_name,
            "address": brand.postal_address or NOT_STATED,
            "contact": brand.contact_email or f"{settings.public_url}/contact",
            "officer": brand.officer or NOT_STATED,
            "authority": brand.complaints_to or NOT_STATED,
        },
        "purposes": [_purpose(topic) for topic in consent.topics(session)],
        "people": list(_PEOPLE),
        "data": [{"class": name, "what": what} for name, what in (*CLASSES.values(), _OF_STAFF)],
        "recipients": _recipients(settings),
        "transfers": _transfers(session, settings),
        "periods": [
            {"rule": rule.name, "what": _FOR_BUILDERS.sub("", rule.what), "days": rule.days}
            for rule in rights.rules_of(settings)
        ],
        "measures": list(_MEASURES),
    }


def as_markdown(record: dict[str, Any]) -> str:
    """The record to print or to keep."""
    who = record["controller"]
    lines = [
        f"# Record of processing activities of {who['name']}",
        "",
        f"As of {record['made_at']:%Y-%m-%d %H:%M} UTC. GDPR art. 30(1); the letters are those of the article.",
        "",
        "## (a) Controller",
        "",
        *(f"- {label}: {who[key]}" for key, label in _WHO.items()),
        "",
        "## (b) Purposes",
        "",
    ]
    for one in record["purposes"]:
        about = f": {one['description']}" if one["description"] else ""
        lines.append(f"- **{one['topic']}** ({one['lawful_basis']}){about}")
    lines += ["", "## (c) People and data", "", "People: " + "; ".join(record["people"]) + ".", ""]
    lines += [f"- {one['class']}: {one['what']}" for one in record["data"]]
    lines += ["", "## (d) Recipients", ""]
    lines += [
        f"- {one['role']}: {one['name']} ({one['where']}): {one['data']}"
        for one in record["recipients"]
    ]
    lines += ["", "## (e) Transfers to third countries", ""]
    lines += [
        f"- {one['host']} in {one['country']}: {one['decision']}; {one['basis']}"
        for one in record["transfers"]
    ] or ["- None is known."]
    lines += ["", "## (f) Time limits", ""]
    lines += [
        f"- {one['what']} {one['days']} days" if one["days"] else f"- {one['what']} without limit"
        for one in record["periods"]
    ]
    lines += ["", "## (g) Security", "", *(f"- {one}" for one in record["measures"]), ""]
    return "\n".join(lines)


_WHO = {
    "name": "Name",
    "address": "Address",
    "contact": "Contact",
    "officer": "Data protection officer",
    "authority": "Authority",
}
_WHERE = {
    Standing.HERE: "on the company's own machines",
    Standing.UNKNOWN: "country not stated",
}


def _purpose(topic: Topic) -> dict[str, str]:
    return {
        "topic": topic.name,
        "key": topic.key,
        "description": topic.description,
        "lawful_basis": topic.lawful_basis.value.replace("_", " "),
    }


def _recipients(settings: Settings) -> list[dict[str, str]]:
    found = [
        {
            "role": one.role,
            "name": f"{one.operator or one.name}, {one.host}",
            "where": one.country or _WHERE[one.standing],
            "data": one.data,
        }
        for one in transfers.endpoints(settings)
    ]
    if settings.brand.recipients:
        found.append(
            {
                "role": "named in the settings",
                "name": settings.brand.recipients,
                "where": settings.brand.storage or NOT_STATED,
                "data": "as told to people",
            }
        )
    return found


def _transfers(session: Session, settings: Settings) -> list[dict[str, str]]:
    known = transfers.acknowledged(session, settings)
    return [
        {
            "host": one.host,
            "country": one.country,
            "decision": transfers.ground(one.country),
            "basis": known[one.host].basis if one.host in known else "not acknowledged by anybody",
        }
        for one in transfers.endpoints(settings)
        if one.standing is Standing.OUTSIDE
    ]
