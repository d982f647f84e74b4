from pathlib import Path

import pytest

from benchmarks import summary
from benchmarks.summary import Figure

AT_LEAST = Figure("rate", 0.55, lambda found: float(found["rate"]), unit=" ×")
AT_MOST = Figure("memory", 150, lambda found: float(found["memory"]), at_least=False, unit=" MiB")


@pytest.mark.parametrize(
    ("figure", "value", "met"),
    [
        (AT_LEAST, 0.55, True),
        (AT_LEAST, 0.54, False),
        (AT_MOST, 150, True),
        (AT_MOST, 151, False),
    ],
)
def test_a_figure_is_met_from_its_bound_on(figure: Figure, value: float, *, met: bool) -> None:
    assert figure.is_met(value) is met


def test_figures_are_told_in_words() -> None:
    assert (AT_LEAST.aim, AT_MOST.aim) == ("≥ 0.55 ×", "≤ 150 MiB")


def test_what_was_not_measured_is_not_met() -> None:
    verdicts = summary.judge({})
    assert len(verdicts) == len(summary.FIGURES)
    assert not any(found["met"] for found in verdicts)
    assert {found["measured"] for found in verdicts} == {None}


def test_a_found_value_is_judged() -> None:
    verdicts = summary.judge({"import": {"first": {"rows_per_second": 16_000, "peak_mib": 250}}})
    found = {one["what"]: one for one in verdicts}
    assert found["import, rows a second"]["met"]
    assert not found["import, memory"]["met"]
    assert found["import, memory"]["measured"] == 250


def test_every_step_is_explained() -> None:
    words = (Path(summary.__file__).parent / "README.md").read_text()
    for step in summary.STEPS.values():
        assert f"`{step[0]}`" in words
