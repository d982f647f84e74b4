"""Campaigns of the past: judged and let through by the real gate on a clock that is set back, and read by made-up readers.

So that reports have something to compare on the first day. No mail leaves for them.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from prefcentre.campaigns import service as campaigns
from prefcentre.context import Context
from prefcentre.delivery import service as delivery
from prefcentre.delivery.service import DeliveryState, filling, ledger
from prefcentre.messages.service import Recipient
from prefcentre.preferences import service as preferences
from prefcentre.preferences.service import Method, Visit
from prefcentre.tokens import LinkToken, TokenKind
from prefcentre.tracking import service as tracking
from prefcentre.tracking.service import Hit

_AT_ONCE = 100
_STEP = timedelta(seconds=11)
_PUT_OFF = timedelta(minutes=15)
_BROWSERS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0 Safari/537.36",
    "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
)
_APPLE, _SCANNER = "Mozilla/5.0", "Mozilla/5.0 (compatible; Barracuda Sentinel)"
_REFUSALS = (
    (552, "5.2.2 Mailbox full"),
    (554, "5.7.1 Message rejected: it looks like spam to us"),
    (550, "5.7.26 This mail has no DMARC policy that we like"),
)


@dataclass(frozen=True, slots=True)
class Past:
    """One campaign of the past, and how its readers liked it."""

    slug: str
    days_ago: int
    opens: float
    clicks: float
    leaves: float


class SetBack:
    """A clock that stands still at a moment of the past until it is moved on."""

    def __init__(self, at: datetime) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at

    def move(self, by: timedelta) -> None:
        self.at += by


def send(context: Context, past: Past) -> None:
    """Send one campaign of the past to everybody whom the gate lets pass, and let its readers read."""
    began = context.clock.now().replace(hour=8, minute=0, second=0, microsecond=0)
    clock = SetBack(began - timedelta(days=past.days_ago))
    then, dice = replace(context, clock=clock), random.Random(past.slug)  # noqa: S311 - the same every time is what is wanted.
    campaign_id = _begin(then, past.slug)
    with then.db.writing() as session:
        worker = ledger.sign_in(session, then)
    got: list[tuple[int, Recipient]] = []
    for claimed in _groups(then, clock, worker, campaign_id):
        got += _hand_over(then, clock, dice, worker, claimed)
    with then.db.writing() as session:
        ledger.sign_out(session, then, worker)
        delivery.finish_if_done(session, then, campaign_id)
    _read(then, clock, dice, past, campaign_id, got)


def _begin(then: Context, slug: str) -> int:
    with then.db.reading() as session:
        checked = delivery.check(session, then, slug)
    with then.db.writing() as session:
        campaign_id = delivery.start(session, then, checked, None, None).id or 0
        campaigns.mark_preparing(session, then, campaign_id)
    more = True
    while more:
        with then.db.reading() as session:
            part = delivery.judge_part(session, then, campaign_id)
        with then.db.writing() as session:
            more = delivery.write_part(session, then, campaign_id, part)
    return campaign_id


def _groups(
    then: Context, clock: SetBack, worker: int, campaign_id: int
) -> Iterator[Sequence[ledger.Claimed]]:
    """Everybody who may pass, some at a time; after the last, those who were put off."""
    has_waited = False
    while True:
        with then.db.writing() as session:
            ids = ledger.claim(session, then, worker, campaign_id, _AT_ONCE)
        if not ids and has_waited:
            return
        if not ids:
            has_waited = True
            clock.move(_PUT_OFF + _STEP)
            continue
        with then.db.reading() as session:
            claimed, refused = ledger.look(session, then, campaign_id, ids)
        with then.db.writing() as session:
            passage = ledger.pass_gate(session, then, worker, claimed, refused)
        clock.move(_STEP)
        yield [
            one
            for one in claimed
            if passage.verdicts[one.campaign_id, one.id] is ledger.Verdict.OPEN
        ]


def _hand_over(
    then: Context,
    clock: SetBack,
    dice: random.Random,
    worker: int,
    claimed: Sequence[ledger.Claimed],
) -> list[tuple[int, Recipient]]:
    results = [_result(dice, one) for one in claimed]
    clock.move(_STEP)
    with then.db.writing() as session:
        ledger.record(session, then, worker, results)
    return [
        (one.id, filling.recipient_in(one.person))
        for one, result in zip(claimed, results, strict=True)
        if result.state is DeliveryState.ACCEPTED
    ]


def _result(dice: random.Random, one: ledger.Claimed) -> ledger.Result:
    """What the mail server of one recipient said."""
    state, code, text, wait = DeliveryState.ACCEPTED, 250, "2.0.0 Ok: queued", None
    fate = dice.random()
    if fate < 0.012:
        (code, text), state = dice.choice(_REFUSALS), DeliveryState.FAILED
    elif fate < 0.05 and not one.attempts:
        state, code, text = DeliveryState.DEFERRED, 451, "4.7.1 Greylisted, come again later"
        wait = _PUT_OFF
    elif fate < 0.052:
        return _told(one, DeliveryState.UNKNOWN, None, "the connection broke after the dot", None)
    return _told(one, state, code, text, wait)


def _told(
    one: ledger.Claimed, state: DeliveryState, code: int | None, text: str, wait: timedelta | None
) -> ledger.Result:
    return ledger.Result(
        one.campaign_id,
        one.id,
        one.key,
        DeliveryState.HANDING_OFF,
        state,
        code=code,
        text=text,
        wait=wait,
    )


def _read(
    then: Context,
    clock: SetBack,
    dice: random.Random,
    past: Past,
    campaign_id: int,
    got: Sequence[tuple[int, Recipient]],
) -> None:
    """Opens and clicks of those who agreed, in the order of time, with machines among them; and a few who leave."""
    with then.db.reading() as session:
        links = len(campaigns.links(session, campaign_id))
    began, acts = clock.at, []
    for delivery_id, reader in got:
        acts += _acts_of(dice, past, Hit(campaign_id, delivery_id), reader, links)
    with then.db.tracking() as session:
        for after, hit in sorted(acts, key=lambda act: act[0]):
            clock.at = began + after
            tracking.record_hit(session, then, hit)
    _leave(then, clock, campaign_id, [one for one in got if dice.random() < past.leaves])


def _acts_of(
    dice: random.Random, past: Past, hit: Hit, reader: Recipient, links: int
) -> list[tuple[timedelta, Hit]]:
    acts = []
    # Most read within the day; some find it days later.
    after = timedelta(hours=dice.expovariate(1 / 9))
    if reader.track_opens and dice.random() < 0.3:
        acts.append((timedelta(seconds=dice.randrange(5, 400)), replace(hit, agent=_APPLE)))
    if reader.track_opens and dice.random() < past.opens:
        acts.append((after, replace(hit, agent=dice.choice(_BROWSERS[:2]))))
    if reader.track_clicks and links and dice.random() < past.clicks:
        link = min(int(dice.expovariate(1.1)), links - 1)
        acts.append((after + timedelta(seconds=40), _click(hit, link, _BROWSERS[0])))
    if reader.track_clicks and links and dice.random() < 0.02:
        seconds = timedelta(seconds=dice.randrange(2, 30))
        acts += [(seconds, _click(hit, link, _SCANNER)) for link in range(links)]
    return acts


def _click(hit: Hit, link: int, agent: str) -> Hit:
    return replace(hit, link=link, agent=agent)


def _leave(
    then: Context, clock: SetBack, campaign_id: int, leavers: Sequence[tuple[int, Recipient]]
) -> None:
    with then.db.writing() as session:
        campaign = campaigns.by_id(session, campaign_id)
        topic_id = campaign.topic_id if campaign else 0
        for number, (_, reader) in enumerate(leavers):
            clock.move(timedelta(minutes=number))
            token = LinkToken(TokenKind.UNSUBSCRIBE, reader.public_id, topic_id, campaign_id)
            way = Method.ONE_CLICK if number % 2 else Method.UNSUBSCRIBE_PAGE
            preferences.unsubscribe(session, then, token, Visit(way))
