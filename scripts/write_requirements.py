"""Writes the table of requirements: which module and which test cites each; a test compares it."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/requirements.md"
_CITED = re.compile(r"\bR(\d{1,3})(?:[–-]R(\d{1,3}))?\b")
_NOT_KEPT = {
    105: "not kept yet: no registers are read",
    110: "not kept yet: no registers are read",
    111: "not kept yet: no registers are read",
}
_HEAD = """# Requirements

Where the code and the tests cite each requirement. A citation shows where to look; it is no proof.
Rows without one were not traced yet: they say nothing about whether the requirement is kept.

| R | what | cited in | tests that cite it |
|---|---|---|---|
"""


def cited(folder: str) -> dict[int, list[str]]:
    """The files of a folder by the numbers that they cite."""
    found: dict[int, list[str]] = {}
    for path in sorted((ROOT / folder).rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        numbers = {n for a, b in _CITED.findall(text) for n in range(int(a), int(b or a) + 1)}
        for number in numbers:
            found.setdefault(number, []).append(f"`{path.relative_to(ROOT)}`")
    return found


def make() -> str:
    """The whole page."""
    titles = (ROOT / "docs/requirements.txt").read_text(encoding="utf-8").strip().split("|")
    code, tests = cited("prefcentre"), cited("tests")
    rows = [
        f"| R{n} | {title} | {', '.join(code.get(n, [])) or _NOT_KEPT.get(n, 'no module; not traced yet')}"
        f" | {', '.join(tests.get(n, [])) or 'no test; not traced yet'} |"
        for n, title in enumerate(titles, 1)
    ]
    return _HEAD + "\n".join(rows) + "\n"


if __name__ == "__main__":
    PAGE.write_text(make(), encoding="utf-8")
