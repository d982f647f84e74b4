"""Each benchmark once with tiny sizes, as a process of its own: whether it runs and checks, not what it measures."""

import json
import subprocess
import sys
from typing import Any

import pytest


def measured(what: str, *options: object) -> Any:
    """What a benchmark found; it checks by itself that nothing was lost or sent twice."""
    command = [sys.executable, "-m", "benchmarks", what, *map(str, options)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)[what]


def test_sending_is_measured_beside_smtp_source() -> None:
    found = measured("send", "--messages", 60, "--connections", 4, "--rounds", 1, "--alone")
    assert found["plan"]["messages"] == found["programs"]["prefcentre"]["messages"] == 60
    ratio = found["ratios"]["prefcentre"]["smtp-source"]
    assert ratio["lowest"] <= ratio["median"] <= ratio["highest"]
    assert found["programs"]["prefcentre"]["peak_mib"] > 20
    assert 16_000 < found["octets"]["prefcentre"] < 18_000


@pytest.mark.full
def test_people_leave_while_a_campaign_goes_out() -> None:
    found = measured("opt-outs", "--people", 400, "--rate", 100)
    assert found["opt_outs"] > 2
    assert found["messages_after_the_answer"] == 0
    assert found["books_agree"]


@pytest.mark.full
def test_a_part_of_a_larger_campaign_is_measured() -> None:
    found = measured("growth", "--sizes", "40,120", "--rounds", 1)
    assert set(found["against_smallest"]) == {"120"}
    assert found["sizes"]["40"]["messages"] == 40
    # It goes on a little while it is told to stop.
    assert 40 <= found["sizes"]["120"]["messages"] <= 120


@pytest.mark.full
def test_some_misbehave_and_all_others_get_their_mail_once() -> None:
    found = measured("faults", "--people", 500, "--rounds", 1)
    assert found["healthy"] == 475
    assert found["healthy_rate_kept"]["median"] > 0


@pytest.mark.full
def test_an_audience_is_prepared_and_its_books_agree() -> None:
    found = measured("audience", "--people", 3000, "--suppressions", 2000)
    for slug in ("first", "second", "disturbed"):
        assert 2000 < found[slug]["audience"] < 3000
    assert found["disturbed"]["others_wait_ms"]["most"] >= 0
