import pytest

from prefcentre.testing.makers import Cast
from tests.conftest import Cli


@pytest.mark.parametrize("command", ["run", "web", "worker"])
def test_nothing_starts_while_a_lookup_key_is_lost(
    command: str, cli: Cli, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFCENTRE_LOOKUP_KEYS", "quite another lookup key")
    found = cli(command)
    assert found.code == 1
    assert "PREFCENTRE_LOOKUP_KEYS" in found.stderr
    assert "Traceback" not in found.stderr
