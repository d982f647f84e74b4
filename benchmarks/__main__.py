"""``python -m benchmarks`` measures everything; ``python -m benchmarks import --rows 200000`` one thing."""

import argparse
import json

from benchmarks import compose, import_people


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("what", nargs="?", choices=["all", "compose", "import"], default="all")
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the import")
    parser.add_argument("--database-url", help="another database than SQLite, for the import")
    wanted = parser.parse_args()
    results = {}
    if wanted.what in {"all", "compose"}:
        results["compose"] = compose.measure()
    if wanted.what in {"all", "import"}:
        results["import"] = import_people.measure(wanted.rows, wanted.database_url)
    print(json.dumps(results, indent=2))


main()
