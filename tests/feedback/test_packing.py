"""What is kept of a mail can be read again, and a damaged row harms nobody."""

from prefcentre.feedback import packing


def test_a_mail_is_kept_as_it_came_up_to_a_length() -> None:
    raw = bytes(range(256)) * 10
    assert packing.unpack(packing.pack(raw)) == raw
    assert len(packing.unpack(packing.pack(b"x" * (packing.LARGEST + 9)))) == packing.LARGEST


def test_what_is_damaged_is_empty() -> None:
    assert packing.unpack(b"nothing of ours") == b""
