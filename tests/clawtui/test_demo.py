"""What the demo shows and how it judges; it runs as a whole in `test_end_to_end.py`."""

from __future__ import annotations

import pytest

from clawtui.cli.output import Mode, Output
from clawtui.demo import Demo, Lines
from clawtui.follow import Piece
from tests.clawtui.conftest import Hub, Terminal


@pytest.fixture
def demo() -> Demo:
    return Demo(Hub(), Output(Mode.TABLE, Terminal(), Terminal(), colour=False), 1.0)


def shown(demo: Demo) -> list[str]:
    stdout = demo._out.stdout
    assert isinstance(stdout, Terminal)
    return [line.split(maxsplit=2)[-1] for line in stdout.raw().decode().splitlines()]


def test_pieces_become_lines_per_stream(demo: Demo) -> None:
    lines = Lines(demo, demo.names[0], "t")
    for stream, data in (("stdout", b"one\ntw"), ("stderr", b"err"), ("stdout", b"o\nrest"), ("stderr", b"or\n")):
        lines.take(Piece(stream, data))
    lines.close()
    assert shown(demo) == ["one", "two", "error", "rest"]


def test_control_characters_of_a_task_do_not_reach_the_terminal(demo: Demo) -> None:
    lines = Lines(demo, demo.names[1], "t")
    lines.take(Piece("stdout", b"a\x1b[2Jb\xff\n"))
    assert "\x1b" not in shown(demo)[0]


def test_two_demos_do_not_meet(demo: Demo) -> None:
    other = Demo(Hub(), demo._out, 1.0)
    assert not {*demo.names, demo.kind} & {*other.names, other.kind}
