"""Compiles a campaign and fills it in on trial, in a child process with little time and memory (T4).

This is a file of its own because it is also a program: neither the sandbox nor the markup tools have a limit of
time, and some of the tools crash instead of raising, so what a person wrote is first handled where it can be killed. The child knows no keys and no database; what it signs with is made up.
"""

import contextlib
import email
import email.policy
import json
import select
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from cryptography.fernet import Fernet

from prefcentre.campaigns.service import CampaignSource
from prefcentre.context import Context, open_context
from prefcentre.errors import ContentError, InvalidAddress
from prefcentre.messages import children, viewing
from prefcentre.messages.compose import Composer
from prefcentre.messages.values import Compiled, MissingValue, Recipient, Shown, Trial, Tried
from prefcentre.settings import Brand, Settings
from prefcentre.tokens import new_secret

CPU_SECONDS = 5
MEMORY_BYTES = 768 * 1024 * 1024
_AT = datetime(2026, 1, 1, tzinfo=UTC)
_FAILURES_SHOWN = 5


def compile_source(settings: Settings, source: CampaignSource) -> Compiled:
    """What ``compiling.compile_source`` makes of a campaign. Raises ContentError, also when it takes too much."""
    return Compiled.from_json(_ask(settings, source.slug, {"source": source.to_json()}))


def try_out(
    settings: Settings, compiled: Compiled, slug: str, topic_name: str, samples: Sequence[Recipient]
) -> Trial:
    """What comes of filling the campaign in for nobody and for these people.

    Raises ContentError when that takes more time or memory than a mail may.
    """
    order = {
        "compiled": compiled.to_json(),
        "slug": slug,
        "topic_name": topic_name,
        "samples": [_plain(sample) for sample in samples],
    }
    answer = _ask(settings, slug, order)
    return Trial(**answer | {"failures": tuple(answer["failures"])})


def show(
    settings: Settings, source: CampaignSource, topic_name: str, recipient: Recipient
) -> Shown:
    """The mail as this person would get it. Raises ContentError, and MissingValue when they lack a variable."""
    order = {
        "source": source.to_json(),
        "slug": source.slug,
        "topic_name": topic_name,
        "reader": _plain(recipient),
    }
    return Shown.from_json(_ask(settings, source.slug, order))


def try_people(
    settings: Settings, compiled: Compiled, slug: str, topic_name: str, people: Sequence[Recipient]
) -> Tried:
    """What comes of filling the campaign in for each of these people. Raises ContentError when it takes too much."""
    order = {
        "compiled": compiled.to_json(),
        "slug": slug,
        "topic_name": topic_name,
        "people": [_plain(person) for person in people],
    }
    return Tried(**_ask(settings, slug, order))


def _plain(person: Recipient) -> dict[str, Any]:
    return asdict(person) | {"attributes": dict(person.attributes)}


def _ask(settings: Settings, slug: str, order: dict[str, Any]) -> dict[str, Any]:
    order |= {"brand": settings.brand.model_dump(mode="json"), "public_url": settings.public_url}
    try:
        done = children.ask(__name__, json.dumps(order))
    except subprocess.TimeoutExpired as error:
        raise _too_much(slug) from error
    if done.returncode < 0 or "MemoryError" in done.stderr:
        raise _too_much(slug)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise ContentError(f"It can't be made into a mail: {reason}", file=f"campaigns/{slug}")
    return understood(json.loads(done.stdout))


def understood(answer: dict[str, Any]) -> dict[str, Any]:
    """What a child answered, or the error that it met. Raises ContentError and MissingValue."""
    if "lacking" in answer:
        raise MissingValue(answer["lacking"])
    if "refused" in answer:
        raise ContentError(**answer["refused"])
    return answer


def _too_much(slug: str) -> ContentError:
    return ContentError(
        f"Making this into a mail took more than {CPU_SECONDS} seconds or {MEMORY_BYTES // 2**20} MB and was stopped. "
        "Look for loops inside loops and texts that grow.",
        file=f"campaigns/{slug}",
    )


