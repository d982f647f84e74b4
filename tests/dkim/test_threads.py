import asyncio
import threading
import time
from collections.abc import Callable

from prefcentre.dkim.service import MessageSigner, SigningThreads
from tests.dkim.conftest import MESSAGE, Verify


async def test_messages_come_back_signed_on_the_loops_own_thread(
    signer: MessageSigner, verify: Verify
) -> None:
    loop, home = asyncio.get_running_loop(), threading.get_ident()
    threads = SigningThreads(loop.call_soon_threadsafe)
    found: dict[int, bytes] = {}
    all_there = asyncio.Event()

    def then(number: int) -> Callable[[bytes], None]:
        def take(signed: bytes) -> None:
            assert threading.get_ident() == home
            found[number] = signed
            if len(found) == 50:
                all_there.set()

        return take

    messages = [MESSAGE.replace(b"Ada.", f"Ada {number}.".encode()) for number in range(50)]
    for number, message in enumerate(messages):
        threads.submit(signer.prepare(message).signed, then(number))
    await all_there.wait()
    threads.close()
    assert all(found[number].endswith(message) for number, message in enumerate(messages))
    assert all(verify(signed) == [True, True] for signed in found.values())


async def test_a_result_that_comes_after_the_end_is_forgotten() -> None:
    threads = SigningThreads(asyncio.get_running_loop().call_soon_threadsafe, threads=1)
    begun = threading.Event()
    done: list[bytes] = []
    worked: list[int] = []

    def work() -> bytes:
        worked.append(1)
        begun.set()
        while not threads._is_closed:
            time.sleep(0.001)
        return b"late"

    threads.submit(work, done.append)
    threads.submit(work, done.append)
    await asyncio.to_thread(begun.wait)
    threads.close()
    await asyncio.sleep(0)
    assert (done, worked) == ([], [1])


async def test_no_thread_is_left_at_the_end() -> None:
    threads = SigningThreads(asyncio.get_running_loop().call_soon_threadsafe, threads=3)
    assert signing_threads() == 3
    threads.close()
    assert signing_threads() == 0


def signing_threads() -> int:
    return sum(1 for thread in threading.enumerate() if thread.name.startswith("dkim-"))
