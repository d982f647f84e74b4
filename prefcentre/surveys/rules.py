"""What a question may be, what answers it takes, and how answers add up."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from prefcentre.errors import InvalidInput
from prefcentre.surveys.models import QuestionKind

MOST_QUESTIONS, MOST_CHOICES = 20, 20
LONGEST_WORDS, LONGEST_ANSWER = 300, 500
SCALES = {QuestionKind.SCALE5: range(1, 6), QuestionKind.SCALE10: range(11)}


@dataclass(frozen=True, slots=True)
class Question:
    """One question; ``id`` is its number in the survey for as long as the survey lives."""

    id: int
    kind: QuestionKind
    text: str
    choices: tuple[str, ...] = ()

    @property
    def options(self) -> tuple[str, ...]:
        """What can be chosen, in words; nothing for a text."""
        return tuple(map(str, SCALES.get(self.kind, ()))) or self.choices

    def to_json(self) -> dict[str, Any]:
        """As it is stored."""
        return {"id": self.id, "kind": self.kind, "text": self.text, "choices": list(self.choices)}


def from_json(stored: Sequence[Mapping[str, Any]]) -> list[Question]:
    """The questions that ``to_json`` wrote."""
    return [
        Question(one["id"], QuestionKind(one["kind"]), one["text"], tuple(one["choices"]))
        for one in stored
    ]


def checked(questions: Sequence[Question]) -> list[Question]:
    """The questions, tidied. Raises InvalidInput with what is wrong with which."""
    if len(questions) > MOST_QUESTIONS:
        raise InvalidInput(f"A survey has {MOST_QUESTIONS} questions at most.")
    return [_checked(one, place) for place, one in enumerate(questions, 1)]


def _checked(one: Question, place: int) -> Question:
    text = " ".join(one.text.split())
    choices = tuple(dict.fromkeys(filter(None, (" ".join(c.split()) for c in one.choices))))
    if not 1 <= len(text) <= LONGEST_WORDS:
        raise InvalidInput(f"Question {place}: write it in up to {LONGEST_WORDS} letters.")
    if one.kind not in {QuestionKind.ONE, QuestionKind.SEVERAL}:
        return Question(one.id, one.kind, text)
    if not 2 <= len(choices) <= MOST_CHOICES or max(map(len, choices)) > LONGEST_WORDS:
        raise InvalidInput(f"Question {place}: write 2 to {MOST_CHOICES} choices, one on a line.")
    return Question(one.id, one.kind, text, choices)


def read_answers(
    questions: Sequence[Question], given: Mapping[str, Sequence[str]]
) -> dict[str, Any]:
    """What somebody answered, by the question's number; what was left out is left out.

    Raises InvalidInput for a choice that there is not, and for a text that is too long.
    """
    found: dict[str, Any] = {}
    for one in questions:
        values = [value for value in given.get(str(one.id), ()) if value.strip()]
        if not values:
            continue
        if one.kind is QuestionKind.TEXT:
            found[str(one.id)] = _text(values[0])
        elif any(value not in one.options for value in values):
            raise InvalidInput(f"“{one.text}” has no such answer.")
        elif one.kind is QuestionKind.SEVERAL:
            found[str(one.id)] = [option for option in one.options if option in values]
        else:
            found[str(one.id)] = int(values[0]) if one.kind in SCALES else values[0]
    return found


def _text(value: str) -> str:
    text = value.replace("\r\n", "\n").strip()
    if len(text) > LONGEST_ANSWER:
        raise InvalidInput(f"An answer has {LONGEST_ANSWER} letters at most.")
    return "".join(letter for letter in text if letter == "\n" or letter.isprintable())


@dataclass(frozen=True, slots=True)
class Result:
    """How a question was answered: how often each choice, the average of a scale, the texts."""

    question: Question
    answered: int
    counts: Mapping[str, int] = field(default_factory=dict)
    average: float | None = None
    texts: tuple[str, ...] = ()


def results(questions: Sequence[Question], answers: Sequence[Mapping[str, Any]]) -> list[Result]:
    """What answers come to, question by question. Texts come in the order of the alphabet, which says nothing of who."""
    return [
        _result(one, [a[str(one.id)] for a in answers if str(one.id) in a]) for one in questions
    ]


def _result(one: Question, given: list[Any]) -> Result:
    if one.kind is QuestionKind.TEXT:
        return Result(one, len(given), texts=tuple(sorted(given, key=str.casefold)))
    chosen = [str(v) for value in given for v in (value if isinstance(value, list) else [value])]
    found = Counter(chosen)
    average = sum(given) / len(given) if one.kind in SCALES and given else None
    return Result(one, len(given), {option: found[option] for option in one.options}, average)
