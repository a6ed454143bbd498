"""The mark that outlives a cleared environment: on children only, exact, and gone from ourselves afterwards."""

from __future__ import annotations

import os
import resource
import subprocess
import sys

import pytest

from runtime.executors.inherited import carries, mark_of, marking_children

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has the limit")

MINE = {"CLAWTUI_ATTEMPT": "t_1:1", "CLAWTUI_SCOPE": "one"}
LIMIT = resource.RLIMIT_RTTIME if sys.platform == "linux" else 0


def read_limit(*more: str) -> int:
    script = "import resource; print(resource.getrlimit(resource.RLIMIT_RTTIME)[0])"
    told = subprocess.run([*more, sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return int(told.stdout)


def test_children_carry_it_and_we_do_not() -> None:
    before = resource.getrlimit(LIMIT)
    with marking_children(MINE):
        child = subprocess.Popen(["/usr/bin/env", "-i", "/bin/sleep", "60"], start_new_session=True)
        assert read_limit() == mark_of(MINE)
    try:
        assert carries(child.pid, MINE)
        assert not carries(child.pid, MINE | {"CLAWTUI_ATTEMPT": "t_1:2"})
        assert not carries(child.pid, MINE | {"CLAWTUI_SCOPE": "two"})
        assert not carries(os.getpid(), MINE)
        assert resource.getrlimit(LIMIT) == before
    finally:
        child.kill()
        child.wait(timeout=20)
    assert not carries(child.pid, MINE)


def test_marks_of_marks_are_those_of_the_inner_one() -> None:
    inner = MINE | {"CLAWTUI_SCOPE": "inner"}
    with marking_children(MINE), marking_children(inner):
        assert read_limit() == mark_of(inner)


def test_a_failed_start_leaves_no_mark_on_us() -> None:
    before = resource.getrlimit(LIMIT)
    with pytest.raises(FileNotFoundError), marking_children(MINE):
        subprocess.Popen(["/no/such/program"])
    assert resource.getrlimit(LIMIT) == before


def test_marks_are_far_above_any_real_limit_and_stable() -> None:
    assert mark_of(MINE) == mark_of(dict(reversed(MINE.items())))
    assert 1 << 60 <= mark_of(MINE) < 1 << 61
    assert mark_of(MINE) != mark_of({})


def test_where_an_operator_set_a_smaller_limit_nothing_is_marked() -> None:
    """In a process of its own: a hard limit cannot be raised again."""
    script = (
        "import resource, subprocess\n"
        "from runtime.executors.inherited import carries, marking_children\n"
        "resource.setrlimit(resource.RLIMIT_RTTIME, (1000, 1000))\n"
        f"with marking_children({MINE!r}):\n"
        "    child = subprocess.Popen(['/bin/sleep', '60'])\n"
        f"print(carries(child.pid, {MINE!r}), resource.getrlimit(resource.RLIMIT_RTTIME))\n"
        "child.kill(); child.wait()\n"
    )
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert told.stdout == "False (1000, 1000)\n"
