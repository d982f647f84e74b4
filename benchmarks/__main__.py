"""``python -m benchmarks`` measures everything; ``python -m benchmarks send --processes 2`` one thing.

What was measured is printed as JSON on standard output; progress and tables go to standard error.
"""

import argparse
import json
import signal
import sys
from collections.abc import Callable
from dataclasses import fields
from typing import Any, get_args

from benchmarks import (
    audience,
    compose,
    dkim,
    faults,
    growth,
    import_people,
    opt_outs,
    send,
    summary,
    tracking,
)
from benchmarks.keys import Dkim
from benchmarks.letters import Kind
from benchmarks.ours import Way
from benchmarks.sinks import SinkKind

Options = argparse.Namespace


def _send(options: Options) -> dict[str, Any]:
    names = {field.name for field in fields(Way)}
    way = Way(**{name: value for name, value in vars(options).items() if name in names})
    return send.measure(
        send.Plan(
            {"prefcentre": way},
            options.messages,
            options.database,
            options.rounds,
            options.with_peers,
        )
    )


def _add_send(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--messages", type=int, default=30_000)
    parser.add_argument("--connections", type=int, default=20, help="for each process")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--database", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--template", choices=get_args(Kind), default="plain")
    parser.add_argument("--sink", choices=get_args(SinkKind), default="smtp-sink")
    parser.add_argument("--dkim", choices=get_args(Dkim), default="none")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--alone", dest="with_peers", action="store_false", help="only beside smtp-source"
    )
    parser.add_argument("--profile", action="store_true", help="where the time goes; slow")


def _ways(options: Options) -> dict[str, Any]:
    names = options.only.split(",") if options.only else list(send.WAYS)
    ways = {name: send.WAYS[name] for name in names}
    return send.measure(send.Plan(ways, options.messages, options.database, options.rounds))


def _add_ways(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--only", help=f"some of: {','.join(send.WAYS)}")
    parser.add_argument("--messages", type=int, default=30_000)
    parser.add_argument("--database", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--rounds", type=int, default=3)


def _growth(options: Options) -> dict[str, Any]:
    sizes = [int(size) for size in options.sizes.split(",")]
    messages = min(sizes) if options.messages is None else options.messages
    return growth.measure(sizes, messages, options.rounds, options.database)


def _add_growth(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--sizes", default="10000,100000,1000000")
    parser.add_argument(
        "--messages", type=int, help="of each campaign; 0: all; default: the smallest size"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--database", choices=["sqlite", "postgres"], default="sqlite")


def _opt_outs(options: Options) -> dict[str, Any]:
    return opt_outs.measure(options.people, options.rate, options.hands, options.database)


def _add_opt_outs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--people", type=int, default=60_000)
    parser.add_argument("--rate", type=float, default=50, help="opt-outs a second")
    parser.add_argument("--hands", type=int, default=4, help="how many come at the same time")
    parser.add_argument("--database", choices=["sqlite", "postgres"], default="sqlite")


def _audience(options: Options) -> dict[str, Any]:
    return audience.measure(
        options.people,
        options.suppressions,
        blocked=options.blocked_domains,
        database=options.database,
    )


def _add_audience(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--people", type=int, default=1_000_000)
    parser.add_argument("--suppressions", type=int, default=1_000_000)
    parser.add_argument("--blocked-domains", type=int, default=audience.BLOCKED)
    parser.add_argument("--database", choices=["sqlite", "postgres"], default="sqlite")


def _faults(options: Options) -> dict[str, Any]:
    return faults.measure(options.people, options.rounds, options.database)


def _add_faults(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--people", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--database", choices=["sqlite", "postgres"], default="sqlite")


def _add_import(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--database-url", help="another database than SQLite")


def _tracking(options: Options) -> dict[str, Any]:
    return tracking.measure(options.people, options.seconds, options.rounds, options.beside)


def _add_tracking(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--people", type=int, default=5_000)
    parser.add_argument("--seconds", type=int, default=5, help="of each run of wrk")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--beside", type=int, default=250_000, help="recipients of the campaign beside; 0: none"
    )


def _add_nothing(parser: argparse.ArgumentParser) -> None:
    """For what can't be chosen."""


_KINDS: dict[
    str, tuple[Callable[[Options], dict[str, Any]], Callable[[argparse.ArgumentParser], None]]
] = {
    "compose": (lambda _: compose.measure(), _add_nothing),
    "dkim": (lambda _: dkim.measure(), _add_nothing),
    "send": (_send, _add_send),
    "ways": (_ways, _add_ways),
    "growth": (_growth, _add_growth),
    "opt-outs": (_opt_outs, _add_opt_outs),
    "faults": (_faults, _add_faults),
    "audience": (_audience, _add_audience),
    "tracking": (_tracking, _add_tracking),
    "import": (
        lambda options: import_people.measure(options.rows, options.database_url),
        _add_import,
    ),
}


def main() -> None:
    # As with Ctrl-C, everything that was started is ended and all folders are removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    commands = parser.add_subparsers(dest="what")
    for name, (_, add) in _KINDS.items():
        add(commands.add_parser(name))
    wanted = parser.parse_args()
    results: dict[str, Any]
    if wanted.what:
        results = {wanted.what: _KINDS[wanted.what][0](wanted)}
    else:
        results = summary.measure(summary.STEPS)
    print(json.dumps(results, indent=2))
    if not wanted.what:
        summary.show(results["figures"])


if __name__ == "__main__":
    main()
