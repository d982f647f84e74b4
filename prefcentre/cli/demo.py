"""prefcentre demo: a complete example in a scratch folder."""

import os
import shutil
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import tomlkit
import typer

from prefcentre import settings
from prefcentre.cli.common import err, opened, out
from prefcentre.context import Context
from prefcentre.errors import Refused, Unavailable
from prefcentre.settings import SETTINGS_FILE

_LISTEN = "127.0.0.1:8000"
_READY_WITHIN_SECONDS = 60.0
_LOOK_EVERY_SECONDS = 0.2


def demo(
    *,
    home: Annotated[
        Path | None,
        typer.Option(
            help="Where to keep everything. Default: a folder that is removed at the end."
        ),
    ] = None,
    listen: Annotated[str, typer.Option(help="Where the pages are, as host:port.")] = _LISTEN,
) -> None:
    """Show everything: made-up people, a local inbox, two campaigns. Ctrl-C ends it."""
    from prefcentre import supervisor
    from prefcentre.clock import SystemClock
    from prefcentre.demo.mailbox import Mailbox
    from prefcentre.demo.postbox import postbox
    from prefcentre.demo.readers import reading

    with _folder(home) as folder:
        settings.move_to(folder)
        inbox = folder / "inbox.db"
        _write_settings(folder, listen, inbox)
        supervisor.wait_for_port(settings.load(), choice="--listen host:port")
        mailbox = Mailbox(inbox)
        with postbox(mailbox, SystemClock()) as port:
            _write_settings(folder, listen, inbox, port)
            _fill(folder)
            with opened() as context, reading(mailbox):
                threading.Thread(target=_welcome, args=(context, folder), daemon=True).start()
                supervisor.run(context.settings, lambda text: err.print(text, markup=False))
    out.print("\nThe demonstration has ended." + ("" if home else " Its folder was removed."))


@contextmanager
def _folder(home: Path | None) -> Iterator[Path]:
    if home is None:
        folder = Path(tempfile.mkdtemp(prefix="prefcentre-demo-"))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return
    folder = home.expanduser().resolve()
    if folder.exists() and any(folder.iterdir()) and not (folder / "inbox.db").exists():
        raise Refused(f"{folder} is not empty. Choose another folder with --home.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _cannot_write(folder, error) from error
    yield folder


def _write_settings(folder: Path, listen: str, inbox: Path, smtp_port: int | None = None) -> None:
    document = tomlkit.document()
    document.add(tomlkit.comment("Made by “prefcentre demo”; written anew each time it starts."))
    host, _, port = listen.rpartition(":")
    # What listens everywhere is best reached by the name of this machine.
    shown = "127.0.0.1" if host in {"0.0.0.0", "[::]"} else host  # noqa: S104 - read, not bound.
    document["demo"] = True
    document["demo_inbox"] = str(inbox)
    document["listen"] = listen
    document["processes"] = 1
    document["public_url"] = f"http://{shown}:{port}"
    if smtp_port is not None:
        document["smtp_url"] = f"smtp://127.0.0.1:{smtp_port}"
    document["brand"] = {
        "name": "Acme",
        "postal_address": "1 Example Street, 1000 Sofia, Bulgaria",
        "country": "BG",
        "officer": "Vera Petrova, privacy@example.com",
        "privacy_url": "https://www.example.com/privacy",
        "contact_email": "hello@example.com",
    }
    try:
        (folder / SETTINGS_FILE).write_text(tomlkit.dumps(document), encoding="utf-8")
    except OSError as error:
        raise _cannot_write(folder, error) from error


def _fill(folder: Path) -> None:
    from prefcentre import installing
    from prefcentre.demo import scenario

    installing.install()
    with opened() as context:
        scenario.fill(context, folder, lambda text: err.print(text, markup=False))


def _welcome(context: Context, folder: Path) -> None:
    from prefcentre.demo.pages import links_to_open

    deadline = time.monotonic() + _READY_WITHIN_SECONDS
    while not _is_ready(f"{context.settings.public_url}/readyz"):
        if time.monotonic() > deadline:
            err.print("The pages do not answer yet; see the messages above.")
            return
        time.sleep(_LOOK_EVERY_SECONDS)
    lines = [f"  {name:21}{address}" for name, address in links_to_open(context)]
    out.print(
        "\nThe demonstration is running.\n\n"
        + "\n".join(lines)
        + f"\n\n{_campaigns(context)} In another terminal:\n\n"
        f"  export PREFCENTRE_HOME={folder}\n"
        "  prefcentre campaigns report spring-release\n"
        "  prefcentre subscribers show ada@example.org\n\n"
        "Ctrl-C ends it.",
        markup=False,
    )


def _campaigns(context: Context) -> str:
    from prefcentre.campaigns import service as campaigns

    with context.db.reading() as session:
        found = campaigns.list_all(session)
    words = [
        f"{one.slug} is {one.state}"
        + (f" for {one.start_at:%H:%M:%S} UTC" if one.state == "scheduled" else "")
        for one in reversed(found)
    ]
    return "; ".join(words) + "."


def _is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):  # noqa: S310 - our own address, made above.
            return True
    except (urllib.error.URLError, OSError):
        return False


def _cannot_write(folder: Path, error: OSError) -> Unavailable:
    return Unavailable(
        f"Can't write to {folder}: {os.strerror(error.errno or 0)}. Choose another folder with --home."
    )
