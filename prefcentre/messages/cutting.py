"""Cuts a part of a message where it differs from person to person: fixed text, and holes between.

This is a file of its own because it runs once for a part of a campaign, while composing runs for every recipient.
What is the same for everybody, conditions included, is settled here. Only what is left of conditions, loops and
filters stays a program, which prints one fragment after the other.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, cast

from jinja2 import nodes
from jinja2.visitor import NodeTransformer
from markupsafe import escape

from prefcentre.errors import ContentError
from prefcentre.messages import quoted, sandbox
from prefcentre.messages.sandbox import SUBSCRIBER, MailEnvironment, Program, filtered
from prefcentre.messages.values import MissingValue

COUNTING = "counting"
"""The name of the token that opens and clicks are counted by."""
END_OF_FRAGMENT = "\0"
"""What a program prints behind each fragment; nothing else that it prints holds one."""
_HOLE = re.compile(r"(?:hole|fragment)\d+__")
# Of the campaign and of links some entries are the same for everybody, and others belong to one message.
_KNOWN = {("tracked",), ("brand",), ("links", "privacy")}
_KNOWN |= {("campaign", name) for name in ("slug", "name", "topic")}
_MOST_ROUNDS = 50
_OF_LOOP = [
    ("loop", name)
    for name in ("index", "index0", "revindex", "revindex0", "first", "last", "length")
]


class Form(Enum):
    """How a part is written."""

    HTML = "html"  # Escaped, in quoted-printable.
    TEXT = "text"  # In quoted-printable.
    LINE = "line"  # As it is: a subject before it becomes a header.

    @property
    def is_quoted(self) -> bool:
        """Whether it is encoded."""
        return self is not Form.LINE

    @property
    def end(self) -> str:
        """What stands behind each piece."""
        return quoted.SOFT_BREAK if self.is_quoted else ""

    @property
    def write(self) -> Callable[[str], str]:
        """What makes a piece of a value; it begins and ends where a line does when it is quoted."""
        if self is Form.HTML:
            return _html_piece
        return quoted.encode if self.is_quoted else str

    def escaped(self, text: str) -> str:
        """Text as markup, where markup is meant."""
        return str(escape(text)) if self is Form.HTML else text

    def written(self, markup: str) -> str:
        """A piece of what is escaped already, or never has to be."""
        return quoted.encode(markup) if self.is_quoted else markup


def _html_piece(text: str) -> str:
    return quoted.encode(str(escape(text)))


class Source(Enum):
    """Where what stands in a hole comes from."""

    FIELD = "field"  # A field of the person.
    ATTRIBUTE = "attribute"  # One of the person's attributes.
    MESSAGE = "message"  # Belongs to this message: the address, the subject.
    LINK = "link"  # The token of a link; plain letters that need no encoding.
    FRAGMENT = "fragment"  # The program prints it.


@dataclass(frozen=True, slots=True)
class Hole:
    """What stands in a place, with the text that stands in for a missing value."""

    source: Source
    name: str
    fallback: str | None = None

    @property
    def path(self) -> str:
        """Its name in a template."""
        owner = "subscriber.attributes" if self.source is Source.ATTRIBUTE else "subscriber"
        return f"{owner}.{self.name}"


@dataclass(frozen=True, slots=True)
class Page:
    """A link to one of a person's own pages: fixed text, and a token between."""

    before: str
    token: str
    after: str = ""


@dataclass(frozen=True)
class Known:
    """What is the same for everybody who gets this part, and how links to the pages of a person are made."""

    values: Mapping[str, Any]
    pages: Mapping[str, Page]


@dataclass(frozen=True)
class Fragments:
    """A program that prints fragments, and what it asks for.

    ``holes`` it takes written, ``values`` as they are, each under the name beside it; ``names`` are the variables of a
    template that it asks for as a whole. What is not ``is_finished`` is one fragment that still has to be written.
    """

    program: Program
    names: frozenset[str]
    links: frozenset[str]
    holes: tuple[tuple[Hole, str], ...] = ()
    values: tuple[tuple[Hole, str], ...] = ()
    is_finished: bool = True


@dataclass(frozen=True)
class Cut:
    """A part in pieces: ``fixed`` texts stand before, between and after ``holes``, which may come more than once."""

    fixed: tuple[str, ...]
    holes: tuple[Hole, ...]
    fragments: Fragments | None = None


