"""Scripts and styles come from here alone, and are what the manifest says."""

import hashlib
import json
import re
from importlib.resources import files

from prefcentre.web.admin.files import all_files
from tests.web.admin.conftest import Desk

VENDOR = files("prefcentre.web").joinpath("static/vendor")
MANIFEST = json.loads(VENDOR.joinpath("manifest.json").read_text("utf-8"))


def test_each_vendored_file_is_the_one_in_the_manifest() -> None:
    for entry in MANIFEST:
        content = VENDOR.joinpath(entry["file"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == entry["sha256"], entry["file"]
        assert VENDOR.joinpath(entry["licence_file"]).read_text("utf-8").strip(), entry["name"]


def test_nothing_is_vendored_that_the_manifest_does_not_name() -> None:
    named = {entry["file"] for entry in MANIFEST} | {entry["licence_file"] for entry in MANIFEST}
    assert {entry.name for entry in VENDOR.iterdir()} == named | {"manifest.json"}


def test_no_style_or_page_loads_anything_from_elsewhere() -> None:
    outside = re.compile(
        r"(?:url\(|@import\s+|(?<![\w-])(?:src|href)=)[\"']?(?:https?:)?//", re.IGNORECASE
    )
    for path, file in all_files().items():
        if path.endswith(".css"):
            assert not outside.search(file.plain.decode()), path
    for template in files("prefcentre.web").joinpath("templates/admin").iterdir():
        if template.name in {"base.html", "bare.html", "head.html"}:
            assert not outside.search(template.read_text("utf-8")), template.name


def test_a_file_is_kept_for_ever_and_packed(desk: Desk) -> None:
    client = desk("viewer")
    page = client.get("/admin/me").text
    address = re.search(r'href="([^"]+/tabler\.min\.css)"', page)
    assert address
    answer = client.get(address[1], headers={"Accept-Encoding": "gzip"})
    assert answer.headers["Content-Encoding"] == "gzip"
    assert "immutable" in answer.headers["Cache-Control"]
    assert answer.content_type == "text/css; charset=utf-8"
    assert client.get(address[1]).data == all_files()["vendor/tabler.min.css"].plain


def test_nothing_but_those_files_can_be_had(desk: Desk) -> None:
    client = desk("viewer")
    for path in ("x/vendor/manifest.json", "x/vendor/..%2f..%2fpublic.css", "x/admin/none.js"):
        assert client.get(f"/admin/static/{path}").status_code == 404
