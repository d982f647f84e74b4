"""Jinja as marketers may use it: no calls, no attributes of objects, loops and sizes capped (T1-T4, R25).

This is a file of its own because it is the wall between what people write and our process.
"""

import difflib
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sized
from typing import Any, cast

from jinja2 import StrictUndefined, Undefined, nodes
from jinja2.exceptions import SecurityError, TemplateError, TemplateSyntaxError, UndefinedError
from jinja2.runtime import LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer
from markupsafe import escape

from prefcentre.errors import ContentError
from prefcentre.messages import quoted
from prefcentre.messages.values import MissingValue

MAX_LOOP_STEPS = 10_000
MAX_VALUE_LENGTH = 100_000
MAX_OUTPUT = 1_000_000
_MEMO_SIZE = 4096
_MEMO_LENGTH = 60

SUBSCRIBER = ("email", "name", "first_name", "last_name", "language", "timezone", "attributes")
LINKS = ("unsubscribe", "preferences", "tracking", "why", "view", "survey", "privacy")
VARIABLES: Mapping[str, tuple[str, ...]] = {
    "subscriber": SUBSCRIBER,
    "campaign": ("slug", "name", "subject", "topic"),
    "brand": (
        "name",
        "postal_address",
        "privacy_url",
        "contact_email",
        "website",
        "colour",
        "on_colour",
    ),
    "links": LINKS,
}
"""Everything that a template sees, beside ``tracked``: whether anything is counted in this mail."""

# Left out are filters that call or import things, that switch escaping off, that make long texts out of short
# ones, and those whose answer differs from one try to the next.
_FILTERS = frozenset(
    {
        *(
            "abs",
            "capitalize",
            "count",
            "d",
            "default",
            "e",
            "escape",
            "first",
            "float",
            "int",
            "items",
        ),
        *(
            "join",
            "last",
            "length",
            "list",
            "lower",
            "map",
            "max",
            "min",
            "reject",
            "rejectattr",
            "replace",
        ),
        *(
            "reverse",
            "round",
            "select",
            "selectattr",
            "sort",
            "string",
            "striptags",
            "sum",
            "title",
            "trim",
        ),
        *("truncate", "unique", "upper", "urlencode", "wordcount"),
    }
)
_OF_LOOPS = frozenset(
    {"index", "index0", "revindex", "revindex0", "first", "last", "length", "depth", "depth0"}
)
_REFUSED: Mapping[type[nodes.Node], str] = {
    nodes.Macro: "macros",
    nodes.CallBlock: "call blocks",
    nodes.Include: "includes",
    nodes.Import: "imports",
    nodes.FromImport: "imports",
    nodes.Extends: "inheritance",
    nodes.Block: "named blocks",
    nodes.ScopedEvalContextModifier: "switching escaping off",
}
_RENDER_ERRORS = (
    TemplateError,
    ArithmeticError,
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
)
_UNDEFINED_NAME = re.compile(r"'(.+?)' is undefined")


class Values(dict[str, Any]):
    """Plain data under a name, so that a missing entry can be reported by its whole name."""

    __slots__ = ("path",)

    def __init__(self, path: str, values: Mapping[str, Any]) -> None:
        # An empty field counts as not there, so that |default('…') works for it.
        super().__init__({key: value for key, value in values.items() if value is not None})
        self.path = path


