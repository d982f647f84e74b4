from prefcentre.reasons import BY_RANK, SUPPRESSING, Reason, strongest


def test_reasons_stand_in_one_order_from_the_strongest_to_the_weakest() -> None:
    assert " ".join(BY_RANK) == (
        "legal erased objection complaint trap hard_bounce stop_all register domain deceased manual "
        "topic soft_bounce role restricted no_consent paused frequency address_changed template "
        "bad_address"
    )
    assert [reason.rank for reason in BY_RANK] == list(range(len(Reason)))


def test_of_several_reasons_the_strongest_is_told() -> None:
    assert strongest([Reason.PAUSED, Reason.STOP_ALL, Reason.NO_CONSENT]) is Reason.STOP_ALL
    assert strongest([]) is None


def test_what_is_about_the_address_suppresses_and_what_is_about_this_mail_skips() -> None:
    assert {Reason.LEGAL, Reason.TOPIC, Reason.ROLE} <= SUPPRESSING
    assert not {Reason.RESTRICTED, Reason.NO_CONSENT, Reason.TEMPLATE} & SUPPRESSING
