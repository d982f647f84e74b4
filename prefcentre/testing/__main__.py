"""A mail server that remembers and misbehaves, for anybody's sender: ``serve`` starts it, ``faults`` says what it can do."""

import argparse
import json
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import uvloop

from prefcentre.testing.behaviour import Happening, Keep
from prefcentre.testing.matrix import CELLS, as_markdown
from prefcentre.testing.smtpd import RecordingSmtpServer
from prefcentre.testing.specs import FORM, OFFERS, read_fault, read_offer


def main(arguments: Sequence[str] | None = None) -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m prefcentre.testing", description=__doc__)
    commands = parser.add_subparsers(required=True, dest="command")
    _describe_serve(commands.add_parser("serve", help="start the server on 127.0.0.1"))
    faults = commands.add_parser("faults", help="list what can go wrong, and how that should end")
    faults.add_argument("--markdown", action="store_true", help="only the ends, as a table")
    chosen = parser.parse_args(arguments)
    if chosen.command == "faults":
        sys.stdout.write(as_markdown() if chosen.markdown else _list())
    else:
        _serve(chosen)


def _describe_serve(serve: argparse.ArgumentParser) -> None:
    serve.add_argument("--port", type=int, default=0, help="default: a free one")
    serve.add_argument(
        "--fault",
        type=_readable(read_fault),
        action="append",
        default=[],
        metavar=FORM,
        help="may be given many times; the first that applies happens",
    )
    serve.add_argument("--record", type=Path, metavar="FILE", help="one JSON line per message")
    serve.add_argument("--keep", type=Keep, choices=list(Keep), default=Keep.FULL)
    serve.add_argument(
        "--offers",
        default="pipelining,8bitmime,smtputf8,size",
        metavar="LIST",
        help=f"of {', '.join(OFFERS)}; default: %(default)s",
    )
    serve.add_argument("--login", metavar="USER:PASSWORD", help="ask for it (offers auth)")
    serve.add_argument(
        "--certificate", type=Path, metavar="FILE", help="write here what to trust over TLS"
    )
    serve.add_argument(
        "--pace", type=float, default=1.0, metavar="SECONDS", help="for each byte of what is slow"
    )
    serve.add_argument("--seed", type=int, default=0, help="for faults with a rate")
    serve.add_argument("--quiet", action="store_true", help="say nothing between start and end")


def _serve(chosen: argparse.Namespace) -> None:
    try:
        offer = read_offer(chosen.offers.split(","), chosen.login)
    except ValueError as error:
        sys.exit(str(error))
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    server = RecordingSmtpServer(
        port=chosen.port,
        offer=offer,
        log=chosen.record,
        # What goes to a file need not stay in memory; a load of millions could not.
        keep=chosen.keep,
        remembers=False,
        seed=chosen.seed,
        pace=chosen.pace,
        tell=None if chosen.quiet else _tell,
        new_loop=uvloop.new_event_loop,
    )
    server.faults.extend(chosen.fault)
    with server:
        if chosen.certificate:
            chosen.certificate.write_bytes(server.certificate)
        _say(what="listening", url=server.url)
        over.wait()
    _say(what="stopped", messages=server.count, connections=server.connections)


def _tell(happening: Happening) -> None:
    _say(**{name: value for name, value in asdict(happening).items() if value})


def _say(**what: Any) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def _list() -> str:
    width = max(len(f"{stage}:{trouble}") for stage, trouble in CELLS)
    return "".join(
        f"{f'{cell.stage}:{cell.trouble}':{width}}  {cell.end:8}  {cell.does}\n"
        for cell in CELLS.values()
    )


def _readable(read: Callable[[str], Any]) -> Callable[[str], Any]:
    def reading(text: str) -> Any:
        try:
            return read(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return reading


if __name__ == "__main__":
    main()