class MailEnvironment(ImmutableSandboxedEnvironment):
    """The sandbox, narrowed: dictionaries are looked up by key only, and nothing can be called."""

    intercepted_binops = frozenset({"*", "**", "%", "+"})

    def __init__(self, *, autoescape: bool, undefined: type[Undefined] = StrictUndefined) -> None:
        super().__init__(autoescape=autoescape, undefined=undefined, keep_trailing_newline=True)
        self.steps_left = 0
        self.globals = {"range": _capped_range}
        self.filters = {name: self.filters[name] for name in _FILTERS}
        self.filters["counted__"] = self._counted
        self.filters["quoted_html__"] = _quoting(lambda value: str(escape(value)))
        self.filters["quoted_text__"] = _quoting(str)

    def getattr(self, obj: Any, attribute: str) -> Any:
        """A value of plain data; never a method or attribute of the object that holds it."""
        if obj.__class__ is LoopContext and attribute in _OF_LOOPS:
            # Nothing that a loop tells about itself has to be looked at by the sandbox each time.
            return getattr(obj, attribute)
        if isinstance(obj, dict):
            return self._entry(obj, attribute)
        return super().getattr(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """As ``getattr`` for dictionaries; lists by number."""
        if isinstance(obj, dict):
            return self._entry(obj, argument)
        return super().getitem(obj, argument)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """Arithmetic on numbers; nothing that blows a text up or formats one (T4)."""
        numbers = isinstance(left, int | float) and isinstance(right, int | float)
        if operator == "+" and not numbers:
            if len(left) + len(right) > MAX_VALUE_LENGTH:
                raise SecurityError("a text grows too long")
        elif not numbers or (operator == "**" and (abs(left) > 1000 or abs(right) > 100)):
            raise SecurityError(f"“{operator}” is for small numbers only")
        return super().call_binop(context, operator, left, right)

    def _entry(self, obj: dict[Any, Any], key: Any) -> Any:
        try:
            return obj[key]
        except (KeyError, TypeError):
            path = f"{obj.path}.{key}" if isinstance(obj, Values) else str(key)
            return self.undefined(name=path)

    def _counted(self, items: Iterable[Any]) -> Iterable[Any]:
        if isinstance(items, Sized):
            self._take_steps(len(items))
            return items
        return self._counted_singly(items)

    def _counted_singly(self, items: Iterable[Any]) -> Iterator[Any]:
        for item in items:
            self._take_steps(1)
            yield item

    def _take_steps(self, steps: int) -> None:
        self.steps_left -= steps
        if self.steps_left < 0:
            raise SecurityError(f"loops take more than {MAX_LOOP_STEPS} steps")


class Program:
    """A checked template, compiled to fill in."""

    def __init__(self, environment: MailEnvironment, tree: nodes.Template, file: str) -> None:
        self._environment, self._file = environment, file
        self._template = environment.from_string(tree)
        # Jinja layers dictionaries here and goes through all of them for each render.
        self._template.globals = dict(self._template.globals)

    def render(self, values: Mapping[str, Any]) -> str:
        """The text for these values. Raises MissingValue, and ContentError for anything else that fails."""
        self._environment.steps_left = MAX_LOOP_STEPS
        try:
            return self._sized(self._template.render(values))
        except UndefinedError as error:
            found = _UNDEFINED_NAME.search(str(error))
            raise MissingValue(found[1] if found else str(error)) from error
        except _RENDER_ERRORS as error:
            raise ContentError(f"This can't be filled in: {error}.", file=self._file) from error

    def _sized(self, text: str) -> str:
        if len(text) > MAX_OUTPUT:
            raise ContentError(f"This is {len(text) // 1000} kB when filled in.", file=self._file)
        return text


def parse(
    environment: MailEnvironment, source: str, file: str, extra: Collection[str] = ()
) -> nodes.Template:
    """The checked tree of a template that may use our variables and ``extra`` names.

    Raises ContentError with file, line and the variable's name.
    """
    try:
        tree = environment.parse(source)
    except TemplateSyntaxError as error:
        raise ContentError(f"Jinja: {error.message}.", file=file, line=error.lineno) from error
    for node in tree.find_all(nodes.Node):
        _check_node(node, file)
    _check_names(tree, file, {*VARIABLES, "tracked", "range", "loop", *extra})
    return tree


def program(environment: MailEnvironment, tree: nodes.Template, file: str) -> Program:
    """A program that renders a tree as it stands, with its loops counted."""
    return Program(environment, counted(tree), file)


def unescaped_environment(*, rich: bool) -> MailEnvironment:
    """For programs whose values are escaped where they are printed, by us: Jinja's own way is a call for each piece."""
    environment = MailEnvironment(autoescape=False)
    if rich:
        # All that is printed is escaped anyway; twice would show.
        environment.filters["e"] = environment.filters["escape"] = str
    return environment


def counted(tree: nodes.Template) -> nodes.Template:
    """The tree with its loops counted."""
    return cast("nodes.Template", _Counting().visit(tree))


def filtered(node: nodes.Expr, name: str) -> nodes.Filter:
    """The node with a filter of ours behind it."""
    made = nodes.Filter(node, name, [], [], None, None, lineno=node.lineno)
    if node.environment is not None:
        made.set_environment(node.environment)
    return made


def path_of(node: nodes.Node) -> tuple[str, ...]:
    """The names that lead to a value, such as subscriber and name; nothing for any other kind of node."""
    if isinstance(node, nodes.Name):
        return (node.name,)
    if isinstance(node, nodes.Getattr):
        before, last = path_of(node.node), node.attr
    elif (
        isinstance(node, nodes.Getitem)
        and isinstance(node.arg, nodes.Const)
        and isinstance(node.arg.value, str)
    ):
        before, last = path_of(node.node), node.arg.value
    else:
        return ()
    return (*before, last) if before else ()


def names(tree: nodes.Template) -> frozenset[str]:
    """The variables that a template asks for."""
    return frozenset(node.name for node in tree.find_all(nodes.Name) if node.ctx == "load")


def used_links(tree: nodes.Template) -> set[str]:
    """The names under ``links`` that a template asks for; all of them when it takes ``links`` as a whole."""
    named = [node for node in tree.find_all(nodes.Getattr) if _is_name(node.node, "links")]
    whole = sum(1 for node in tree.find_all(nodes.Name) if node.name == "links")
    return {node.attr for node in named} if len(named) == whole else set(LINKS)


class _Counting(NodeTransformer):
    """Every loop takes its steps from one allowance for the whole message."""

    def visit_For(self, node: nodes.For) -> nodes.For:  # noqa: N802 - Jinja's name.
        self.generic_visit(node)
        node.iter = filtered(cast("nodes.Expr", node.iter), "counted__")
        return node


def _check_node(node: nodes.Node, file: str) -> None:
    for kind, words in _REFUSED.items():
        if isinstance(node, kind):
            raise ContentError(
                f"Jinja: {words} can't be used in mails.", file=file, line=node.lineno
            )
    if isinstance(node, nodes.Call) and not _may_call(node):
        raise ContentError(
            "Jinja: functions can't be called in mails; use a filter.", file=file, line=node.lineno
        )
    if isinstance(node, nodes.Filter) and node.name not in _FILTERS:
        raise ContentError(
            f"Jinja: there is no filter “{node.name}” for mails{_suggest(node.name, _FILTERS) or '.'}",
            file=file,
            line=node.lineno,
        )
    if isinstance(node, nodes.Getattr) and node.attr.startswith("_"):
        raise ContentError(
            f"Jinja: “{node.attr}” can't be used in mails.", file=file, line=node.lineno
        )
    owner, entry = _owner_and_entry(node)
    if owner in VARIABLES and entry is not None and entry not in VARIABLES[owner]:
        _refuse_entry(owner, entry, file, node.lineno)


def _check_names(tree: nodes.Template, file: str, known: set[str]) -> None:
    stored = {node.name for node in tree.find_all(nodes.Name) if node.ctx != "load"}
    for node in tree.find_all(nodes.Name):
        if node.ctx == "load" and node.name not in known | stored:
            _refuse_name(node.name, sorted(known), file, node.lineno)
        if node.ctx != "load" and (node.name in known or node.name.endswith("__")):
            raise ContentError(
                f"Jinja: “{node.name}” is taken; use another name.", file=file, line=node.lineno
            )


def _refuse_name(name: str, known: Collection[str], file: str, line: int) -> None:
    raise ContentError(
        f"There is no “{name}” in mails{_suggest(name, known) or '.'}",
        file=file,
        line=line,
        variable=name,
    )


def _refuse_entry(owner: str, entry: str, file: str, line: int) -> None:
    name, hint = f"{owner}.{entry}", _suggest(entry, VARIABLES[owner], f"{owner}.") or "."
    if owner == "subscriber" and hint == ".":
        hint = f"; own fields are written subscriber.attributes.{entry}."
    raise ContentError(f"There is no “{name}” in mails{hint}", file=file, line=line, variable=name)


def _suggest(name: str, known: Collection[str], before: str = "") -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.75)
    return f"; did you mean “{before}{close[0]}”?" if close else ""


