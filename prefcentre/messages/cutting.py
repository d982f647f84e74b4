"""Cuts a part of a message where it differs from person to person: fixed text, and holes between.

This is a file of its own because it runs once for a part of a campaign, while composing runs for every recipient.
What is the same for everybody, conditions included, is settled here; only a part that still has conditions, loops or
filters keeps a program.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
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


class Form(Enum):
    """How a part is written."""

    HTML = "html"  # Escaped, in quoted-printable.
    TEXT = "text"  # In quoted-printable.
    LINE = "line"  # As it is: a subject before it becomes a header.

    @property
    def is_quoted(self) -> bool:
        """Whether it is encoded."""
        return self is not Form.LINE

    def escaped(self, text: str) -> str:
        """Text as markup, where markup is meant."""
        return str(escape(text)) if self is Form.HTML else text

    def written(self, text: str) -> str:
        """One piece of a part, which begins and ends where a line does when it is quoted."""
        return quoted.encode(text) if self.is_quoted else text


class Source(Enum):
    """Where the value of a hole comes from."""

    FIELD = "field"  # A field of the person.
    ATTRIBUTE = "attribute"  # One of the person's attributes.
    MESSAGE = "message"  # Belongs to this message: the address, the subject.
    LINK = "link"  # The token of a link; plain letters that need no encoding.


@dataclass(frozen=True, slots=True)
class Hole:
    """What stands in a place as it is, with the text that stands in for a missing value."""

    source: Source
    name: str
    fallback: str | None = None

    @property
    def path(self) -> str:
        """Its name in a template."""
        return (
            f"subscriber.attributes.{self.name}"
            if self.source is Source.ATTRIBUTE
            else f"subscriber.{self.name}"
        )


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
class Needs:
    """What a program asks for by name. ``keys`` is None when it takes all attributes, such as in a loop."""

    names: frozenset[str]
    fields: tuple[str, ...]
    keys: tuple[str, ...] | None
    links: tuple[str, ...]


@dataclass(frozen=True)
class Cut:
    """A part in pieces.

    Without a program, ``fixed`` stands before, between and after the holes that ``order`` numbers; with one, the
    program prints it all, and ``is_finished`` says whether that is encoded already.
    """

    holes: tuple[Hole, ...]
    fixed: tuple[str, ...] = ()
    order: tuple[int, ...] = ()
    program: Program | None = None
    needs: Needs | None = None
    is_finished: bool = True


COUNTING = "counting"
"""The name of the token that opens and clicks are counted by."""
# Of the campaign and of links some entries are the same for everybody, and others belong to one message.
_KNOWN = {("tracked",), ("brand",), *(("campaign", name) for name in ("slug", "name", "topic"))}
_KNOWN |= {("links", "privacy")}
_HOLE = re.compile(r"hole\d+__")


def cut(source: str, file: str, form: Form, known: Known) -> Cut:
    """The pieces of a template that was checked when the campaign was compiled."""
    environment = sandbox.unescaped_environment(rich=form is Form.HTML)
    tree = environment.parse(source)
    if form.is_quoted and any(tree.find_all((nodes.AssignBlock, nodes.FilterBlock))):
        # What these print is used again as a value, and would be encoded twice.
        environment = MailEnvironment(autoescape=form is Form.HTML)
        tree = sandbox.counted(environment.parse(source))
        program = Program(environment, tree, file)
        return Cut((), program=program, needs=_needs(tree), is_finished=False)
    cutter = _Cutter(environment, form, known)
    tree = cutter.visit(sandbox.counted(tree))
    writer = _Writer(form, cutter.holes)
    pieces = _text_and_holes(tree)
    if pieces is not None:
        fixed, order = _split(writer.written(pieces))
        return Cut(cutter.holes, fixed, order)
    tree = writer.visit(tree)
    return Cut(cutter.holes, program=Program(environment, tree, file), needs=_needs(tree))


def hole_name(number: int) -> str:
    """What a program calls a hole."""
    return f"hole{number}__"


class _Cutter(NodeTransformer):
    """Puts text for what is known, names for holes, and leaves everything else as it is."""

    def __init__(self, environment: MailEnvironment, form: Form, known: Known) -> None:
        self._environment, self._form, self._known = environment, form, known
        self._holes: dict[Hole, int] = {}

    @property
    def holes(self) -> tuple[Hole, ...]:
        return tuple(self._holes)

    def visit_If(self, node: nodes.If) -> Any:  # noqa: N802 - Jinja's name.
        chosen = self._chosen(node)
        if chosen is None:
            return self.generic_visit(node)
        return [kept for child in chosen for kept in self.visit_list(child)]

    def visit_Output(self, node: nodes.Output) -> nodes.Output:  # noqa: N802 - Jinja's name.
        node.nodes = [piece for child in node.nodes for piece in self._pieces(child)]
        return node

    def _chosen(self, node: nodes.If) -> list[nodes.Node] | None:
        """The branch that everybody gets, when it is the same for all."""
        rest = [(node.test, node.body), *((other.test, other.body) for other in node.elif_)]
        for test, body in rest:
            yes = [nodes.Output([nodes.TemplateData("1", lineno=1)], lineno=1)]
            told = self._settled(
                test, nodes.If(test, cast("list[nodes.Node]", yes), [], [], lineno=1)
            )
            if told is None:
                return None
            if told:
                return body
        return node.else_

    def _pieces(self, node: nodes.Expr) -> Iterator[nodes.Expr]:
        path = sandbox.path_of(node)
        hole = self._hole(node)
        if isinstance(node, nodes.TemplateData):
            yield node
        elif hole is not None:
            yield self._named(hole)
        elif len(path) == 2 and path[0] == "links" and path[1] in self._known.pages:
            page = self._known.pages[path[1]]
            yield self._text(page.before)
            yield self._named(Hole(Source.LINK, page.token))
            yield self._text(page.after)
        else:
            told = self._settled(node, nodes.Output([node], lineno=1))
            yield node if told is None else self._text(told)

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
            case ("subscriber", name) if name != "attributes":
                return Hole(Source.FIELD, name, fallback)
        return None

    def _settled(self, expression: nodes.Node, printing: nodes.Node) -> str | None:
        """What is printed for everybody, or None when that differs or can't be printed at all."""
        if not _is_known(expression):
            return None
        tree = nodes.Template([printing], lineno=1).set_environment(self._environment)
        try:
            return Program(self._environment, cast("nodes.Template", tree), "").render(
                self._known.values
            )
        except (ContentError, MissingValue):
            # It fails for each person, where it is told which one and why.
            return None

    def _text(self, text: str) -> nodes.TemplateData:
        return nodes.TemplateData(self._form.escaped(text), lineno=1)

    def _named(self, hole: Hole) -> nodes.Name:
        number = self._holes.setdefault(hole, len(self._holes))
        return nodes.Name(hole_name(number), "load", lineno=1)


