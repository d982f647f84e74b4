"""How many rows a second an import brings in, with five attributes and a consent for each person.

Measured from outside: the command itself, in a process of its own, on a fresh database.
"""

import csv
import json
import os
import random
import resource
import secrets
import subprocess
import sys
import tempfile
import time
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


def run(settings: dict[str, str], *arguments: object) -> dict[str, Any]:
    """One command and its answer."""
    return run_watched(settings, *arguments)[0]


def run_watched(settings: dict[str, str], *arguments: object) -> tuple[dict[str, Any], int]:
    """One command, its answer, and how many MiB it and all that it started took at most."""
    command = [sys.executable, "-m", "prefcentre", *map(str, arguments), "--json"]
    peaks: dict[int, int] = {}
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, env=settings, stdout=output, stderr=subprocess.DEVNULL)
        while process.poll() is None:
            for pid in family(process.pid):
                peaks[pid] = peak_kib(pid) or peaks.get(pid, 0)
            time.sleep(0.05)
        assert process.returncode == 0, command
        output.seek(0)
        answer: dict[str, Any] = json.load(output)
    # Each at its own worst moment, which is never less than all of them at the same one.
    return answer, sum(peaks.values()) // 1024


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
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            started = time.monotonic()
            answer, peak = run_watched(
                settings, "subscribers", "import", home / "people.csv", *CONSENT, "benchmark"
            )
            seconds = time.monotonic() - started
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            assert answer["added" if name == "first" else "unchanged"] == rows, answer
            results[name] = {
                "rows_per_second": round(rows / seconds),
                "cpu_us_per_row": round(
                    (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
                    / rows
                    * 1e6,
                    1,
                ),
                "peak_mib": peak,
            }
        return results
