import quopri
import re

from hypothesis import example, given
from hypothesis import strategies as st

from prefcentre.messages import quoted

TEXT = st.text(st.characters(exclude_characters="\r", exclude_categories=["Cs"]), max_size=400)


def decoded(pieces: str) -> str:
    return quopri.decodestring(pieces.encode()).decode().replace("\r\n", "\n")


@given(st.lists(TEXT, max_size=6))
@example(["a" * 75, "b"])
@example(["a" * 76, ".", "."])
@example(["x ", "\n", " y\t", ""])
@example(["=" * 40, "é" * 40])
def test_joined_pieces_decode_to_the_joined_texts(texts: list[str]) -> None:
    joined = "".join(quoted.encode(text) for text in texts)
    assert decoded(joined) == "".join(texts)


@given(TEXT)
@example("." * 80)
@example("." + "é" * 80)
@example("word " * 60)
def test_every_line_is_short_plain_and_never_begins_with_a_dot(text: str) -> None:
    piece = quoted.encode(text)
    assert piece.isascii()
    assert not re.search(r"\r(?!\n)|(?<!\r)\n|\0", piece)
    for line in piece.split("\r\n"):
        assert len(line) <= 76
        assert not line.startswith(".")
        assert not line.endswith((" ", "\t"))


@given(st.lists(st.one_of(TEXT, st.text("ab .=\t\n", max_size=200)), max_size=4))
@example(["a" * 73 + "    b"])
@example([" ", " "])
@example(["   \n  \t \n"])
def test_joined_pieces_are_as_dkim_hashes_them(texts: list[str]) -> None:
    joined = "".join(quoted.encode(text) for text in texts)
    assert "  " not in joined
    assert "\t" not in joined
    assert " \r\n" not in joined
    assert decoded(joined) == "".join(texts)


@given(TEXT)
def test_a_piece_ends_where_a_line_begins(text: str) -> None:
    assert quoted.encode(text) == "" or quoted.encode(text).endswith("\r\n")