class _Writer(NodeTransformer):
    """Writes out what is fixed; what a program prints passes through the filter that writes it."""

    def __init__(self, form: Form, holes: tuple[Hole, ...]) -> None:
        self._form = form
        # Tokens come without the line break that other values bring along, as one stands in a header, too.
        numbers = [number for number, hole in enumerate(holes) if hole.source is Source.LINK]
        self._tokens = set(map(hole_name, numbers)) if form.is_quoted else set()

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
            text, broken = "", quoted.SOFT_BREAK if name in self._tokens else ""
        yield from self._fixed(broken, text)

    def _fixed(self, broken: str, text: str) -> Iterator[nodes.TemplateData]:
        if broken or text:
            yield nodes.TemplateData(broken + self._form.written(text), lineno=1)

    def _printed(self, node: nodes.Expr) -> nodes.Expr:
        return filtered(node, f"quoted_{self._form.value}__") if self._form.is_quoted else node


def _text_and_holes(tree: nodes.Template) -> list[nodes.Expr] | None:
    """What a template prints when it is nothing but text and holes."""
    pieces: list[nodes.Expr] = []
    for node in tree.body:
        if not isinstance(node, nodes.Output):
            return None
        pieces += node.nodes
    plain = all(isinstance(piece, nodes.TemplateData) or _hole_of(piece) for piece in pieces)
    return pieces if plain else None


def _split(pieces: Iterable[nodes.Expr]) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """The texts before, between and after the holes, and the numbers of the holes."""
    fixed, order = [""], []
    for piece in pieces:
        if isinstance(piece, nodes.TemplateData):
            fixed[-1] += piece.data
        else:
            order.append(int(_hole_of(piece).strip("hole_")))
            fixed.append("")
    return tuple(fixed), tuple(order)


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


def _needs(tree: nodes.Template) -> Needs:
    names = [node.name for node in tree.find_all(nodes.Name) if node.ctx == "load"]
    paths = [sandbox.path_of(node) for node in tree.find_all((nodes.Getattr, nodes.Getitem))]
    fields = [path[1] for path in paths if len(path) == 2 and path[0] == "subscriber"]
    keys = [
        path[2] for path in paths if len(path) == 3 and path[:2] == ("subscriber", "attributes")
    ]
    whole = len(fields) < names.count("subscriber")
    return Needs(
        names=frozenset(names),
        fields=SUBSCRIBER if whole else tuple(sorted(set(fields))),
        keys=None if whole or len(keys) < fields.count("attributes") else tuple(sorted(set(keys))),
        links=tuple(sorted(sandbox.used_links(tree))),
    )
