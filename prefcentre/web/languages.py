"""Which language a page speaks: what the address asks for, else the person's, else the browser's first that we know."""

from urllib.parse import urlencode

from flask import Flask, Response, g, request
from flask_babel import Babel, get_locale, refresh

from prefcentre import languages
from prefcentre.subscribers.service import Subscriber


def register(app: Flask) -> None:
    """Let pages translate, and tell templates ``lang``, ``dir``, ``languages`` and ``in_language``."""
    Babel(
        app,
        default_translation_directories=str(languages.FOLDER),
        locale_selector=language,
    )
    app.context_processor(_for_templates)
    app.after_request(_name_it)


def speak_to(person: Subscriber | None) -> None:
    """From here on this page is in the person's language, unless the address asks for another."""
    g.language = person.language if person else None
    refresh()


def language() -> str:
    """The language of this page."""
    wanted = [request.args.get("lang"), g.get("language"), *request.accept_languages.values()]
    return languages.best(*wanted)


def country_name(code: str) -> str:
    """What the language of this page calls a country, by its ISO 3166 code; the code where it knows none."""
    locale = get_locale()
    return str(locale.territories.get(code, code)) if locale else code


def _for_templates() -> dict[str, object]:
    locale = get_locale()
    spoken = locale.language if locale else languages.LANGUAGES[0]
    g.spoken = spoken
    return {
        "lang": spoken,
        "dir": languages.direction(spoken),
        "languages": languages.own_names(),
        "in_language": _in_language,
    }


def _in_language(code: str) -> str:
    """A link to the page that is shown, in another language; all else that its address says is kept."""
    return "?" + urlencode({**request.args, "lang": code})


def _name_it(response: Response) -> Response:
    # Only pages of ours ask templates for a language; a mail shown as a page has its own.
    if spoken := g.get("spoken"):
        response.headers.setdefault("Content-Language", spoken)
        response.vary.add("Accept-Language")
    return response