def cut(source: str, file: str, form: Form, known: Known) -> Cut:
    """The pieces of a template that was checked when the campaign was compiled."""
    environment = sandbox.unescaped_environment(rich=form is Form.HTML)
    tree = environment.parse(source)
    if form.is_quoted and any(tree.find_all((nodes.AssignBlock, nodes.FilterBlock))):
        return _uncut(source, file, form)
    cutter = _Cutter(environment, form, known)
    tree = cutter.visit(sandbox.counted(tree))
    writer = _Writer(form, cutter.holes)
    pieces, printing = _sorted_out(tree)
    fixed, holes = _split(writer.written(pieces), cutter.holes)
    if not printing:
        return Cut(fixed, holes)
    tree = _program_of(printing, writer, environment)
    asked = sandbox.names(tree)
    fragments = Fragments(
        Program(environment, tree, file),
        names=asked,
        links=frozenset(sandbox.used_links(tree)),
        holes=tuple((hole, name) for hole, name in cutter.holes.items() if name in asked),
        values=tuple((hole, name) for hole, name in cutter.values.items() if name in asked),
    )
    return Cut(fixed, holes, fragments)


def _uncut(source: str, file: str, form: Form) -> Cut:
    """One fragment: what blocks print is used again as a value, and would be encoded twice."""
    environment = MailEnvironment(autoescape=form is Form.HTML)
    tree = sandbox.counted(environment.parse(source))
    names, links = sandbox.names(tree), frozenset(sandbox.used_links(tree))
    program = Program(environment, tree, file)
    fragments = Fragments(program, names, links, is_finished=False)
    return Cut(("", ""), (Hole(Source.FRAGMENT, "fragment0__"),), fragments)


class _Cutter(NodeTransformer):
    """Puts text for what is known, and names for holes and values."""

    def __init__(self, environment: MailEnvironment, form: Form, known: Known) -> None:
        self._environment, self._form, self._known = environment, form, known
        self.holes: dict[Hole, str] = {}
        self.values: dict[Hole, str] = {}

    def visit_If(self, node: nodes.If) -> Any:  # noqa: N802 - Jinja's name.
        chosen = self._chosen(node)
        if chosen is None:
            return self.generic_visit(node)
        return [kept for child in chosen for kept in self.visit_list(child)]

    def visit_For(self, node: nodes.For) -> Any:  # noqa: N802 - Jinja's name.
        items = _items(node) if _may_unroll(node) else None
        if items is None:
            return self.generic_visit(node)
        rounds = [
            _with(child, _round(node, items, place))
            for place in range(len(items))
            for child in node.body
        ]
        return [kept for child in rounds or node.else_ for kept in self.visit_list(child)]

    def visit_Output(self, node: nodes.Output) -> nodes.Output:  # noqa: N802 - Jinja's name.
        node.nodes = [piece for child in node.nodes for piece in self._pieces(child)]
        return node

    def visit_Getattr(self, node: nodes.Getattr) -> nodes.Node:  # noqa: N802 - Jinja's name.
        return self._value(node)

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:  # noqa: N802 - Jinja's name.
        return self._value(node)

    def _value(self, node: nodes.Node) -> nodes.Node:
        hole = self._hole(node)
        if hole is None or hole.source is Source.LINK:
            return self.generic_visit(node)
        name = self.values.setdefault(hole, f"value{len(self.values)}__")
        return nodes.Name(name, "load", lineno=1)

    def _chosen(self, node: nodes.If) -> list[nodes.Node] | None:
        """The branch that everybody gets, when it is the same for all."""
        yes: list[nodes.Node] = [nodes.Output([nodes.TemplateData("1", lineno=1)], lineno=1)]
        for branch in (node, *node.elif_):
            told = self._settled(branch.test, nodes.If(branch.test, yes, [], [], lineno=1))
            if told is None:
                return None
            if told:
                return branch.body
        return node.else_

    def _pieces(self, node: nodes.Expr) -> Iterator[nodes.Expr]:
        hole = self._hole(node)
        page = self._page(sandbox.path_of(node))
        if isinstance(node, nodes.TemplateData):
            yield node
        elif hole is not None:
            yield self._named(hole)
        elif page is not None:
            yield self._text(page.before)
            yield self._named(Hole(Source.LINK, page.token))
            yield self._text(page.after)
        else:
            told = self._settled(node, nodes.Output([node], lineno=1))
            yield self.visit(node) if told is None else self._text(told)

    def _page(self, path: tuple[str, ...]) -> Page | None:
        return self._known.pages.get(path[1]) if path[:1] == ("links",) and len(path) == 2 else None

    def _hole(self, node: nodes.Node) -> Hole | None:
        fallback = None
        if isinstance(node, nodes.Filter) and _is_fallback(node):
            fallback = str(cast("nodes.Const", node.args[0]).value)
            node = cast("nodes.Expr", node.node)
        match sandbox.path_of(node):
            case ("token__",):
                return Hole(Source.LINK, COUNTING)
            case ("campaign", "subject") if self._form.is_quoted:
                return Hole(Source.MESSAGE, "subject")
            case ("subscriber", "email"):
                return Hole(Source.MESSAGE, "email")
            case ("subscriber", "attributes", name):
                return Hole(Source.ATTRIBUTE, name, fallback)
            case ("subscriber", name) if name in SUBSCRIBER and name != "attributes":
                return Hole(Source.FIELD, name, fallback)
        return None

    def _settled(self, expression: nodes.Node, printing: nodes.Node) -> str | None:
        """What is printed for everybody, or None when that differs or can't be printed at all."""
        if isinstance(expression, nodes.Const) and isinstance(printing, nodes.Output):
            return str(expression.value)
        if not _is_known(expression):
            return None
        tree = nodes.Template([printing], lineno=1).set_environment(self._environment)
        try:
            program = Program(self._environment, cast("nodes.Template", tree), "")
            return program.render(self._known.values)
        except (ContentError, MissingValue):
            # It fails for each person, where it is told which one and why.
            return None

    def _text(self, text: str) -> nodes.TemplateData:
        return nodes.TemplateData(self._form.escaped(text), lineno=1)

    def _named(self, hole: Hole) -> nodes.Name:
        name = self.holes.setdefault(hole, f"hole{len(self.holes)}__")
        return nodes.Name(name, "load", lineno=1)


