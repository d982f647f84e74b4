"""Everything in a sensible size, each benchmark in a process of its own, and whether the figures of the design are met.

A figure that is missed on a machine that others are using at the same time says little: see README.md.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

Results = dict[str, Any]
_WIDTH = 110

# What to run, by the name under which its answer is kept.
STEPS: dict[str, Sequence[str]] = {
    "compose": ("compose",),
    "dkim": ("dkim",),
    "ways": ("ways", "--messages", "20000"),
    "ways on postgres": ("ways", "--only", "one", "--messages", "20000", "--database", "postgres"),
    "growth": ("growth", "--sizes", "10000,1000000"),
    "opt-outs": ("opt-outs",),
    "opt-outs on postgres": ("opt-outs", "--people", "30000", "--database", "postgres"),
    "faults": ("faults",),
    "tracking": ("tracking",),
    "audience": ("audience",),
    "audience on postgres": ("audience", "--database", "postgres"),
    "import": ("import", "--rows", "300000"),
}


@dataclass(frozen=True)
class Figure:
    """Something that the design promises, and where to find it in the results."""

    what: str
    bound: float
    value: Callable[[Results], float]
    at_least: bool = True
    unit: str = ""

    @property
    def aim(self) -> str:
        """The bound in words."""
        return f"{'≥' if self.at_least else '≤'} {self.bound:g}{self.unit}"

    def is_met(self, value: float) -> bool:
        """Whether a measured value is good enough."""
        return value >= self.bound if self.at_least else value <= self.bound


def _found(*path: str) -> Callable[[Results], float]:
    """What stands at this place of the results."""

    def value(results: Results) -> float:
        found: Any = results
        for name in path:
            found = found[name]
        return float(found)

    return value


def _ratio(step: str, way: str, other: str) -> Callable[[Results], float]:
    return _found(step, "ratios", way, other, "median")


def _largest_sender(results: Results) -> float:
    ways, growth = results["ways"], results["growth"]
    sending = [ways["programs"][way]["peak_mib"] for way in ways["plan"]["ways"]]
    return float(max(*sending, *(size["peak_mib"] for size in growth["sizes"].values())))


FIGURES = (
    Figure("one process, of smtp-source", 0.55, _ratio("ways", "one", "smtp-source"), unit=" ×"),
    Figure("one process, of Django", 8, _ratio("ways", "one", "django"), unit=" ×"),
    Figure(
        "one process, CPU seconds for 1,000",
        0.20,
        _found("ways", "programs", "one", "cpu_seconds_per_1000"),
        at_least=False,
    ),
    Figure(
        "two processes, of one (to the fast sink)",
        1.3,
        _ratio("ways", "two to fast", "one to fast"),
        unit=" ×",
    ),
    Figure("conditions and loops, of plain", 0.5, _ratio("ways", "rich", "one"), unit=" ×"),
    Figure(
        "signed, two processes, of smtp-source",
        0.2,
        _ratio("ways", "signed", "smtp-source"),
        unit=" ×",
    ),
    Figure(
        "PostgreSQL, of smtp-source",
        0.35,
        _ratio("ways on postgres", "one", "smtp-source"),
        unit=" ×",
    ),
    Figure(
        "memory of a sender, largest of all runs",
        150,
        _largest_sender,
        at_least=False,
        unit=" MiB",
    ),
    Figure(
        "time per message at 1,000,000, of 10,000",
        1.15,
        _found("growth", "against_smallest", "1000000", "time", "median"),
        at_least=False,
        unit=" ×",
    ),
    *(
        Figure(f"{what}, {name}", bound, value, at_least=False, unit=unit)
        for name, step in (("SQLite", "opt-outs"), ("PostgreSQL", "opt-outs on postgres"))
        for what, bound, unit, value in (
            (
                "messages after an answered opt-out",
                0,
                "",
                _found(step, "messages_after_the_answer"),
            ),
            ("answer to an opt-out, p99", 100, " ms", _found(step, "answer_ms", "p99")),
        )
    ),
    Figure(
        "rate of the healthy with 5 % misbehaving",
        0.95,
        _found("faults", "healthy_rate_kept", "median"),
        unit=" ×",
    ),
    *(
        Figure(
            f"audience of 1,000,000 against 1,000,000 entries, {name}",
            bound,
            _found(step, "first", "seconds"),
            at_least=False,
            unit=" s",
        )
        for name, bound, step in (
            ("SQLite", 10, "audience"),
            ("PostgreSQL", 20, "audience on postgres"),
        )
    ),
    *(
        figure
        for words, place in (("", "alone"), (", beside a sender", "beside_a_sender"))
        for what, least in (("pixel", 0.8), ("click", 0.5))
        for figure in (
            Figure(
                f"{what}{words}, of an empty route",
                least,
                _found("tracking", place, what, "of_empty", "median"),
                unit=" ×",
            ),
            Figure(
                f"{what}{words}, p99",
                50,
                _found("tracking", place, what, "p99_ms"),
                at_least=False,
                unit=" ms",
            ),
        )
    ),
    Figure(
        "hits that were answered and are missing after kill -9",
        0,
        _found("tracking", "after_kill", "missing"),
        at_least=False,
    ),
    Figure(
        "import, rows a second",
        15_000,
        _found("import", "first", "rows_per_second"),
    ),
    Figure(
        "import, memory",
        200,
        _found("import", "first", "peak_mib"),
        at_least=False,
        unit=" MiB",
    ),
)


def measure(steps: dict[str, Sequence[str]]) -> dict[str, Any]:
    """Run all steps, judge the figures, and give everything that was found."""
    results: Results = {}
    for name, arguments in steps.items():
        started = time.monotonic()
        sys.stderr.write(f"\n{name}: python -m benchmarks {' '.join(arguments)}\n")
        found = _answer(arguments)
        if found is not None:
            results[name] = found[arguments[0]]
        word = "FAILED" if found is None else "done"
        sys.stderr.write(f"  {word} after {time.monotonic() - started:.0f} s\n")
    return {**results, "figures": judge(results)}


def _answer(arguments: Sequence[str]) -> Results | None:
    """What one benchmark found, or None when it failed; what went wrong is on standard error by then."""
    command = [sys.executable, "-m", "benchmarks", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            output, _ = process.communicate()
        finally:
            # Asked to end and not killed, so that it can end what it has started itself.
            process.terminate()
    found: Results | None = json.loads(output) if process.returncode == 0 else None
    return found


def judge(results: Results) -> list[dict[str, Any]]:
    """Each figure with what was measured; what was not measured is not met."""
    return [_verdict(figure, results) for figure in FIGURES]


def _verdict(figure: Figure, results: Results) -> dict[str, Any]:
    try:
        value = figure.value(results)
    except KeyError:
        return {"what": figure.what, "aim": figure.aim, "measured": None, "met": False}
    met = figure.is_met(value)
    return {"what": figure.what, "aim": figure.aim, "measured": value, "met": met}


def show(verdicts: Sequence[dict[str, Any]]) -> None:
    """Print the figures as a table, on standard error."""
    table = Table(box=None, title="The figures of the design")
    for heading, justify in (
        ("what", "left"),
        ("aim", "right"),
        ("measured", "right"),
        ("", "left"),
    ):
        table.add_column(heading, justify=justify)  # type: ignore[arg-type]
    for found in verdicts:
        measured = "not measured" if found["measured"] is None else f"{found['measured']:,g}"
        table.add_row(found["what"], found["aim"], measured, "met" if found["met"] else "MISSED")
    Console(stderr=True, width=_WIDTH).print(table)
