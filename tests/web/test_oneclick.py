"""Reading forms from raw bodies."""

from hypothesis import given
from hypothesis import strategies as st

from prefcentre.web.public import oneclick


@given(st.binary(max_size=300))
def test_any_bytes_are_read_without_an_error(body: bytes) -> None:
    assert isinstance(oneclick.fields(body), dict)


@given(st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), min_size=1, max_size=30))
def test_a_multipart_field_comes_back(value: str) -> None:
    body = f'--b\r\nContent-Disposition: form-data; name="undo"\r\n\r\n{value}\r\n--b--\r\n'
    if "--b" not in value:
        assert oneclick.fields(body.encode()) == {"undo": value.strip()}


def test_a_form_of_plain_lines_is_read() -> None:
    assert oneclick.fields(b"stop=topic\r\nmore=1\r\n") == {"stop": "topic", "more": "1"}


def test_a_part_with_a_file_is_read_by_its_field_name() -> None:
    body = (
        b'--b\r\nContent-Disposition: form-data; name="List-Unsubscribe"; filename="x"\r\n'
        b"Content-Type: text/plain\r\n\r\nOne-Click\r\n--b--"
    )
    assert oneclick.is_one_click(oneclick.fields(body))
