"""A mark that a process cannot lose by accident: the soft value of a resource limit that nothing uses.

An environment can be cleared, a session left, and parents can end; resource limits pass through all of
that, `exec` included, and everybody may read them. Linux only; the limit is `RLIMIT_RTTIME`, microseconds
that a real-time process may run without a pause: values as large as ours never come due (2**60 are 36,000
years). Only a process that sets this limit itself, or an operator who set a smaller hard one, is not marked.
"""

from __future__ import annotations

import contextlib
import hashlib
import resource
import sys
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Final

_LOWEST: Final = 1 << 60
_HASHED_BYTES: Final = 7
_NAME: Final = b"Max realtime timeout"


def mark_of(marks: Mapping[str, str]) -> int:
    """Return the limit that stands for these variables, in every process of every agent the same."""
    text = "\0".join(f"{name}={value}" for name, value in sorted(marks.items()))
    digest = hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()
    return _LOWEST | int.from_bytes(digest[:_HASHED_BYTES], "big")


@contextlib.contextmanager
def marking_children(marks: Mapping[str, str]) -> Generator[None]:
    """Processes that are started inside carry the mark. No other thread may start any meanwhile."""
    if sys.platform != "linux":
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_RTTIME)
    mark = mark_of(marks)
    if hard != resource.RLIM_INFINITY and hard < mark:
        yield
        return
    resource.setrlimit(resource.RLIMIT_RTTIME, (mark, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_RTTIME, (soft, hard))


def carries(pid: int, marks: Mapping[str, str]) -> bool:
    """Return whether the process, or an ancestor of it, was started with this mark."""
    if sys.platform != "linux":
        return False
    try:
        limits = Path(f"/proc/{pid}/limits").read_bytes()
    except OSError:
        return False
    line = next((line for line in limits.splitlines() if line.startswith(_NAME)), _NAME)
    return line[len(_NAME) :].split()[:1] == [str(mark_of(marks)).encode()]
