"""The screen's benchmark: what counts as a first frame, and what counts as keeping the loop."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

from tests.bench.slices import SlicedLoop
from tests.bench.terminal import Terminal

FULL_SCREEN, BACK = "\\x1b[?1049h", "\\x1b[?1049l"


def python(code: str) -> list[str]:
    return [sys.executable, "-S", "-c", code]


def test_a_frame_is_visible_text_on_the_full_screen(tmp_path: Path) -> None:
    code = f"print('{FULL_SCREEN}\\x1b[2J\\x1b[31m' + 'x' * 20, flush=True); input()"
    with Terminal(python(code), {}, tmp_path) as terminal:
        seconds = terminal.wait_first_frame(20)
    assert seconds is not None
    assert 0 < seconds < 20


def test_an_error_after_the_full_screen_is_no_frame(tmp_path: Path) -> None:
    code = f"print('y' * 99 + '{FULL_SCREEN}{BACK}' + 'x' * 99)"
    with Terminal(python(code), {}, tmp_path) as terminal:
        assert terminal.wait_end(20) == 0
        assert terminal.wait_first_frame(0) is None


def test_the_terminal_is_as_large_as_the_rows_say(tmp_path: Path) -> None:
    code = "import os; size = os.get_terminal_size(); print(size.columns, size.lines)"
    with Terminal(python(code), {}, tmp_path) as terminal:
        assert terminal.wait_end(20) == 0
        assert terminal.output.split() == [b"160", b"50"]


def spin(seconds: float) -> None:
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        pass


def test_what_keeps_the_loop_is_counted_and_waiting_is_not() -> None:
    async def work() -> None:
        await asyncio.sleep(0)
        loop.start_counting()
        asyncio.get_running_loop().call_soon(spin, 0.02)
        asyncio.get_running_loop().call_later(0.001, spin, 0.01)
        await asyncio.sleep(0.2)

    loop = SlicedLoop()
    try:
        loop.run_until_complete(work())
    finally:
        loop.close()
    assert loop.busy_seconds >= 0.03
    assert loop.longest_seconds >= 0.02
    assert 0 < loop.longest_cpu_seconds <= loop.longest_seconds + 0.001
    assert loop.cpu_seconds <= loop.busy_seconds + 0.001
    # The wait is ten times as long as the work: a loaded machine stretches both.
    assert loop.busy_seconds < 0.2
