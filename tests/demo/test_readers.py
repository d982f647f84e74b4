from email.message import EmailMessage

from prefcentre.demo.readers import steps

BASE = "http://127.0.0.1:8000"


def mail(to: str = "Olle Dahl <olle@example.org>") -> bytes:
    message = EmailMessage()
    message["To"] = to
    message["List-Unsubscribe"] = f"<{BASE}/u/leave>"
    message.set_content("Hello")
    message.add_alternative(
        f'<a href="{BASE}/c/token==/3">On</a><a href="{BASE}/p/choose">Choose</a>'
        f'<img src="{BASE}/o/token==" alt="">',
        subtype="html",
    )
    return message.as_bytes()


def what_they_do(data: bytes) -> dict[str, int]:
    found: dict[str, int] = {}
    for number in range(1000):
        for step in steps(number, data):
            path = step.url.removeprefix(BASE)
            found[path] = found.get(path, 0) + 1
    return found


def test_some_look_some_click_and_a_few_leave() -> None:
    found = what_they_do(mail())
    assert set(found) == {"/o/token==", "/c/token==/3", "/u/leave"}
    assert found["/o/token=="] > found["/c/token==/3"] > found["/u/leave"] > 0


def test_a_reader_does_the_same_every_time() -> None:
    assert [steps(n, mail()) for n in range(50)] == [steps(n, mail()) for n in range(50)]


def test_ada_is_left_to_the_person_at_the_screen() -> None:
    assert what_they_do(mail("Ada Lovelace <ada@example.org>")) == {}
    assert what_they_do(mail("ada@example.org")) == {}


def test_who_leaves_does_so_by_the_button_of_their_mailbox() -> None:
    leaving = [step for n in range(1000) for step in steps(n, mail()) if "/u/" in step.url]
    assert {step.body for step in leaving} == {b"List-Unsubscribe=One-Click"}


def test_a_mail_that_tracks_nobody_is_read_unseen() -> None:
    plain = EmailMessage()
    plain["To"] = "olle@example.org"
    plain.set_content("Hello")
    assert what_they_do(plain.as_bytes()) == {}
