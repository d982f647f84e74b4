"""Real agents one by one, and hits beside each other, as two tables say they are."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from prefcentre.tracking import rules, sequence
from prefcentre.tracking.models import HitClass, TrackingKind
from prefcentre.tracking.sequence import Seen

HERE = Path(__file__).parent
BEGAN = datetime(2026, 11, 2, 10, tzinfo=UTC)
WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"
AGENTS = {
    "chrome": f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {WEBKIT} Chrome/142.0.0.0 Safari/537.36",
    "edge": f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {WEBKIT} Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0",
    "firefox": "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
    "iphone": "Mozilla/5.0 (iPhone; CPU iPhone OS 26_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/26.1 Mobile/15E148 Safari/604.1",
    "android": f"Mozilla/5.0 (Linux; Android 10; K) {WEBKIT} Chrome/142.0.0.0 Mobile Safari/537.36",
    "apple": "Mozilla/5.0",
    "gmail": f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {WEBKIT} Chrome/42.0.2311.135 Safari/537.36 Edge/12.246 Mozilla/5.0",
    "gproxy": "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
    "yahoo": "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html",
    "outlook": "Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 10.0; WOW64; Trident/7.0; Microsoft Outlook 16.0.4266; ms-office; MSOffice 16)",
    "outlookios": "Outlook-iOS/723.4027091.prod.iphone (4.28.0)",
    "thunderbird": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Thunderbird/128.5.0",
    "safelinks": f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {WEBKIT} Microsoft Office Existence Discovery",
    "office": "Microsoft Office Existence Discovery",
    "barracuda": "Barracuda Sentinel (EE)",
    "proofpoint": "Mozilla/5.0 (compatible; Proofpoint/2.0)",
    "slack": "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
    "curl": "curl/8.5.0",
    "strange": "Something never seen",
    "none": "",
}


def agents() -> list[list[str]]:
    lines = (HERE / "agents.tsv").read_text(encoding="utf-8").splitlines()
    return [line.split("\t") for line in lines if line and not line.startswith("#")]


def test_hundreds_of_real_agents_are_what_they_are() -> None:
    wrong = []
    for _, kind, hit_class, agent in agents():
        found = rules.classify({}, agent, TrackingKind(kind))
        if found.hit_class is not HitClass(hit_class):
            wrong.append((agent, kind, found))
    assert not wrong
    assert len(agents()) > 400


def test_an_agent_says_the_same_when_what_tells_devices_apart_is_cut_off() -> None:
    for _, kind, _, agent in agents():
        whole = rules.classify({}, agent, TrackingKind(kind))
        assert rules.classify({}, rules.reduced_agent(agent), TrackingKind(kind)) == whole, agent


# --- beside each other ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Block:
    """A message and the hits on it, with what each should be taken for."""

    name: str
    links: int
    hits: list[tuple[Seen, tuple[str, str]]]


def blocks() -> Iterator[Block]:
    lines = (HERE / "sequences.txt").read_text(encoding="utf-8").splitlines()
    block: Block | None = None
    for line in lines:
        if line.startswith("  ") and block is not None:
            block.hits.append(hit(len(block.hits) + 1, line.split()))
        elif line and not line.startswith("#"):
            if block is not None:
                yield block
            name, _, links = line.rpartition(" : ")
            block = Block(name, int(links), [])
    if block is not None:
        yield block


def hit(number: int, words: list[str]) -> tuple[Seen, tuple[str, str]]:
    seconds, what, *rest = words
    link = int(rest.pop(0)) if rest[0].isdecimal() else None
    name, network, hit_class, reason = rest
    agent, _, ahead = name.partition("+")
    kind = TrackingKind(what)
    own = rules.told_by(rules.sign_of(kind, ahead or None, AGENTS[agent]))
    after = timedelta(seconds=float(seconds))
    source = (network, AGENTS[agent] or None)
    seen = Seen(number, kind, link, BEGAN + after, own, source, after // timedelta(milliseconds=1))
    return seen, (hit_class, reason)


@pytest.mark.parametrize("block", list(blocks()), ids=lambda block: block.name)
def test_hits_beside_each_other_are_what_they_are(block: Block) -> None:
    found = sequence.judge([seen for seen, _ in block.hits], block.links)
    told = [(found[seen.id].hit_class.value, found[seen.id].reason) for seen, _ in block.hits]
    assert told == [expected for _, expected in block.hits]


def test_the_table_has_every_reason_that_a_sequence_can_give() -> None:
    reasons = {expected[1] for block in blocks() for _, expected in block.hits}
    assert reasons >= {"sweep", "pair", "head-first", "too-soon", "head"}
    assert len(list(blocks())) > 50


def test_what_was_told_from_where_it_came_stays_when_that_is_forgotten() -> None:
    for block in blocks():
        hits = [seen for seen, _ in block.hits]
        before = sequence.judge(hits, block.links)
        forgotten = [
            Seen(h.id, h.kind, h.link, h.at, h.own, None, h.after_ms, before[h.id]) for h in hits
        ]
        assert sequence.judge(forgotten, block.links) == before, block.name


def test_nobody_waits_for_a_message_that_is_hit_without_end() -> None:
    hits = [
        Seen(
            n,
            TrackingKind.CLICK,
            n % 7,
            BEGAN + timedelta(milliseconds=n),
            rules.told_by("browser"),
        )
        for n in range(sequence.MOST)
    ]
    assert set(sequence.judge(hits, 7).values()) == {rules.Verdict(HitClass.SCANNER, "sweep")}
