"""A mail server with one mailbox, by IMAP and POP3, which hangs up when it is told to."""

import re
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast


@dataclass
class Store:
    """What the server keeps. ``cut_at`` is the command, counted over all connections, at which it hangs up once."""

    inbox: dict[int, bytes] = field(default_factory=dict)
    folders: dict[str, list[bytes]] = field(default_factory=dict)
    validity: int = 1
    can_move: bool = True
    can_create: bool = True
    password: str = "s3cret word"
    cut_at: int = 0
    commands: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, *mails: bytes) -> None:
        """Mails arrive."""
        for mail in mails:
            self.inbox[max(self.inbox, default=0) + 1] = mail

    def all(self) -> list[bytes]:
        """Everything that is anywhere."""
        return [*self.inbox.values(), *(one for mails in self.folders.values() for one in mails)]

    def hangs_up(self, command: str) -> bool:
        """Note a command; whether the connection ends before it is answered."""
        with self.lock:
            self.commands.append(command)
            return len(self.commands) == self.cut_at


class _Handler(socketserver.StreamRequestHandler):
    timeout = 20

    @property
    def store(self) -> Store:
        return cast("Any", self.server).store  # type: ignore[no-any-return]

    def say(self, text: str) -> None:
        self.wfile.write(text.encode() + b"\r\n")

    def lines(self) -> Iterator[str]:
        while line := self.rfile.readline():
            text = line.decode().rstrip("\r\n")
            if self.store.hangs_up(text):
                return
            yield text


class Pop3Handler(_Handler):
    """RFC 1939, as far as we speak it."""

    def handle(self) -> None:
        self.say("+OK ready")
        numbers = dict(enumerate(list(self.store.inbox), 1))
        deleted: list[int] = []
        for line in self.lines():
            verb, _, rest = line.partition(" ")
            if verb == "QUIT":
                for number in deleted:
                    del self.store.inbox[number]
                self.say("+OK")
                return
            self.answer(verb, rest, numbers, deleted)

    def answer(self, verb: str, rest: str, numbers: dict[int, int], deleted: list[int]) -> None:
        inbox = self.store.inbox
        if verb == "PASS" and rest != self.store.password:
            self.say("-ERR no")
        elif verb in {"USER", "PASS"}:
            self.say("+OK")
        elif verb in {"LIST", "UIDL"}:
            self.say("+OK")
            for number, uid in numbers.items():
                self.say(
                    f"{number} {len(inbox[uid]) if verb == 'LIST' else f'uid{self.store.validity}.{uid}'}"
                )
            self.say(".")
        elif verb == "RETR":
            self.say("+OK")
            for line in inbox[numbers[int(rest)]].split(b"\r\n"):
                self.wfile.write((b"." if line.startswith(b".") else b"") + line + b"\r\n")
            self.say(".")
        elif verb == "DELE":
            deleted.append(numbers[int(rest)])
            self.say("+OK")
        else:
            self.say("-ERR unknown")


class ImapHandler(_Handler):
    """RFC 3501, as far as we speak it."""

    def handle(self) -> None:
        self.deleted: set[int] = set()
        self.say("* OK ready")
        for line in self.lines():
            tag, verb, *rest = line.split(" ", 2)
            words = rest[0] if rest else ""
            if verb.upper() == "UID":
                verb, _, words = words.partition(" ")
                verb = f"UID {verb}"
            done = getattr(self, f"on_{verb.lower().replace(' ', '_')}", self.unknown)(words)
            self.say(f"{tag} {done or 'OK done'}")
            if verb.upper() == "LOGOUT":
                return

    def unknown(self, words: str) -> str:
        return f"BAD unknown {words[:20]}"

    def on_capability(self, _: str) -> None:
        self.say(f"* CAPABILITY IMAP4rev1{' MOVE' if self.store.can_move else ''}")

    def on_login(self, words: str) -> str | None:
        return None if f'"{self.store.password}"' in words else "NO wrong password"

    def on_select(self, _: str) -> str:
        self.say(f"* {len(self.store.inbox)} EXISTS")
        return "OK [READ-WRITE] done"

    def on_status(self, words: str) -> None:
        name = words.partition(" (")[0]
        self.say(
            f"* STATUS {name} (MESSAGES 1 RECENT 0 UIDNEXT 99 UIDVALIDITY {self.store.validity} UNSEEN 0)"
        )

    def on_list(self, words: str) -> None:
        for name in self.store.folders:
            if name in words:
                self.say(f'* LIST (\\HasNoChildren) "/" "{name}"')

    def on_create(self, words: str) -> str | None:
        if not self.store.can_create:
            return "NO no such name here"
        self.store.folders[words.strip('"')] = []
        return None

    def on_uid_search(self, _: str) -> None:
        self.say(f"* SEARCH {' '.join(map(str, self.store.inbox))}")

    def on_uid_fetch(self, words: str) -> None:
        numbers, _, wanted = words.partition(" ")
        for number in map(int, numbers.split(",")):
            mail = self.store.inbox.get(number)
            if mail is None:
                continue
            if "SIZE" in wanted:
                self.say(f"* {number} FETCH (UID {number} RFC822.SIZE {len(mail)})")
            else:
                self.wfile.write(
                    f"* {number} FETCH (UID {number} BODY[] {{{len(mail)}}}\r\n".encode()
                )
                self.wfile.write(mail + b")\r\n")

    def on_uid_move(self, words: str) -> None:
        number, _, name = words.partition(" ")
        self.store.folders[name.strip('"')].append(self.store.inbox.pop(int(number)))

    def on_uid_copy(self, words: str) -> None:
        number, _, name = words.partition(" ")
        self.store.folders[name.strip('"')].append(self.store.inbox[int(number)])

    def on_uid_store(self, words: str) -> None:
        found = re.match(r"\d+", words)
        self.deleted.add(int(found[0]) if found else 0)

    def on_expunge(self, _: str) -> None:
        for number in self.deleted & self.store.inbox.keys():
            del self.store.inbox[number]

    def on_close(self, words: str) -> None:
        self.on_expunge(words)

    def on_logout(self, _: str) -> None:
        self.say("* BYE")


@contextmanager
def serving(handler: type[_Handler], store: Store) -> Iterator[int]:
    """A server on a free port of this machine, which it gives."""
    server: Any = socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler)
    server.store, server.daemon_threads = store, True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
