"""The file of refused lines: each with its number, the reason and its cells, for a person to put right."""

import csv
import os
from collections.abc import Sequence
from pathlib import Path

from prefcentre.imports import rules
from prefcentre.imports.judging import Reject


class Rejects:
    """Appends to a file that only its owner may read, because it holds people's data. Made when first needed."""

    def __init__(self, path: Path, header: Sequence[str], size: int = 0) -> None:
        self.path = path
        self.size = size
        self._header = header

    def write(self, rejects: Sequence[Reject]) -> None:
        """Add these lines; they are on the disk when this returns.

        What lies behind the known size was written by a run that was killed before its commit, and is written over.
        """
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        number = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        with open(number, "r+", encoding="utf-8", newline="") as file:  # noqa: PTH123 - opened with a mode
            self.size = min(self.size, file.seek(0, os.SEEK_END))
            file.seek(self.size)
            file.truncate()
            writer = csv.writer(file)
            if not self.size:
                writer.writerow(["line", "reason", *map(rules.harmless_cell, self._header)])
            for reject in rejects:
                cells = map(rules.harmless_cell, reject.cells)
                writer.writerow([reject.line, rules.harmless_cell(reject.reason), *cells])
            file.flush()
            os.fsync(number)
            self.size = os.fstat(number).st_size
