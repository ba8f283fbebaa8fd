"""What is said while functions are compiled: a line that is written over, or one that is not."""

import io
import sys

import pytest

from chainrule.utils.announcement import Announcement

pytestmark = pytest.mark.once


class Stream(io.StringIO):
    def __init__(self, is_terminal):
        super().__init__()
        self.isatty = lambda: is_terminal


class BrokenTerminal(Stream):
    def write(self, text):
        raise BrokenPipeError


def announce(monkeypatch, stream, action=lambda: None):
    monkeypatch.setattr(sys, "stderr", stream)
    with Announcement(2, "all") as announcement:
        announcement.next("linear_backward_weight")
        announcement.next("linear")
        announcement.wait()
        announcement.wait()
        action()
    return stream and stream.getvalue()


def shown(text):
    """Return the lines that a terminal shows."""
    lines = []
    for line in text.split("\n"):
        cells = ""
        for part in line.split("\r"):
            cells = part + cells[len(part) :]
        lines.append(cells.rstrip())
    return lines


def test_on_a_terminal_one_line_is_written_over(monkeypatch):
    said = announce(monkeypatch, Stream(True))
    assert said.startswith("\rchainrule: compiling 1 of 2: linear_backward_weight ...\r")
    assert "\rchainrule: compiling 2 of 2: linear ..." in said
    assert "\rchainrule: waiting for another process that compiles 2 of 2: linear ..." in said
    line, rest = shown(said)
    assert line.startswith("chainrule: compiled 2 functions in 0.")
    assert line.endswith(" s, once for all")
    assert rest == ""


def test_elsewhere_there_is_a_line_at_the_beginning_and_one_if_it_waits(monkeypatch):
    assert announce(monkeypatch, Stream(False)).splitlines() == [
        "chainrule: compiling 2 functions, once for all ...",
        "chainrule: waiting for another process that compiles ...",
    ]


def test_above_a_progress_bar_there_are_whole_lines(monkeypatch):
    stream = Stream(True)
    stream.rich_proxied_file = None
    assert "\r" not in announce(monkeypatch, stream)


def test_the_line_ends_where_compiling_fails(monkeypatch):
    stream = Stream(True)

    def fail():
        raise LookupError

    with pytest.raises(LookupError):
        announce(monkeypatch, stream, fail)
    assert stream.getvalue().endswith("\n")
    assert "compiled" not in stream.getvalue()
    assert Announcement.current is None


@pytest.mark.parametrize("stream", [None, BrokenTerminal(True), BrokenTerminal(False)])
def test_nobody_needs_to_hear_it(monkeypatch, stream):
    announce(monkeypatch, stream)


def test_nor_a_closed_stream(monkeypatch):
    stream = io.StringIO()
    stream.close()
    monkeypatch.setattr(sys, "stderr", stream)
    with Announcement(1, "all") as announcement:
        announcement.next("linear")
