"""A web process that is killed: what it had answered is there. And one whose disk stands still: people can still leave."""

import http.client
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from prefcentre.context import Context
from prefcentre.errors import Unavailable
from prefcentre.tracking import queries, recording, service
from prefcentre.tracking.service import Hit
from tests.installation import Installation, eventually
from tests.web.conftest import CAMPAIGN, LINK, Mailed

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"
_CLIENTS, _ENOUGH = 8, 200


@pytest.fixture
def site(context: Context) -> Iterator[Installation]:
    found = Installation(context.settings.home, "smtp://127.0.0.1:9")
    yield found
    found.close()


def read_on(port: int, ada: Mailed, answered: Counter[str]) -> None:
    """Open the mail and follow its link, over and over, until the server is gone."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        while True:
            for path, expected in ((ada.pixel, 200), (ada.click, 302)):
                connection.request("GET", path, headers={"User-Agent": FIREFOX})
                answer = connection.getresponse()
                answer.read()
                assert answer.status == expected
                assert expected == 200 or answer.headers["Location"] == LINK
                answered[path[:2]] += 1
    except (OSError, http.client.HTTPException):
        return
    finally:
        connection.close()


def test_every_hit_that_was_answered_survives_kill_9(
    context: Context, ada: Mailed, site: Installation
) -> None:
    web = site.serve("web")
    answered: list[Counter[str]] = [Counter() for _ in range(_CLIENTS)]
    with ThreadPoolExecutor(_CLIENTS) as pool:
        clients = [pool.submit(read_on, site.port, ada, one) for one in answered]
        eventually(lambda: sum(one.total() for one in answered) > _ENOUGH)
        site.kill(web)
        for client in clients:
            client.result()
    with context.db.tracking_reading() as session:
        kept = Counter(f"/{hit.kind.value[0]}" for hit in service.hits_on(session, [(CAMPAIGN, 1)]))
    for what in ("/o", "/c"):
        told = sum(one[what] for one in answered)
        # What was written down and not answered any more is one a connection at most.
        assert told <= kept[what] <= told + _CLIENTS


def test_hits_that_wait_for_a_disk_leave_room_for_those_who_leave(
    context: Context, ada: Mailed, monkeypatch: pytest.MonkeyPatch
) -> None:
    goes_on = threading.Event()
    append = queries.append

    def stands_still(*given: object) -> None:
        goes_on.wait(20)
        append(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(queries, "append", stands_still)
    monkeypatch.setattr(recording, "_PATIENCE_SECONDS", 0.0)
    recorder, number = service.Recorder(context), ada.person.id or 0
    hit = Hit(CAMPAIGN, 1, agent=FIREFOX)
    most = recording._MOST_WAITING
    with ThreadPoolExecutor(most + 1) as pool:
        waiting = [pool.submit(recorder.record, hit, number) for _ in range(most + 1)]
        eventually(lambda: len(recorder._waiting) == most)
        # All threads but these are free: whoever comes now is told at once.
        with pytest.raises(Unavailable, match="quickly"):
            recorder.record(hit, number)
        goes_on.set()
        for one in waiting:
            one.result()
    with context.db.tracking_reading() as session:
        assert len(service.hits_on(session, [(CAMPAIGN, 1)])) == most + 1
