"""Tells what an import would do, line by line: counts and examples for a page, and all of it as a file."""

import csv
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from prefcentre.imports import rules
from prefcentre.imports.chunks import Chunk, Counts
from prefcentre.imports.judging import Item, Reject
from prefcentre.subscribers.rules import shown
from prefcentre.subscribers.service import Outcome, Record, Settled

EXAMPLES = 10
_LONGEST_CELL = 200


class Outlook:
    """Watches a dry run; ``as_json`` is what a page shows of it."""

    def __init__(self, path: Path) -> None:
        self._reasons: Counter[str] = Counter()
        self._fields: Counter[str] = Counter()
        self._examples: dict[str, list[dict[str, Any]]] = {outcome: [] for outcome in Outcome}
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        self._file = open(number, "w", encoding="utf-8", newline="")  # noqa: PTH123, SIM115 - closed by ``close``
        self._writer = csv.writer(self._file)
        self._writer.writerow(["line", "outcome", "who", "what", "consent"])

    def watch(self, chunk: Chunk, refused: Sequence[Reject]) -> None:
        """Take a chunk in."""
        rows = [_row(chunk, *stored) for stored in chunk.stored]
        for item, found, record in chunk.stored:
            if found.outcome is Outcome.UPDATED:
                self._fields.update(_fields(record))
            self._keep(found.outcome, lambda item=item, record=record: _example(item, record))
        for reject in refused:
            self._reasons[reject.reason[:_LONGEST_CELL]] += 1
            self._keep(Outcome.REFUSED, lambda reject=reject: _refused(reject))
            rows.append(
                (reject.line, "refused", reject.cells[0] if reject.cells else "", reject.reason, "")
            )
        for row in sorted(rows, key=lambda row: row[0]):
            self._writer.writerow([row[0], *map(rules.harmless_cell, row[1:])])

    def _keep(self, outcome: Outcome, example: Any) -> None:
        kept = self._examples[outcome.value]
        if len(kept) < EXAMPLES:
            kept.append(example())

    def close(self) -> None:
        """The file is complete."""
        self._file.close()

    def as_json(self, counts: Counts, quarantined: int) -> dict[str, Any]:
        """All that a page tells, but for the file."""
        return {
            "counts": asdict(counts),
            "quarantined": quarantined,
            "reasons": dict(self._reasons.most_common(20)),
            "fields": dict(self._fields.most_common(50)),
            "examples": self._examples,
        }


def _row(
    chunk: Chunk, item: Item, found: Settled, record: Record
) -> tuple[int, str, str, str, str]:
    what = _what(record) if found.outcome is Outcome.UPDATED else ""
    why_not = chunk.without.get(item.number, "")
    consent = f"not granted: {why_not}" if why_not else ""
    return item.number, found.outcome.value, _who(item), what, consent


def _who(item: Item) -> str:
    return item.person.email.typed if item.person.email else item.person.phone or ""


def _fields(record: Record) -> list[str]:
    names = [name for name in record.changes if name != "attributes"]
    return names + list(record.changes.get("attributes", [{}, {}])[1])


def _what(record: Record) -> str:
    return "; ".join(f"{name}: {before or '–'} → {after}" for name, before, after in _told(record))


def _told(record: Record) -> list[tuple[str, str, str]]:
    found = []
    for name, (before, after) in record.changes.items():
        if name == "attributes":
            found += [(key, shown(before.get(key)), shown(after[key])) for key in after]
        else:
            found.append((name, shown(before), shown(after)))
    return found


def _example(item: Item, record: Record) -> dict[str, Any]:
    person = item.person
    return {
        "line": item.number,
        "who": _who(item)[:_LONGEST_CELL],
        "name": (person.profile.get("name") or person.profile.get("first_name") or "")[
            :_LONGEST_CELL
        ],
        "changes": [
            [text[:_LONGEST_CELL] for text in change] for change in _told(record)[:EXAMPLES]
        ],
    }


def _refused(reject: Reject) -> dict[str, Any]:
    cells = [cell[:_LONGEST_CELL] for cell in reject.cells[:EXAMPLES]]
    return {"line": reject.line, "reason": reject.reason[:_LONGEST_CELL], "cells": cells}
