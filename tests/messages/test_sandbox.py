from typing import Any

import pytest
from jinja2 import nodes

from prefcentre.errors import ContentError
from prefcentre.messages import sandbox
from prefcentre.messages.sandbox import MailEnvironment, Values
from prefcentre.messages.values import MissingValue


def parse(source: str) -> nodes.Template:
    return sandbox.parse(MailEnvironment(autoescape=True), source, "body.md")


def render(source: str, *, rich: bool = True, **subscriber: Any) -> str:
    attributes = Values("subscriber.attributes", subscriber.pop("attributes", {}))
    values = {"subscriber": Values("subscriber", subscriber | {"attributes": attributes})}
    environment = MailEnvironment(autoescape=rich)
    tree = sandbox.parse(environment, source, "body.md")
    return sandbox.program(environment, tree, "body.md").render(values)


def test_values_are_escaped_in_html_and_raw_in_text() -> None:
    assert render("{{ subscriber.name }}", name="<b> & 'x'") == "&lt;b&gt; &amp; &#39;x&#39;"
    assert render("{{ subscriber.name }}", rich=False, name="<b> & 'x'") == "<b> & 'x'"


def test_a_value_is_data_and_never_a_template() -> None:
    assert (
        render("{{ subscriber.name }}", name="{{ 7 * 7 }}{% for x in y %}")
        == "{{ 7 * 7 }}{% for x in y %}"
    )


@pytest.mark.parametrize("value", [{}, {"first_name": None}])
def test_a_missing_or_empty_value_raises_with_its_whole_name(value: dict[str, Any]) -> None:
    with pytest.raises(MissingValue) as caught:
        render("{{ subscriber.first_name }}", **value)
    assert caught.value.variable == "subscriber.first_name"


def test_a_missing_attribute_raises_with_its_whole_name() -> None:
    for source in (
        "{{ subscriber.attributes.city }}",
        "{{ subscriber.attributes['city'] }}",
        "{{ subscriber.attributes.city.name }}",
        "{% for x in subscriber.attributes.city %}{% endfor %}",
    ):
        with pytest.raises(MissingValue) as caught:
            render(source)
        assert caught.value.variable == "subscriber.attributes.city"


def test_a_fallback_stands_in_for_a_missing_value() -> None:
    assert render("{{ subscriber.first_name|default('Hello') }}", first_name=None) == "Hello"
    assert render("{% if subscriber.first_name is defined %}a{% else %}b{% endif %}") == "b"


def test_an_attribute_with_the_name_of_a_method_is_the_attribute() -> None:
    assert render("{{ subscriber.attributes.items }}", attributes={"items": "3"}) == "3"
    with pytest.raises(MissingValue):
        render("{{ subscriber.attributes.keys }}")


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__ }}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ subscriber.__init__.__globals__ }}",
        "{{ subscriber['__class__'] }}",
        "{{ ''|attr('__class__') }}",
        "{{ [].append(1) }}",
        "{{ subscriber.name.format(1) }}",
        "{{ '%s' % subscriber }}",
        "{{ lipsum }}",
        "{{ cycler }}",
        "{{ namespace() }}",
        "{{ self }}",
        "{{ config }}",
        "{{ loop.__init__ }}",
        "{% include 'x' %}",
        "{% import 'x' as y %}",
        "{% extends 'x' %}",
        "{% macro m() %}{% endmacro %}",
        "{% block b %}{% endblock %}",
        "{% autoescape false %}{% endautoescape %}",
        "{{ subscriber.name|safe }}",
        "{{ 'a' * 1000000 }}",
        "{{ 9 ** 9999 }}",
        "{{ 'x'|center(1000000) }}",
        "{{ range(100000)|list }}",
        "{% for a in range(5000) %}{% for b in range(5000) %}{% endfor %}{% endfor %}",
    ],
)
def test_what_could_look_around_or_blow_up_is_refused(source: str) -> None:
    with pytest.raises(ContentError):
        render(source, name="Ada", attributes={"a": "b"})


def test_map_finds_no_attributes_of_objects_either() -> None:
    source = "{{ subscriber.attributes|map(attribute='__class__')|list }}"
    assert render(source, attributes={"a": "b"}) == "[Undefined]"


def test_loops_conditions_and_filters_work() -> None:
    source = (
        "{% for city in subscriber.attributes.cities %}{{ loop.index }}{{ loop.cycle('a', 'b') }}:{{ city|upper }} {% endfor %}"
        "{% set n = 1 + 2 %}{{ n }}{% for i in range(3) %}{{ i }}{% endfor %}"
    )
    assert render(source, attributes={"cities": ["x", "y"]}) == "1a:X 2b:Y 3012"


@pytest.mark.parametrize(
    ("source", "words", "variable", "line"),
    [
        (
            "a\n{{ subscriber.frist_name }}",
            "did you mean “subscriber.first_name”",
            "subscriber.frist_name",
            2,
        ),
        ("{{ subscriber['frist_name'] }}", "subscriber.first_name", "subscriber.frist_name", 1),
        ("{{ subscriber.plan }}", "subscriber.attributes.plan", "subscriber.plan", 1),
        ("\n\n{{ first_name }}", "There is no “first_name”", "first_name", 3),
        ("{{ links.unsubscribed }}", "links.unsubscribe", "links.unsubscribed", 1),
        ("{{ brand.logo }}", "There is no “brand.logo”", "brand.logo", 1),
        ("{{ token__ }}", "There is no “token__”", "token__", 1),
    ],
)
def test_a_name_that_can_never_exist_is_found_when_it_is_checked(
    source: str, words: str, variable: str, line: int
) -> None:
    with pytest.raises(ContentError, match=words) as caught:
        parse(source)
    assert (caught.value.variable, caught.value.line, caught.value.file) == (
        variable,
        line,
        "body.md",
    )


@pytest.mark.parametrize(
    "source",
    [
        "a\n{{ subscriber.name",
        "a\n{% if %}{% endif %}",
        "a\n{{ subscriber.name|upercase }}",
        "\n{% for x in y %}",
    ],
)
def test_a_mistake_in_jinja_is_reported_with_its_line(source: str) -> None:
    with pytest.raises(ContentError) as caught:
        parse(source)
    assert caught.value.line == 2


@pytest.mark.parametrize(
    "source", ["{% set brand = 1 %}", "{% for links in [1] %}{% endfor %}", "{% set x__ = 1 %}"]
)
def test_our_names_can_not_be_taken(source: str) -> None:
    with pytest.raises(ContentError, match="is taken"):
        parse(source)


def test_a_filled_in_text_has_an_end() -> None:
    with pytest.raises(ContentError, match="kB when filled in"):
        render("{% for i in range(9999) %}" + "x" * 200 + "{% endfor %}")


def test_links_in_use_are_known_and_all_of_them_when_in_doubt() -> None:
    assert sandbox.used_links(parse("{{ links.view }}{{ links.why }}")) == {"view", "why"}
    assert sandbox.used_links(parse("{{ links['view'] }}")) == set(sandbox.LINKS)
