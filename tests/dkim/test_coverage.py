"""What the signatures of a mail hold fast, read from the mail."""

from prefcentre.dkim.coverage import is_proven, signatures

MAIL = (
    b"DKIM-Signature: v=1; a=rsa-sha256; d=Example.com; s=one;\r\n\th=from : subject:\r\n\t List-Unsubscribe:list-unsubscribe-post;\r\n"
    b"\tbh=abc; b=def\r\nFrom: News <news@mail.example.com>\r\nSubject: Hi\r\n\r\nHi\r\n"
)


def test_a_folded_signature_in_any_case_is_read() -> None:
    [found] = signatures(MAIL)
    assert (found.domain, found.selector, found.algorithm) == ("example.com", "one", "rsa-sha256")
    assert found.missing == ()
    assert is_proven([found])


def test_a_stranger_proves_nothing() -> None:
    [found] = signatures(MAIL.replace(b"d=Example.com", b"d=relay.example.net"))
    assert not found.is_aligned
    assert not is_proven([found])


def test_half_of_it_by_two_signatures_is_not_enough() -> None:
    """RFC 8058 §4 asks for both fields in one."""
    one = MAIL.replace(b":list-unsubscribe-post", b"")
    other = MAIL.replace(b"List-Unsubscribe:", b"").partition(b"From:")[0]
    found = signatures(other + one)
    assert [one.missing for one in found] == [("list-unsubscribe",), ("list-unsubscribe-post",)]
    assert not is_proven(found)


def test_what_is_no_mail_has_no_signatures() -> None:
    assert signatures(b"") == []
    assert signatures(b"DKIM-Signature: nonsense\r\n\r\n") == []
