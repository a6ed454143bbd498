"""One call of the command line inside the test, in front of a scripted hub."""

from __future__ import annotations

import contextlib
import io
import shlex
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from clawtui.cli.app import run
from clawtui.cli.world import World
from clawtui.settings import Settings
from hub.control import Control
from tests.hub.api.scripted import ScriptedControl

NOW = datetime(2026, 1, 2, 3, 5, 5, tzinfo=UTC)
"""One minute after the times in the scripted hub's answers."""


class Terminal(io.TextIOWrapper):
    """A stream that says whether it is a terminal, and keeps its bytes."""

    def __init__(self, text: str = "", *, terminal: bool = False) -> None:
        super().__init__(io.BytesIO(text.encode()), encoding="utf-8", write_through=True)
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal

    def raw(self) -> bytes:
        self.flush()
        assert isinstance(self.buffer, io.BytesIO)
        return self.buffer.getvalue()


@dataclass(frozen=True)
class Called:
    """How one call ended."""

    code: int
    stdout: bytes
    stderr: str

    @property
    def out(self) -> str:
        return self.stdout.decode()

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.stdout)


class Hub(ScriptedControl):
    """A scripted hub that may answer differently each time: a list gives its items in turn and stays
    at the last, a function is called with what was given."""

    def _note(self, method: str, *given: Any) -> Any:
        self.calls.append((method, given))
        answer = self.answers[method]
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        if callable(answer):
            answer = answer(*given)
        if isinstance(answer, Exception):
            raise answer
        return answer


class CommandLine:
    """Calls the command line; `control` is the hub it meets, `settings` what it was called with last."""

    def __init__(self, home: Path) -> None:
        self.control = Hub()
        self.home = home
        self.settings: Settings | None = None

    def __call__(
        self,
        *words: str,
        stdin: str = "",
        terminal: bool = False,
        environ: Mapping[str, str] | None = None,
        program: str = "clawtui",
        preset_driver: str = "",
    ) -> Called:
        @contextlib.asynccontextmanager
        async def connect(settings: Settings) -> AsyncIterator[Control]:
            self.settings = settings
            yield self.control

        streams = (Terminal(stdin, terminal=terminal), Terminal(terminal=terminal), Terminal(terminal=terminal))
        world = World(
            program=program,
            preset_driver=preset_driver,
            environ={"CLAWTUI_HOME": str(self.home), "CLAWTUI_CONFIG": str(self.config), **(environ or {})},
            stdin=streams[0],
            stdout=streams[1],
            stderr=streams[2],
            connect=connect,
            now=lambda: NOW,
        )
        code = run(words, world)
        return Called(code, streams[1].raw(), streams[2].raw().decode())

    def line(self, text: str) -> Called:
        """A call as it would be typed."""
        return self(*shlex.split(text))

    @property
    def config(self) -> Path:
        path = self.home / "config.toml"
        if not path.exists():
            path.write_text("")
        return path

    def given(self, method: str) -> list[tuple[Any, ...]]:
        """What the hub was given with every call of `method`."""
        return [given for name, given in self.control.calls if name == method]

    def last(self, method: str) -> tuple[Any, ...]:
        """What the hub was given with the last call of `method`."""
        return self.given(method)[-1]


@pytest.fixture
def cli(tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path)


@pytest.fixture
def answers(cli: CommandLine) -> Callable[..., None]:
    """Set what the scripted hub answers, by method."""

    def change(**by_method: Any) -> None:
        cli.control.answers.update(by_method)

    return change