def _owner_and_entry(node: nodes.Node) -> tuple[str, str | None]:
    if isinstance(node, nodes.Getattr) and isinstance(node.node, nodes.Name):
        return node.node.name, node.attr
    if (
        isinstance(node, nodes.Getitem)
        and isinstance(node.node, nodes.Name)
        and isinstance(node.arg, nodes.Const)
    ):
        return node.node.name, str(node.arg.value)
    return "", None


def _may_call(node: nodes.Call) -> bool:
    called = node.node
    return _is_name(called, "range") or (
        isinstance(called, nodes.Getattr)
        and called.attr == "cycle"
        and _is_name(called.node, "loop")
    )


def _is_name(node: nodes.Node, name: str) -> bool:
    return isinstance(node, nodes.Name) and node.name == name


def _capped_range(*bounds: int) -> range:
    made = range(*bounds)
    if len(made) > MAX_LOOP_STEPS:
        raise SecurityError(f"range() counts to {MAX_LOOP_STEPS} at most")
    return made


def _quoting(spell: Callable[[Any], str]) -> Callable[[Any], str]:
    memo: dict[str, str] = {}

    def piece_of(value: Any) -> str:
        if value.__class__ is int:
            return f"{value}{quoted.SOFT_BREAK}"
        if value.__class__ is not str or len(value) > _MEMO_LENGTH:
            return quoted.encode(spell(value))
        piece = memo.get(value)
        if piece is None:
            if len(memo) >= _MEMO_SIZE:
                memo.clear()
            piece = memo[value] = quoted.encode(spell(value))
        return piece

    return piece_of
