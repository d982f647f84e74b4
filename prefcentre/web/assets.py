"""The style sheet with the brand's colours in it, the logo, and the small mark of the browser tab."""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from urllib.parse import urlsplit

from flask import Blueprint, Flask, Response

from prefcentre.errors import NotFound
from prefcentre.sections import LOGO_TYPES
from prefcentre.settings import Brand, Settings
from prefcentre.web import colour

_FOR_EVER = "public, max-age=31536000, immutable"
_PICTURE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
"""An SVG that is opened by itself may style itself and do nothing else."""
_ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="8" fill="{fill}"/>'
    '<text x="16" y="23" text-anchor="middle" font-family="system-ui,sans-serif" font-weight="700" font-size="19" '
    'fill="{ink}">{letter}</text></svg>'
)


@dataclass(frozen=True, slots=True)
class Assets:
    """What pages link to. ``version`` names the content, so browsers may keep it for ever."""

    style: str
    icon: str
    logo: bytes
    logo_type: str
    version: str


def register(app: Flask, settings: Settings) -> None:
    """Serve the style sheet and the icon, and give their addresses to every template."""
    pages = Blueprint("assets", __name__)
    assets = make(settings.brand)
    base = base_path(settings)

    @pages.get("/style/<version>/<name>")
    def asset(version: str, name: str) -> Response:  # noqa: ARG001 - the version only keeps old copies apart.
        match name:
            case "public.css":
                return _kept(assets.style, "text/css; charset=utf-8")
            case "icon.svg":
                return _kept(assets.icon, "image/svg+xml; charset=utf-8")
            case "logo" if assets.logo:
                return _kept(assets.logo, assets.logo_type)
        raise NotFound

    @pages.app_context_processor
    def shared() -> dict[str, object]:
        folder = f"{base}/style/{assets.version}"
        return {
            "brand": settings.brand,
            "home": f"{base}/",
            "stylesheet": f"{folder}/public.css",
            "icon": f"{folder}/icon.svg",
            "logo": f"{folder}/logo" if assets.logo else "",
        }

    app.register_blueprint(pages)


@lru_cache
def make(brand: Brand) -> Assets:
    """The style sheet, the icon and the logo of a brand."""
    css = files("prefcentre.web").joinpath("static/public.css").read_text("utf-8")
    style = css + colour.stylesheet(brand.colour, brand.second_colour)
    light, _ = colour.accents(brand.colour)
    letter = brand.name[:1].upper().translate({ord("&"): "&amp;", ord("<"): "&lt;"})
    icon = _ICON.format(fill=light.colour, ink=light.ink, letter=letter)
    logo = brand.logo.read_bytes() if brand.logo else b""
    logo_type = LOGO_TYPES[brand.logo.suffix.lower()] if brand.logo else ""
    content = hashlib.sha256((style + icon).encode() + logo)
    return Assets(style, icon, logo, logo_type, content.hexdigest()[:12])


def base_path(settings: Settings) -> str:
    """The path that all our addresses begin with: empty, unless the site lives in a folder of its host.

    Pages link by path only, so nothing that a client says about the host ever gets into a link (T23).
    """
    return urlsplit(settings.public_url).path.rstrip("/")


def _kept(body: str | bytes, content_type: str) -> Response:
    headers = {"Cache-Control": _FOR_EVER}
    if content_type.startswith("image/"):
        headers["Content-Security-Policy"] = _PICTURE_POLICY
    return Response(body, content_type=content_type, headers=headers)
