"""Reads the forms of a page and fills them in, as a browser without scripts does."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urlencode

from tests.installation import Reply, request


@dataclass
class Form:
    """What a form would send, and its buttons by their words."""

    fields: list[tuple[str, str]] = field(default_factory=list)
    boxes: list[tuple[str, str]] = field(default_factory=list)
    """Boxes that are not ticked."""
    buttons: dict[str, tuple[str, str]] = field(default_factory=dict)

    def untick(self, name: str, value: str) -> None:
        """Take the tick away."""
        self.fields.remove((name, value))

    def tick(self, name: str, value: str) -> None:
        """Tick a box that is there."""
        self.boxes.remove((name, value))
        self.fields.append((name, value))

    def fill(self, name: str, value: str) -> None:
        """Write into a field that is there."""
        assert name in dict(self.fields), self.fields
        self.fields = [pair for pair in self.fields if pair[0] != name] + [(name, value)]

    def press(self, url: str, words: str) -> Reply:
        """Send it by the button with these words."""
        body = urlencode([*self.fields, self.buttons[words]]).encode()
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        return request(url, "POST", body, kind)


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[Form] = []
        self.button: tuple[str, str] | None = None
        self.words = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "form":
            assert values.get("method", "get").lower() == "post", "a form that changes by GET"
            assert "action" not in values, "a form that leads elsewhere"
            self.found.append(Form())
        elif tag == "input":
            self._input(values)
        elif tag == "button":
            self.button = values.get("name", ""), values.get("value", "")
            self.words = ""

    def _input(self, values: dict[str, str]) -> None:
        assert "required" not in values, values
        pair = values["name"], values.get("value", "")
        if values.get("type") in {"checkbox", "radio"} and "checked" not in values:
            self.found[-1].boxes.append(pair)
        else:
            self.found[-1].fields.append(pair)

    def handle_data(self, data: str) -> None:
        self.words += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "button" and self.button:
            self.found[-1].buttons[" ".join(self.words.split())] = self.button
            self.button = None


def forms_of(page: str) -> list[Form]:
    """All forms of a page."""
    reader = _Forms()
    reader.feed(page)
    return reader.found


def form_with(page: str, words: str) -> Form:
    """The form that has a button with these words."""
    forms = forms_of(page)
    found = [form for form in forms if words in form.buttons]
    assert len(found) == 1, f"“{words}” is not among {[list(form.buttons) for form in forms]}"
    return found[0]
