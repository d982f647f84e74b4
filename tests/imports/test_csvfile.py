import os
from pathlib import Path

import pytest

from prefcentre.errors import InvalidInput, NotFound
from prefcentre.imports import csvfile

HEADER = "email,name"


def write(tmp_path: Path, content: str | bytes, encoding: str = "utf-8") -> Path:
    path = tmp_path / "people.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    return path


def read(path: Path, encoding: str | None = None, delimiter: str | None = None) -> list[list[str]]:
    sheet = csvfile.open_sheet(path, encoding, delimiter)
    found = list(csvfile.lines(sheet))
    assert [line.problem for line in found] == [None] * len(found)
    return [list(sheet.header), *(line.cells for line in found)]


def problems(path: Path) -> list[tuple[int, str | None]]:
    return [(line.number, line.problem) for line in csvfile.lines(csvfile.open_sheet(path))]


# --- encodings ------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_file_says_itself_how_it_is_encoded(tmp_path: Path, encoding: str) -> None:
    path = write(tmp_path, "email,name\nклео@example.org,Клео\n", encoding)
    assert read(path) == [["email", "name"], ["клео@example.org", "Клео"]]


def test_utf_16_of_either_order_is_read(tmp_path: Path) -> None:
    path = write(tmp_path, b"\xfe\xff" + "email\r\nada@example.org\r\n".encode("utf-16-be"))
    assert read(path) == [["email"], ["ada@example.org"]]


def test_other_encodings_are_read_on_request(tmp_path: Path) -> None:
    path = write(tmp_path, "email;name\nzoe@example.org;Zoë\n", "cp1252")
    assert read(path, "cp1252")[1] == ["zoe@example.org", "Zoë"]


def test_what_is_not_utf_8_names_the_line_and_the_way_out(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        b"email,name\n" + b"a@example.org,x\n" * 100_000 + "z@example.org,Zoë\n".encode("cp1252"),
    )
    with pytest.raises(InvalidInput, match=r"line 100002: .* --encoding cp1252"):
        csvfile.open_sheet(path)


def test_a_byte_that_cp1252_does_not_have_is_named_too(tmp_path: Path) -> None:
    path = write(tmp_path, b"email,name\nz@example.org,Zo\x81\n")
    with pytest.raises(InvalidInput, match="line 2: this can't be read as cp1252"):
        csvfile.open_sheet(path, "cp1252")


@pytest.mark.parametrize("encoding", ["klingon", "hex", "rot13"])
def test_an_unknown_encoding_is_refused(tmp_path: Path, encoding: str) -> None:
    with pytest.raises(InvalidInput, match="no encoding"):
        csvfile.open_sheet(write(tmp_path, HEADER), encoding)


def test_utf_16_without_a_mark_is_recognised(tmp_path: Path) -> None:
    path = write(tmp_path, "email\nada@example.org\n", "utf-16-le")
    with pytest.raises(InvalidInput, match="--encoding utf-16-le"):
        csvfile.open_sheet(path)
    assert read(path, "utf-16-le")[1] == ["ada@example.org"]


# --- delimiters and line ends ---------------------------------------------------------------


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_delimiters_and_line_ends_are_found_out(tmp_path: Path, delimiter: str, end: str) -> None:
    lines = [["email", "name"], ["ada@example.org", "Ada"], ["ben@example.org", ""]]
    path = write(tmp_path, end.join(delimiter.join(line) for line in lines))
    assert read(path) == lines


def test_a_comma_in_a_quoted_name_does_not_decide(tmp_path: Path) -> None:
    path = write(tmp_path, '"name, first, and last";email\n"Lovelace, Ada";ada@example.org\n')
    assert read(path) == [["name, first, and last", "email"], ["Lovelace, Ada", "ada@example.org"]]


def test_the_first_line_of_excel_names_the_delimiter(tmp_path: Path) -> None:
    path = write(tmp_path, "sep=;\r\nemail;name,first\r\nada@example.org;Ada\r\n")
    assert read(path) == [["email", "name,first"], ["ada@example.org", "Ada"]]
    assert [line.number for line in csvfile.lines(csvfile.open_sheet(path))] == [3]


def test_a_delimiter_may_be_given(tmp_path: Path) -> None:
    assert read(write(tmp_path, "email#a,b\nada@example.org#1\n"), delimiter="#")[1] == [
        "ada@example.org",
        "1",
    ]


def test_quoted_cells_may_hold_lines_and_quotation_marks(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        'email,note\r\nada@example.org,"one\r\ntwo ""three"""\r\nben@example.org,5" pipe\r\n',
    )
    assert read(path)[1:] == [
        ["ada@example.org", 'one\r\ntwo "three"'],
        ["ben@example.org", '5" pipe'],
    ]
    assert [line.number for line in csvfile.lines(csvfile.open_sheet(path))] == [2, 4]


