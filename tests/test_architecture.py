"""The house rules that no linter knows, checked on the source itself."""

import ast
import io
import re
import subprocess
import tokenize
from collections.abc import Iterator
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "prefcentre"

LONGEST_FUNCTION = 60
LONGEST_FILE = 500

# A loop that must outlive anything, and the last stop before a person sees a stack trace.
BROAD_EXCEPT_HOMES = {
    "delivery/desk.py",
    "delivery/gate.py",
    "delivery/worker.py",
    "feedback/mailboxes.py",
    "jobs.py",
    "people/importing.py",
    "supervisor.py",
    "web/errors.py",
}
# Only the sender waits for many servers at once, and the composition root starts it; a local inbox speaks its library's
# language.
ASYNC_HOMES = (
    "app.py",
    "delivery/gate.py",
    "delivery/pool.py",
    "delivery/worker.py",
    "feedback/mailboxes.py",
    "delivery/transports/",
    # APScheduler runs an asynchronous job in the loop itself, so a heartbeat waits for no thread.
    "jobs.py",
    "demo/",
    "testing/",
)

# Who may look past a `service`: the place that builds everything, and what serves tests and tables.
EVERYTHING_IMPORTERS = {"prefcentre.app", "prefcentre.testing", "prefcentre.migrations"}
# Parts of a domain package that are doors like its `service`, each with its reason.
OTHER_DOORS: dict[str, str] = {
    "prefcentre.tracking.links": "the composer writes the tokens that the pages read",
    "prefcentre.subscribers.identities": "an import's reading process draws them and loads no tables",
    "prefcentre.subscribers.rules": "an import's reading process checks people and loads no tables",
    "prefcentre.consent.chain": "an import's reading process prepares evidence and loads no tables",
    "prefcentre.consent.heads": "a restored ledger puts ends aside; the service tells the story of consents",
    "prefcentre.consent.editing": "single topics on the desk; the service tells the story of consents",
    "prefcentre.consent.renewing": "one act of staff ends a great many; the service tells the story of consents",
    "prefcentre.notices.telling": "what the clockwork does step by step; the service is what pages and commands do",
    "prefcentre.contact.stopping": "the one step that closes a request and changes what may be sent",
    "prefcentre.signups.waiting": "what a page writes down and the worker does; the service is what is done",
    "prefcentre.imports.desk": "an import in steps, as the desk has it; the service is an import in one go",
    "prefcentre.suppression.journal": "what goes beside the database; the service is what goes into it",
    "prefcentre.suppression.desk": "lists for staff; the service is what forbids and allows",
    "prefcentre.people.importing": "the process beside a worker loads no more than it needs",
    "prefcentre.people.undoing": "what taking an import back came to, for its page",
}

_NOT_CODE = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
}
_Function = ast.FunctionDef | ast.AsyncFunctionDef


def source_files() -> list[Path]:
    return sorted(
        path for path in PACKAGE.rglob("*.py") if not path.is_relative_to(PACKAGE / "migrations")
    )


def functions(tree: ast.AST) -> Iterator[_Function]:
    return (node for node in ast.walk(tree) if isinstance(node, _Function))


def docstring_lines(tree: ast.AST) -> set[int]:
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    lines: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, documented) and ast.get_docstring(node, clean=False) is not None:
            text = node.body[0]
            lines.update(range(text.lineno, (text.end_lineno or text.lineno) + 1))
    return lines


def code_lines(source: str) -> set[int]:
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in _NOT_CODE:
            lines.update(range(token.start[0], token.end[0] + 1))
    return lines - docstring_lines(ast.parse(source))


def function_lengths(source: str) -> dict[str, int]:
    code = code_lines(source)
    return {
        node.name: len(code & set(range(node.lineno, (node.end_lineno or node.lineno) + 1)))
        for node in functions(ast.parse(source))
    }


def broad_handlers(source: str) -> list[int]:
    """Lines where everything is caught: bare, Exception, BaseException, or suppress() of them."""
    broad = {"Exception", "BaseException"}
    lines = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ExceptHandler):
            caught = ast.walk(node.type) if node.type else None
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("suppress"):
            caught = (name for argument in node.args for name in ast.walk(argument))
        else:
            continue
        if caught is None or any(isinstance(n, ast.Name) and n.id in broad for n in caught):
            lines.append(node.lineno)
    return lines


def stray_imports(graph: grimp.ImportGraph) -> list[str]:
    """Imports of a domain package's inside from outside it, as "importer -> imported"."""
    domains = {
        module.removesuffix(".service")
        for module in graph.modules
        if module.count(".") == 2 and module.endswith(".service")
    }
    stray = []
    for importer in sorted(graph.modules):
        if ".".join(importer.split(".")[:2]) in EVERYTHING_IMPORTERS:
            continue
        for imported in sorted(graph.find_modules_directly_imported_by(importer)):
            home = ".".join(imported.split(".")[:2])
            if home not in domains or f"{importer}.".startswith(f"{home}."):
                continue
            if not is_a_door(importer, imported, home):
                stray.append(f"{importer} -> {imported}")
    return stray


