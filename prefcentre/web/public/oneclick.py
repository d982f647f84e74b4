"""Reading what an unsubscribe request wants, from its raw body (RFC 8058 §3.2)."""

import re
from urllib.parse import parse_qsl

PAIR = ("List-Unsubscribe", "One-Click")

_MOST_FIELDS = 200
_NAME = re.compile(
    r'^content-disposition:.*?;\s*name="?([^";\r\n]*)"?', re.IGNORECASE | re.MULTILINE
)


def fields(body: bytes) -> dict[str, str]:
    """The fields of a form, whatever the content type said.

    Some senders leave the type away or send text/plain, and Flask's own form is empty then. An opt-out lost is worse
    than a lenient reader (D4), so the body decides: it is multipart when it begins with a boundary.
    """
    text = body.decode("utf-8", "replace").strip()
    return _multipart(text) if text.startswith("--") else _urlencoded(text)


def is_one_click(form: dict[str, str]) -> bool:
    """Whether the pair of RFC 8058 is there."""
    name, value = PAIR
    return form.get(name) == value


def _urlencoded(text: str) -> dict[str, str]:
    # A text/plain form puts each pair on a line of its own.
    joined = "&".join(line.strip() for line in text.splitlines())
    try:
        pairs = parse_qsl(joined, keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError:
        return {}
    return dict(pairs)


def _multipart(text: str) -> dict[str, str]:
    # The boundary is taken from the body, because the header that should name it may be missing or wrong.
    boundary = text.splitlines()[0].rstrip()
    parts = (part.strip("\r\n").replace("\r\n", "\n") for part in text.split(boundary)[1:])
    halves = (part.partition("\n\n") for part in parts)
    return {name[1]: value.strip() for head, _, value in halves if (name := _NAME.search(head))}
