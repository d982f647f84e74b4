"""At which rates we warn and stop, and in which words."""

import pytest

from prefcentre.feedback.lines import Figures, Limits, Line, of_bounces, of_complaints, why_held

LIMITS = Limits()


@pytest.mark.parametrize(
    ("accepted", "complaints", "expected"),
    [
        (1_000, 0, Line.FINE),
        (10, 1, Line.FINE),
        (2_001, 2, Line.FINE),
        (2_000, 2, Line.WARNING),
        (1_001, 3, Line.WARNING),
        (1_000, 3, Line.STOP),
        (0, 2, Line.STOP),
    ],
)
def test_complaints_warn_at_a_thousandth_and_stop_at_three(
    accepted: int, complaints: int, expected: Line
) -> None:
    assert of_complaints(Figures(accepted=accepted, complaints=complaints), LIMITS) is expected


@pytest.mark.parametrize(
    ("tried", "bounces", "expected"),
    [
        (199, 199, Line.FINE),
        (200, 0, Line.FINE),
        (200, 3, Line.FINE),
        (200, 4, Line.WARNING),
        (200, 10, Line.WARNING),
        (200, 11, Line.STOP),
    ],
)
def test_dead_addresses_stop_above_five_in_a_hundred_after_two_hundred(
    tried: int, bounces: int, expected: Line
) -> None:
    assert of_bounces(Figures(tried=tried, bounces=bounces), LIMITS) is expected


def test_a_person_reads_why() -> None:
    assert why_held(Figures(accepted=1_190, complaints=5), LIMITS).startswith(
        "5 of 1,190 mails were reported as spam (0.42 %); at 0.30 % sending stops."
    )
    assert why_held(Figures(tried=1_000, bounces=80), LIMITS).startswith(
        "80 of 1,000 addresses do not exist (8.00 %); above 5.00 % sending stops."
    )
    assert why_held(Figures(accepted=1_000, tried=1_000), LIMITS) == ""