def _limit_ourselves() -> None:
    # Windows has no such limits; there the parent's patience is the only one.
    with contextlib.suppress(ImportError):
        import resource  # noqa: PLC0415 - absent on Windows.

        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _answer(order: Mapping[str, Any]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as home:
        settings = Settings(
            home=home,
            secret_keys=(new_secret(),),
            lookup_keys=(new_secret(),),
            chain_keys=(new_secret(),),
            tracking_keys=(Fernet.generate_key().decode(),),
            public_url=order["public_url"],
            brand=Brand(**order["brand"]),
        )
        try:
            if "source" in order and "reader" not in order:
                return _compiled(settings, order).to_json()
            with open_context(settings) as context:
                if "reader" in order:
                    return asdict(_shown(context, order))
                if "people" in order:
                    return asdict(_tried_people(context, order))
                return asdict(_tried(context, order))
        except MissingValue as error:
            return {"lacking": error.variable or "?"}
        except (ContentError, InvalidAddress) as error:
            return {"refused": _parts(error)}


def _compiled(settings: Settings, order: Mapping[str, Any]) -> Compiled:
    # Only the child needs the markup tools, and with them every sender would be a fifth larger.
    from prefcentre.messages import compiling  # noqa: PLC0415

    return compiling.compile_source(CampaignSource.from_json(order["source"]), settings)


def _shown(context: Context, order: Mapping[str, Any]) -> Shown:
    from prefcentre.messages import looking  # noqa: PLC0415 - it needs the markup tools, too.

    composer = _composer(context, _compiled(context.settings, order), order)
    data = composer.compose(Recipient(**order["reader"]), 1, _AT).data
    # The dots were doubled for the wire.
    raw = data.replace(b"\r\n..", b"\r\n.")
    mail = email.message_from_bytes(raw, policy=email.policy.default)
    text, markup = (
        part.get_content() if (part := mail.get_body((kind,))) is not None else ""
        for kind in ("plain", "html")
    )
    return Shown(str(mail["subject"]), markup, text, raw.decode(), looking.look(markup))


def _composer(context: Context, compiled: Compiled, order: Mapping[str, Any]) -> Composer:
    return Composer(context, compiled, 1, order["slug"], 1, "topic", order["topic_name"])


def _tried_people(context: Context, order: Mapping[str, Any]) -> Tried:
    composer = _composer(context, Compiled.from_json(order["compiled"]), order)
    missing: dict[str, list[int]] = {}
    failures: dict[str, list[int]] = {}
    for number, values in enumerate(order["people"], 1):
        person = Recipient(**values)
        try:
            composer.compose(person, number, _AT)
        except MissingValue as error:
            missing.setdefault(error.variable or "?", []).append(person.subscriber_id)
        except (ContentError, InvalidAddress) as error:
            failures.setdefault(str(error), []).append(person.subscriber_id)
    return Tried(missing, failures)


def _parts(error: ContentError | InvalidAddress) -> dict[str, Any]:
    if isinstance(error, InvalidAddress):
        return {"message": str(error)}
    # The place stands in front of the words and is put there again when the error is raised anew.
    bare = str(ContentError("", file=error.file, line=error.line))
    return {
        "message": str(error).removeprefix(bare),
        "file": error.file,
        "line": error.line,
        "variable": error.variable,
        "field": error.field,
    }


def _tried(context: Context, order: Mapping[str, Any]) -> Trial:
    compiled, slug, topic = (
        Compiled.from_json(order["compiled"]),
        order["slug"],
        order["topic_name"],
    )
    brand, pages = context.settings.brand, context.links
    try:
        html = viewing.page(compiled, brand, pages, slug, topic, {})
        trial = Trial(
            html=html,
            text=viewing.text(compiled, brand, pages, slug, topic),
            tracked_html=viewing.page(compiled, brand, pages, slug, topic, {}, tracked=True),
            tracked_text=viewing.text(compiled, brand, pages, slug, topic, tracked=True),
            html_octets=len(html.encode()),
        )
    except ContentError as error:
        return Trial(failures=(str(error),))
    composer = Composer(context, compiled, 1, slug, 1, "topic", topic)
    return _with_samples(trial, composer, [Recipient(**sample) for sample in order["samples"]])


def _with_samples(trial: Trial, composer: Composer, samples: Sequence[Recipient]) -> Trial:
    missing: Counter[str] = Counter()
    failures: dict[str, None] = {}
    largest = trial.html_octets
    for number, sample in enumerate(samples, 1):
        try:
            largest = max(largest, _html_octets(composer.compose(sample, number, _AT).data))
        except MissingValue as error:
            missing[error.variable or "?"] += 1
        except (ContentError, InvalidAddress) as error:
            failures[str(error)] = None
    return Trial(
        trial.html,
        trial.text,
        trial.tracked_html,
        trial.tracked_text,
        largest,
        len(samples),
        dict(missing),
        tuple(failures)[:_FAILURES_SHOWN],
    )


def _html_octets(data: bytes) -> int:
    # The HTML part is the last one; quoted-printable adds little that matters for the limit.
    return len(data) - data.rfind(b"text/html")


def _wait(seconds: int) -> None:
    """Load what takes long before the order comes, and give up when none does."""
    from prefcentre.messages import compiling, looking  # noqa: F401, PLC0415 - loaded, not used.

    # On Windows a pipe can't be waited for like this; there it waits as long as its parent lives.
    if sys.platform != "win32" and not select.select([sys.stdin], [], [], seconds)[0]:
        sys.exit("No order came.")


if __name__ == "__main__":
    _limit_ourselves()
    if len(sys.argv) > 1:
        _wait(int(sys.argv[1]))
    sys.stdout.write(json.dumps(_answer(json.load(sys.stdin))))