def test_blank_lines_are_passed_over(tmp_path: Path) -> None:
    path = write(tmp_path, "\n\nemail\n\nada@example.org\n\n\n")
    assert read(path) == [["email"], ["ada@example.org"]]
    assert [line.number for line in csvfile.lines(csvfile.open_sheet(path))] == [5]


# --- files that can't be used ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"\n \r\n\n", "is empty"),
        (b"\xef\xbb\xbf", "is empty"),
        (b"PK\x03\x04" + bytes(100), "spreadsheet"),
        (b"\x1f\x8b\x08" + bytes(100), "gzip"),
        (b"email,name,Email\n", r"columns 1 and 3 are both called .Email."),
        (b"email" + b",x" * 600 + b"\n", "601 columns"),
        (b'email,"name\n', "quotation mark is never closed"),
        (b"email,na\0me\n", "NUL"),
    ],
)
def test_a_file_that_can_not_be_used_says_why(tmp_path: Path, content: bytes, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        csvfile.open_sheet(write(tmp_path, content))


def test_a_file_that_is_not_there_or_not_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no file"):
        csvfile.open_sheet(tmp_path / "missing.csv")
    with pytest.raises(InvalidInput, match="not a file"):
        csvfile.open_sheet(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InvalidInput, match="not a file"):
        csvfile.open_sheet(tmp_path / "pipe")


def test_a_header_alone_is_a_file_without_people(tmp_path: Path) -> None:
    assert read(write(tmp_path, HEADER)) == [["email", "name"]]


# --- broken lines ---------------------------------------------------------------------------


def test_a_stray_quotation_mark_costs_its_own_line_only(tmp_path: Path) -> None:
    path = write(tmp_path, 'email,name\na@x.org,"A" b\nb@x.org,"open\nc@x.org,c\nd@x.org,d\n')
    found = list(csvfile.lines(csvfile.open_sheet(path)))
    assert [(line.number, line.problem and line.problem[:10]) for line in found] == [
        (2, "there is t"),
        (3, "a quotatio"),
        (4, None),
        (5, None),
    ]
    assert found[1].cells == ['b@x.org,"open']


def test_a_cell_beyond_all_measure_costs_its_own_line_only(tmp_path: Path) -> None:
    huge = "x" * (csvfile.CELL_LIMIT + 1)
    path = write(tmp_path, f"email,name\na@x.org,{huge}\nb@x.org,b\n")
    assert problems(path) == [
        (2, "a cell is longer than 64 KiB, or a quotation mark is never closed"),
        (3, None),
    ]


def test_an_endless_line_never_lies_in_memory(tmp_path: Path) -> None:
    path = write(tmp_path, b"email,name\n" + b"x" * (5 * csvfile.LINE_LIMIT) + b"\nb@x.org,b\n")
    assert problems(path) == [(2, "it is longer than 1024 KiB"), (3, None)]


def test_a_nul_byte_costs_its_own_line_only(tmp_path: Path) -> None:
    path = write(tmp_path, b"email,name\na@x.org,A\0\nb@x.org,b\n")
    assert problems(path) == [(2, "it contains a NUL byte"), (3, None)]


def test_quotation_marks_that_tie_a_whole_file_together_are_given_up_in_time(
    tmp_path: Path,
) -> None:
    # Each line closes the cell that the one before opened, and opens another.
    path = write(tmp_path, "email,name\n" + 'a@x.org","\n' * 20_000)
    found = problems(path)
    assert all("quotation mark is never closed" in str(problem) for _, problem in found)
    assert 1_000 <= len(found) < 1_100


def test_reading_goes_on_after_any_number_of_records(tmp_path: Path) -> None:
    path = write(tmp_path, 'email,name\na@x.org,"a\nb"\n\nb@x.org,"b" x\nc@x.org,c\nd@x.org,"d\n')
    sheet = csvfile.open_sheet(path)
    whole = list(csvfile.lines(sheet))
    assert len(whole) == 4
    for skip in range(5):
        assert list(csvfile.lines(sheet, skip)) == whole[skip:]


def test_the_fingerprint_is_that_of_the_content(tmp_path: Path) -> None:
    first = csvfile.open_sheet(write(tmp_path, "email\na@x.org\n")).fingerprint
    assert csvfile.open_sheet(write(tmp_path, "email\na@x.org\n")).fingerprint == first
    assert csvfile.open_sheet(write(tmp_path, "email\nb@x.org\n")).fingerprint != first