class _Writer(NodeTransformer):
    """Writes out what is fixed; what a program prints passes through the filter that writes it."""

    def __init__(self, form: Form, holes: Mapping[Hole, str]) -> None:
        self._form = form
        # Tokens come without the line break that other values bring along, as one stands in a header, too.
        links = [name for hole, name in holes.items() if hole.source is Source.LINK]
        self._links = set(links) if form.is_quoted else set()

    def visit_Output(self, node: nodes.Output) -> nodes.Output:  # noqa: N802 - Jinja's name.
        node.nodes = list(self.written(node.nodes))
        return node

    def written(self, pieces: Iterable[nodes.Expr]) -> Iterator[nodes.Expr]:
        """The pieces as a program prints them; neighbouring texts become one."""
        text, broken = "", ""
        for piece in pieces:
            if isinstance(piece, nodes.TemplateData):
                text += piece.data
                continue
            yield from self._fixed(broken, text)
            name = _hole_of(piece)
            yield piece if name else self._printed(piece)
            text, broken = "", quoted.SOFT_BREAK if name in self._links else ""
        yield from self._fixed(broken, text)

    def _fixed(self, broken: str, text: str) -> Iterator[nodes.TemplateData]:
        if broken or text:
            yield nodes.TemplateData(broken + self._form.written(text), lineno=1)

    def _printed(self, node: nodes.Expr) -> nodes.Expr:
        return filtered(node, f"quoted_{self._form.value}__") if self._form.is_quoted else node


def _sorted_out(tree: nodes.Template) -> tuple[list[nodes.Expr], list[list[nodes.Node]]]:
    """Texts and holes in their order, with a hole for each fragment; and the statements that print each fragment."""
    pieces: list[nodes.Expr] = []
    fragments: list[list[nodes.Node]] = []
    silent: list[nodes.Node] = []

    def print_by(node: nodes.Node) -> None:
        pieces.append(nodes.Name(f"fragment{len(fragments)}__", "load", lineno=1))
        fragments.append([*silent, node])
        silent.clear()

    for node in tree.body:
        if isinstance(node, nodes.Assign):
            silent.append(node)
        elif not isinstance(node, nodes.Output):
            print_by(node)
        else:
            for child in node.nodes:
                if isinstance(child, nodes.TemplateData) or _hole_of(child):
                    pieces.append(child)
                else:
                    print_by(nodes.Output([child], lineno=child.lineno))
    return pieces, fragments