def is_a_door(importer: str, imported: str, home: str) -> bool:
    if imported in {home, f"{home}.service", *OTHER_DOORS}:
        return True
    # Queries join tables of lower packages (delivery has several files of them, and its largest is ``facts``), and rules
    # name their states; none of them acts on what it sees.
    kind = importer.rpartition(".")[2].rpartition("_")[2]
    return imported == f"{home}.models" and kind in {"facts", "queries", "models", "rules"}


def test_code_lines_leave_out_docstrings_comments_and_blank_lines() -> None:
    source = '''
def shown(x):
    """Says what it does.

    At length.
    """
    # A comment is free, and so is the blank line.

    text = """two
    lines"""
    return text + x
'''
    assert function_lengths(source) == {"shown": 4}


def test_no_function_is_longer_than_the_budget() -> None:
    too_long = [
        f"{path.relative_to(ROOT)}: {name} has {length} code lines"
        for path in source_files()
        for name, length in function_lengths(path.read_text()).items()
        if length > LONGEST_FUNCTION
    ]
    assert too_long == []


def test_no_file_is_longer_than_the_budget() -> None:
    lengths = {
        path.relative_to(ROOT): len(path.read_text().splitlines()) for path in source_files()
    }
    assert {path: length for path, length in lengths.items() if length > LONGEST_FILE} == {}


@pytest.mark.parametrize(
    ("handler", "is_broad"),
    [
        ("try: pass\nexcept Exception: pass", True),
        ("try: pass\nexcept: pass", True),
        ("try: pass\nexcept (OSError, BaseException): pass", True),
        ("with contextlib.suppress(Exception): pass", True),
        ("try: pass\nexcept OSError: pass", False),
        ("with suppress(KeyError): pass", False),
    ],
)
def test_a_broad_except_is_known_in_every_spelling(handler: str, is_broad: bool) -> None:  # noqa: FBT001 - a table's column
    assert bool(broad_handlers(handler)) is is_broad


def test_everything_is_caught_only_at_the_outermost_boundaries() -> None:
    stray = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in source_files()
        if path.relative_to(PACKAGE).as_posix() not in BROAD_EXCEPT_HOMES
        for line in broad_handlers(path.read_text())
    ]
    assert stray == []


def test_the_account_of_acts_is_only_added_to() -> None:
    """Nobody puts right what they did: its package adds and reads, and else only erasure and retention know its table."""
    texts = {path.relative_to(PACKAGE).as_posix(): path.read_text() for path in source_files()}
    knows = {
        name
        for name, text in texts.items()
        if re.search(r"prefcentre\.audit\.(models|queries)|audit_event", text)
        and not name.startswith(("audit/", "migrations/"))
    }
    assert knows == {
        "people/undoing_queries.py",
        "rights/places_queries.py",
        "rights/retention_queries.py",
    }
    assert not re.search(r"\b(update|delete)\(.*AuditEvent", texts["people/undoing_queries.py"])
    assert not [
        name
        for name, text in texts.items()
        if name.startswith("audit/") and re.search(r"\b(update|delete|merge)\(", text)
    ]


def test_only_the_sender_and_local_inboxes_are_asynchronous() -> None:
    stray = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in source_files()
        if not path.relative_to(PACKAGE).as_posix().startswith(ASYNC_HOMES)
        for node in functions(ast.parse(path.read_text()))
        if isinstance(node, ast.AsyncFunctionDef)
    ]
    assert stray == []


def test_every_package_says_in_four_lines_what_it_owns() -> None:
    lengths = {
        path.parent.relative_to(ROOT).as_posix(): len(
            (ast.get_docstring(ast.parse(path.read_text())) or "").splitlines()
        )
        for path in source_files()
        if path.name == "__init__.py" and path.parent != PACKAGE
    }
    assert {name: length for name, length in lengths.items() if not 1 <= length <= 4} == {}


def test_an_import_past_a_service_is_found_and_a_join_is_allowed() -> None:
    graph = grimp.ImportGraph()
    for importer, imported in [
        ("prefcentre.campaigns.service", "prefcentre.consent.service"),
        ("prefcentre.campaigns.queries", "prefcentre.consent.models"),
        ("prefcentre.consent.service", "prefcentre.consent.rules"),
        ("prefcentre.campaigns.service", "prefcentre.consent.queries"),
        ("prefcentre.web.public", "prefcentre.consent.models"),
    ]:
        graph.add_import(importer=importer, imported=imported)
    assert stray_imports(graph) == [
        "prefcentre.campaigns.service -> prefcentre.consent.queries",
        "prefcentre.web.public -> prefcentre.consent.models",
    ]


def test_other_packages_import_only_the_service() -> None:
    graph = grimp.build_graph("prefcentre", exclude_type_checking_imports=True, cache_dir=None)
    assert stray_imports(graph) == []


def test_no_test_is_skipped() -> None:
    skipping = {"skip", "skipif", "importorskip"}
    stray = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in sorted((ROOT / "tests").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute)
        and node.attr in skipping
        and ast.unparse(node.value).startswith("pytest")
    ]
    assert stray == []


def test_make_help_lists_every_target() -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    shown = subprocess.run(
        ["make", "--no-print-directory", "help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert set(re.findall(r"^ +make ([a-z-]+) +\S", shown, re.MULTILINE)) == targets
