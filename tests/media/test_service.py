import io
import struct
import zlib

import pytest
from flask.testing import FlaskClient
from PIL import Image

from prefcentre.context import Context
from prefcentre.errors import InvalidInput, NotFound
from prefcentre.media import service as media
from prefcentre.media.models import Media, PictureKind

SCRIPT = b"<script>alert(1)</script>"


def picture(
    form: str,
    size: tuple[int, int] = (8, 4),
    mode: str = "RGB",
    colour: object = "red",
    **more: object,
) -> bytes:
    target = io.BytesIO()
    Image.new(mode, size, colour).save(target, form, **more)  # type: ignore[arg-type]
    return target.getvalue()


def moving(form: str, frames: int = 3, size: tuple[int, int] = (8, 4)) -> bytes:
    steps = [Image.new("RGB", size, (number * 70 % 256, number, 9)) for number in range(frames)]
    target = io.BytesIO()
    steps[0].save(target, form, save_all=True, append_images=steps[1:], duration=40)
    return target.getvalue()


def huge_png(width: int, height: int) -> bytes:
    """A few octets that claim to be a large picture."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(b"\0" * 1_000_000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def keep(context: Context, upload: bytes, name: str = "Spring.png") -> Media:
    drawn = media.draw(upload)
    with context.db.writing() as session:
        return media.keep(session, context, drawn, name, "Mira")


@pytest.mark.parametrize(
    ("upload", "kind"),
    [
        (picture("PNG"), PictureKind.PNG),
        (picture("JPEG"), PictureKind.JPEG),
        (picture("JPEG", mode="CMYK", colour=(9, 9, 9, 9)), PictureKind.JPEG),
        (picture("GIF"), PictureKind.PNG),
        (picture("WEBP"), PictureKind.JPEG),
        (picture("WEBP", mode="RGBA", colour=(1, 2, 3, 4)), PictureKind.PNG),
        (moving("GIF"), PictureKind.GIF),
        (moving("WEBP"), PictureKind.GIF),
    ],
)
def test_a_picture_becomes_a_kind_that_every_mail_program_shows(
    upload: bytes, kind: PictureKind
) -> None:
    drawn = media.draw(upload)
    shown = Image.open(io.BytesIO(drawn.data))
    assert (drawn.kind, shown.format, shown.size) == (kind, kind.value.upper(), (8, 4))


@pytest.mark.usefixtures("tried_apart")
def test_nothing_of_the_file_as_it_came_is_left() -> None:
    exif = Image.Exif()
    exif[0x010E] = "secret place"
    uploads = [
        picture("JPEG", exif=exif, comment=b"secret place" + SCRIPT) + SCRIPT,
        picture("PNG") + b"PK\x03\x04" + SCRIPT,
        picture("GIF", comment=SCRIPT) + b"/*" + SCRIPT,
        moving("GIF") + SCRIPT,
    ]
    for upload in uploads:
        data = media.draw(upload).data
        assert b"script" not in data
        assert b"secret" not in data
        assert not Image.open(io.BytesIO(data)).getexif()


def test_a_photograph_is_turned_the_way_its_camera_was_held() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    drawn = media.draw(picture("JPEG", exif=exif))
    assert (drawn.width, drawn.height) == (4, 8)


def test_a_large_picture_is_made_smaller() -> None:
    drawn = media.draw(picture("JPEG", size=(3200, 800)))
    assert (drawn.width, drawn.height) == (1600, 400)


@pytest.mark.parametrize(
    "upload",
    [
        b"",
        SCRIPT,
        b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
        b"<!DOCTYPE html><html></html>",
        b"%PDF-1.7",
        b"GIF89a/*" + SCRIPT,
        picture("PNG")[:40],
        picture("BMP"),
        picture("TIFF"),
        picture("ICO", size=(16, 16)),
    ],
    ids=["nothing", "script", "svg", "html", "pdf", "polyglot", "cut", "bmp", "tiff", "ico"],
)
def test_what_is_no_picture_of_ours_is_refused(upload: bytes) -> None:
    with pytest.raises(InvalidInput, match="PNG, JPEG, GIF or WebP"):
        media.draw(upload)


@pytest.mark.parametrize(
    "upload",
    [huge_png(60_000, 60_000), huge_png(2**31 - 1, 2), moving("GIF", 200, (2, 2))],
    ids=["wide and high", "wide", "many"],
)
@pytest.mark.usefixtures("tried_apart")
def test_a_bomb_is_refused_in_words(upload: bytes) -> None:
    with pytest.raises(InvalidInput, match="too large"):
        media.draw(upload)


def test_a_file_that_is_too_long_is_not_even_looked_at() -> None:
    with pytest.raises(InvalidInput, match="10 MB are the most"):
        media.draw(b"x" * (media.LARGEST_FILE + 1))


def test_a_picture_is_kept_once_under_a_name_that_tells_nothing(any_context: Context) -> None:
    upload = picture("PNG")
    kept = keep(any_context, upload, "..\\..\\Über\u202e uns\n.svg.png")
    assert keep(any_context, upload, "other.png").id == kept.id
    assert kept.title == "Über uns .svg"
    with any_context.db.reading() as session:
        assert [one.id for one in media.page(session, "ÜBER"[1:])] == [kept.id]
        assert media.count(session, "nothing like it") == 0
        assert media.sizes(session, [kept.name, "x"]) == {kept.name: kept.size}


def test_a_picture_that_left_the_library_is_still_served(context: Context) -> None:
    kept = keep(context, picture("PNG"))
    with context.db.writing() as session:
        assert media.describe(session, kept.name, " A red\nfield ") == "A red field"
        media.hide(session, context, kept.name)
        assert media.page(session) == []
        assert media.served(session, kept.name).alt == "A red field"
        with pytest.raises(NotFound):
            media.hide(session, context, "x")
        with pytest.raises(NotFound):
            media.describe(session, "x", "y")


def test_a_picture_is_served_for_ever_and_can_run_nothing(
    context: Context, client: FlaskClient
) -> None:
    kept = keep(context, picture("PNG"))
    answer = client.get(media.path_of(kept.name))
    assert answer.data == kept.data
    assert answer.headers["Content-Type"] == "image/png"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert "immutable" in answer.headers["Cache-Control"]
    assert media.url_of(context, kept.name).endswith(f"/m/{kept.name}")


@pytest.mark.parametrize("name", ["x", "a" * 26 + ".svg", "a" * 26 + ".png", "%00", "..%2fx.png"])
def test_other_names_lead_nowhere(client: FlaskClient, name: str) -> None:
    assert client.get(f"/m/{name}").status_code == 404