def _split(
    pieces: Iterable[nodes.Expr], names: Mapping[Hole, str]
) -> tuple[tuple[str, ...], tuple[Hole, ...]]:
    """The texts before, between and after the holes, and the holes."""
    known = {name: hole for hole, name in names.items()}
    fixed, holes = [""], []
    for piece in pieces:
        if isinstance(piece, nodes.TemplateData):
            fixed[-1] += piece.data
        else:
            name = _hole_of(piece)
            holes.append(known.get(name) or Hole(Source.FRAGMENT, name))
            fixed.append("")
    return tuple(fixed), tuple(holes)


def _program_of(
    fragments: list[list[nodes.Node]], writer: _Writer, environment: MailEnvironment
) -> nodes.Template:
    body: list[nodes.Node] = []
    for fragment in fragments:
        body += [writer.visit(node) for node in fragment]
        body.append(nodes.Output([nodes.TemplateData(END_OF_FRAGMENT, lineno=1)], lineno=1))
    tree = nodes.Template(body, lineno=1)
    return cast("nodes.Template", tree.set_environment(environment))


def _hole_of(node: nodes.Node) -> str:
    """The name of the hole that a node stands for, if any; nobody else's names end like that."""
    return node.name if isinstance(node, nodes.Name) and _HOLE.fullmatch(node.name) else ""


def _is_fallback(node: nodes.Filter) -> bool:
    return (
        node.name in {"d", "default"}
        and len(node.args) == 1
        and isinstance(node.args[0], nodes.Const)
        and not (node.kwargs or node.dyn_args or node.dyn_kwargs)
    )


def _is_known(node: nodes.Node) -> bool:
    path = sandbox.path_of(node)
    if path:
        return path[:1] in _KNOWN or path[:2] in _KNOWN
    return not isinstance(node, nodes.Call) and all(map(_is_known, node.iter_child_nodes()))


def _may_unroll(node: nodes.For) -> bool:
    """Whether a loop can be written out: nothing in it depends on there being a loop."""
    asked = sum(1 for name in node.find_all(nodes.Name) if name.name == "loop")
    known = [found for found in node.find_all(nodes.Getattr) if sandbox.path_of(found) in _OF_LOOP]
    return (
        isinstance(node.target, nodes.Name)
        and not (node.test or node.recursive)
        and asked == len(known)
        and not any(node.find_all((nodes.For, nodes.Assign, nodes.With)))
    )


def _items(node: nodes.For) -> list[Any] | None:
    """What a loop goes through, when that is written there: a few words or numbers, or a range."""
    source = cast("nodes.Filter", node.iter).node
    is_range = isinstance(source, nodes.Call) and _is_plain_range(source)
    written = getattr(source, "args" if is_range else "items", None)
    if not isinstance(written, list):
        return None
    if not all(isinstance(item, nodes.Const) for item in written):
        return None
    values = [item.value for item in written]
    if is_range:
        try:
            values = list(range(*values)[: _MOST_ROUNDS + 1])
        except (TypeError, ValueError):
            return None
    return values if len(values) <= _MOST_ROUNDS else None


def _is_plain_range(call: nodes.Call) -> bool:
    return sandbox.path_of(call.node) == ("range",) and not (call.kwargs or call.dyn_args)


def _round(node: nodes.For, items: list[Any], place: int) -> dict[tuple[str, ...], Any]:
    last = len(items) - 1
    told = (place + 1, place, last - place + 1, last - place, place == 0, place == last, last + 1)
    return {(cast("nodes.Name", node.target).name,): items[place]} | dict(
        zip(_OF_LOOP, told, strict=True)
    )


def _with(node: nodes.Node, values: Mapping[tuple[str, ...], Any]) -> nodes.Node:
    """A copy of a node with these values in place of their names."""
    path = sandbox.path_of(node)
    if path in values:
        return nodes.Const(values[path], lineno=node.lineno)
    fields = [
        [_with(entry, values) if isinstance(entry, nodes.Node) else entry for entry in value]
        if isinstance(value, list)
        else (_with(value, values) if isinstance(value, nodes.Node) else value)
        for _, value in node.iter_fields()
    ]
    return node.__class__(*fields, lineno=node.lineno, environment=node.environment)
