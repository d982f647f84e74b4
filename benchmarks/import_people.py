"""How many rows a second an import brings in, with five attributes and a consent for each person.

Measured from outside: the command itself, in a process of its own, on a fresh database.
"""

import csv
import json
import os
import random
import secrets
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet

TOPICS = """
[[topic]]
key = "product-news"
name = "Product news"
description = "New features and releases."
channels = ["email"]
lawful_basis = "consent"
double_opt_in = true
"""
CONSENT = ["--topic", "product-news", "--channel", "email", "--basis", "consent", "--source"]
HEADER = [
    "email",
    "first_name",
    "last_name",
    "language",
    "consented_at",
    "city",
    "plan",
    "company",
    "visits",
    "shoe_size",
]


def write_people(path: Path, rows: int) -> None:
    """Made-up people; the same number always makes the same file."""
    chance = random.Random(7)
    names, cities = (
        ("Ada", "Ben", "Cleo", "Dan", "Zoë"),
        ("Sofia", "London", "Wien", "Αθήνα", "Paris"),
    )
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        for number in range(rows):
            writer.writerow(
                (
                    f"person.{number}@mail{number % 500}.example.com",
                    chance.choice(names),
                    f"Person {number}",
                    chance.choice(("en", "de", "bg")),
                    f"20{chance.randint(15, 25)}-0{chance.randint(1, 9)}-1{chance.randint(0, 9)} 10:11:12",
                    chance.choice(cities),
                    chance.choice(("free", "team", "company")),
                    f"Company {number % 3000}",
                    chance.randint(0, 500),
                    chance.randint(35, 47),
                )
            )


def environment(home: Path, database_url: str | None = None) -> dict[str, str]:
    """Settings of a throw-away installation."""
    found = dict(os.environ) | {
        "PREFCENTRE_HOME": str(home),
        "PREFCENTRE_SECRET_KEYS": secrets.token_hex(32),
        "PREFCENTRE_LOOKUP_KEYS": secrets.token_hex(32),
        "PREFCENTRE_CHAIN_KEYS": secrets.token_hex(32),
        "PREFCENTRE_TRACKING_KEYS": Fernet.generate_key().decode(),
    }
    if database_url:
        found["PREFCENTRE_DATABASE_URL"] = database_url
    return found


@dataclass(frozen=True)
class Cost:
    """What a command took: memory at most, and processor time of each of its processes, the busiest first."""

    peak_mib: int
    cpu_seconds: list[float]


def run(settings: dict[str, str], *arguments: object) -> dict[str, Any]:
    """One command and its answer."""
    return run_watched(settings, *arguments)[0]


def run_watched(settings: dict[str, str], *arguments: object) -> tuple[dict[str, Any], Cost]:
    """One command, its answer, and what it and all that it started took."""
    command = [sys.executable, "-m", "prefcentre", *map(str, arguments), "--json"]
    peaks: dict[int, int] = {}
    times: dict[int, float] = {}
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, env=settings, stdout=output, stderr=subprocess.DEVNULL)
        while process.poll() is None:
            for pid in family(process.pid):
                peaks[pid] = peak_kib(pid) or peaks.get(pid, 0)
                times[pid] = cpu_seconds(pid) or times.get(pid, 0)
            time.sleep(0.05)
        assert process.returncode == 0, command
        output.seek(0)
        answer: dict[str, Any] = json.load(output)
    # Each at its own worst moment, which is never less than all of them at the same one.
    return answer, Cost(sum(peaks.values()) // 1024, sorted(times.values(), reverse=True))


def family(pid: int) -> list[int]:
    """A process and all that it started."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return [pid]
    return [pid, *(found for child in children for found in family(int(child)))]


def peak_kib(pid: int) -> int:
    """The most memory that a process had so far; nothing once it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return next(
        (int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")), 0
    )


def cpu_seconds(pid: int) -> float:
    """The processor time that a process had so far; nothing once it is gone."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0
    # The name may hold spaces, so what comes before the bracket that closes it is left out.
    user, system = status.rpartition(") ")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def measure(rows: int, database_url: str | None = None) -> dict[str, Any]:
    """Import made-up people, then the same file again, and say how quick and how large that was."""
    with tempfile.TemporaryDirectory(prefix="prefcentre-bench-") as folder:
        home = Path(folder)
        settings = environment(home, database_url)
        run(settings, "db", "upgrade")
        (home / "topics.toml").write_text(TOPICS)
        run(settings, "topics", "apply", home / "topics.toml")
        write_people(home / "people.csv", rows)
        results: dict[str, Any] = {"rows": rows}
        for name in ("first", "again"):
            started = time.monotonic()
            answer, cost = run_watched(
                settings, "subscribers", "import", home / "people.csv", *CONSENT, "benchmark"
            )
            seconds = time.monotonic() - started
            assert answer["added" if name == "first" else "unchanged"] == rows, answer
            results[name] = {
                "rows_per_second": round(rows / seconds),
                # The slower of the processes sets the pace, where each has a processor to itself.
                "cpu_us_per_row": [round(used / rows * 1e6, 1) for used in cost.cpu_seconds],
                "peak_mib": cost.peak_mib,
            }
        return results
