"""Messages of errors: one line that a terminal can show, whatever was given."""

from hypothesis import given
from hypothesis import strategies as st

from ivcore.errors import FormatError, UserError, VideoError, shown


@given(st.text(st.characters(codec=None)))
def test_a_message_is_one_printable_line(text):
    for error in (UserError(text), VideoError(text, text), FormatError(text, 3, text)):
        assert str(error).isprintable()
        str(error).encode("utf-8")


def test_what_a_terminal_would_obey_is_written_out():
    assert str(UserError("a\x1b[31mb\n  c\ud800")) == "a\\x1b[31mb c\\ud800"


@given(st.recursive(st.text() | st.integers() | st.floats(), lambda each: st.lists(each)))
def test_values_are_shown_shortly(value):
    assert len(shown(value)) < 10_000


def test_large_values_are_shown_shortly():
    bomb = ["x"]
    for _ in range(30):
        bomb = [bomb] * 9
    for value in (bomb, 10**100_000, "x" * 10**6, [1] * 10**6, {i: i for i in range(10**5)}):
        assert len(shown(value)) < 10_000
    assert shown("x") == "'x'" and shown([1, 2]) == "[1, 2]"
