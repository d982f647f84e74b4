"""Draws a picture anew from its points, in a child process with little time and memory (T39).

This is a file of its own because it is also a program: what somebody uploads is first looked at where it can be
killed. Nothing but points, and the time between the pictures of a moving one, is taken over: no metadata, no comment, no
octet behind the end of the picture.
"""

import contextlib
import io
import json
import subprocess
import sys
import warnings
from dataclasses import dataclass
from typing import Any

from prefcentre.errors import InvalidInput
from prefcentre.media.models import PictureKind

CPU_SECONDS, WALL_SECONDS = 10, 30
MEMORY_BYTES = 768 * 1024 * 1024
LARGEST_SIDE = 1600
"""Twice the width of a mail, for screens with fine points; more would only be slower to load."""
MOST_POINTS, MOST_FRAMES = 40_000_000, 120
_FORMATS = ("PNG", "JPEG", "GIF", "WEBP")
_NOT_A_PICTURE = "This file is not a picture that we can read. Use PNG, JPEG, GIF or WebP."
_TOO_LARGE = (
    f"This picture is too large to be drawn: {MOST_POINTS // 1_000_000} million points are the most, over all "
    f"{MOST_FRAMES} pictures that a moving one may have."
)


@dataclass(frozen=True)
class Drawn:
    """A picture as it is kept."""

    kind: PictureKind
    width: int
    height: int
    data: bytes


def redraw(upload: bytes) -> Drawn:
    """The same picture, drawn anew. Raises InvalidInput when it is none, or takes more than a picture may."""
    command = [sys.executable, "-I", "-X", "utf8", "-m", __name__]
    try:
        done = subprocess.run(
            command, input=upload, capture_output=True, timeout=WALL_SECONDS, check=False, env={}
        )
    except subprocess.TimeoutExpired as error:
        raise InvalidInput(_TOO_LARGE) from error
    if done.returncode < 0 or b"MemoryError" in done.stderr:
        raise InvalidInput(_TOO_LARGE)
    head, _, data = done.stdout.partition(b"\n")
    if done.returncode or not head:
        raise InvalidInput(_NOT_A_PICTURE)
    told: dict[str, Any] = json.loads(head)
    if "refused" in told:
        raise InvalidInput(told["refused"])
    return Drawn(PictureKind(told["kind"]), told["width"], told["height"], data)


def _limit_ourselves() -> None:
    # Windows has no such limits; there the parent's patience is the only one.
    with contextlib.suppress(ImportError):
        import resource  # noqa: PLC0415 - absent on Windows.

        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _drawn(upload: bytes) -> Drawn:
    """Raises InvalidInput; whatever Pillow raises ends the process, which says the same."""
    # Only the child needs Pillow, and with it every sender would be larger.
    from PIL import Image, ImageOps  # noqa: PLC0415

    Image.MAX_IMAGE_PIXELS = MOST_POINTS
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            picture = Image.open(io.BytesIO(upload), formats=_FORMATS)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise InvalidInput(_TOO_LARGE) from error
    except (OSError, SyntaxError, ValueError) as error:
        raise InvalidInput(_NOT_A_PICTURE) from error
    frames = getattr(picture, "n_frames", 1)
    if frames > MOST_FRAMES or frames * picture.width * picture.height > MOST_POINTS:
        raise InvalidInput(_TOO_LARGE)
    if frames > 1:
        return _moving(picture, frames)
    upright = ImageOps.exif_transpose(picture)
    see_through = "A" in upright.getbands() or "transparency" in upright.info
    still = _small(upright.convert("RGBA" if see_through else "RGB"))
    # Photographs stay photographs; WebP, which some mail programs do not show, becomes what its points ask for.
    as_jpeg = not see_through and picture.format in {"JPEG", "WEBP"}
    target = io.BytesIO()
    if as_jpeg:
        still.save(target, "JPEG", quality=84, optimize=True, progressive=True)
    else:
        still.save(target, "PNG", optimize=True)
    kind = PictureKind.JPEG if as_jpeg else PictureKind.PNG
    return Drawn(kind, still.width, still.height, target.getvalue())


def _moving(picture: Any, frames: int) -> Drawn:
    steps, waits = [], []
    for number in range(frames):
        picture.seek(number)
        steps.append(_small(picture.convert("RGBA")))
        waits.append(max(20, int(picture.info.get("duration") or 100)))
    target = io.BytesIO()
    steps[0].save(
        target, "GIF", save_all=True, append_images=steps[1:], duration=waits, loop=0, disposal=2,
    )  # fmt: skip
    return Drawn(PictureKind.GIF, steps[0].width, steps[0].height, target.getvalue())


def _small(picture: Any) -> Any:
    # Nothing of the file's own words is taken along.
    picture.info = {}
    picture.thumbnail((LARGEST_SIDE, LARGEST_SIDE))
    return picture


def _answer(upload: bytes) -> bytes:
    try:
        found = _drawn(upload)
    except InvalidInput as error:
        return json.dumps({"refused": str(error)}).encode() + b"\n"
    told = {"kind": found.kind.value, "width": found.width, "height": found.height}
    return json.dumps(told).encode() + b"\n" + found.data


if __name__ == "__main__":
    _limit_ourselves()
    sys.stdout.buffer.write(_answer(sys.stdin.buffer.read()))
