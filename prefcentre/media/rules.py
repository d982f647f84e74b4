"""What a picture may be before and after it was drawn anew."""

import re

from prefcentre.media.models import PictureKind

LARGEST_FILE = 10 * 1024 * 1024
LARGEST_PICTURE = 4 * 1024 * 1024
HEAVY = 500 * 1024
"""From here on a picture makes people on a phone wait."""
CONTENT_TYPES = {
    PictureKind.PNG: "image/png",
    PictureKind.JPEG: "image/jpeg",
    PictureKind.GIF: "image/gif",
}
ENDINGS = {PictureKind.PNG: "png", PictureKind.JPEG: "jpg", PictureKind.GIF: "gif"}
LONGEST_TITLE, LONGEST_ALT = 120, 300
_UNWANTED = re.compile(r"[\x00-\x1f\x7f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]+")
_NAME = re.compile(r"[a-z2-7]{26}\.(?:png|jpg|gif)")


def title_of(file_name: str) -> str:
    """What a picture is called in the library: the file's own name without its path and ending."""
    last = re.split(r"[\\/]", file_name)[-1]
    stem = last.rpartition(".")[0] or last
    return one_line(stem, LONGEST_TITLE) or "picture"


def one_line(text: str, longest: int) -> str:
    """Text without anything that ends a line or turns its direction."""
    return " ".join(_UNWANTED.sub(" ", text).split())[:longest].strip()


def is_name(name: str) -> bool:
    """Whether this can be the address of a picture of ours."""
    return _NAME.fullmatch(name) is not None
