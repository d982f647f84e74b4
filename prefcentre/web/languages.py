"""Which language a page speaks: what the address asks for, else the person's, else the browser's first that we know."""

from flask import Flask, g, request
from flask_babel import Babel, get_locale, refresh

from prefcentre import languages
from prefcentre.subscribers.service import Subscriber


def register(app: Flask) -> None:
    """Let pages translate, and tell templates ``lang``, ``dir`` and ``languages``."""
    Babel(
        app,
        default_translation_directories=str(languages.FOLDER),
        locale_selector=language,
    )
    app.context_processor(_for_templates)


def speak_to(person: Subscriber | None) -> None:
    """From here on this page is in the person's language, unless the address asks for another."""
    g.language = person.language if person else None
    refresh()


def language() -> str:
    """The language of this page."""
    wanted = [request.args.get("lang"), g.get("language"), *request.accept_languages.values()]
    return languages.best(*wanted)


def _for_templates() -> dict[str, object]:
    locale = get_locale()
    spoken = locale.language if locale else languages.LANGUAGES[0]
    return {
        "lang": spoken,
        "dir": languages.direction(spoken),
        "languages": languages.own_names(),
    }
