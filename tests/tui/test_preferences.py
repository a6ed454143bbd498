"""What the screen remembers of its user: the file, two screens on it, and what a later start makes of it."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import io
import json
import os
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawtui.cli.output import Mode, Output
from clawtui.settings import Settings
from clawtui.tui import preferences
from clawtui.tui.app import ClawtuiApp
from clawtui.tui.links import Link
from clawtui.tui.memory import Memory
from clawtui.tui.preferences import (
    HISTORY_LINES,
    LINE_CHARACTERS,
    Loaded,
    Preferences,
    PreferencesFile,
    with_line,
)
from clawtui.tui.run import Owner, Reach
from clawtui.tui.widgets.columns import ColumnsDialog
from clawtui.tui.widgets.command_line import LineInput
from hub.core.model import AgentStatus
from tests.tui.scripted import ScriptedHub, an_agent, sees, shown, text_of, typed, until


def at(folder: Path) -> PreferencesFile:
    return PreferencesFile(folder / "screen.json")


def chosen(**choices: object) -> preferences.Change:
    return lambda before: msgspec.structs.replace(before, **choices)


# --- the file


def test_what_is_chosen_is_there_at_the_next_start(tmp_path: Path) -> None:
    file = at(tmp_path / "new")
    assert file.load() == Loaded(Preferences())
    file.change(chosen(theme="light", columns=("agent", "cpu")), lambda before: with_line(before, ":", "logs a-1"))
    again = at(tmp_path / "new").load()
    assert again.problem == ""
    assert again.preferences == Preferences(theme="light", columns=("agent", "cpu"), history={":": ("logs a-1",)})
    assert stat.S_IMODE((tmp_path / "new" / "screen.json").stat().st_mode) == 0o600


DAMAGED = (b"", b"{", b"[]", b'{"theme": 3}', b"\xff\xfe\x00", b'{"history": {":": "x"}}', b"[" * 100_000)


@pytest.mark.parametrize("data", DAMAGED, ids=range(len(DAMAGED)))
def test_a_damaged_file_is_kept_aside_and_said(tmp_path: Path, data: bytes) -> None:
    file = at(tmp_path)
    file.path.write_bytes(data)
    loaded = file.load()
    assert loaded.preferences == Preferences()
    assert "damaged" in loaded.problem
    assert "screen.json.damaged" in loaded.problem
    assert (tmp_path / "screen.json.damaged").read_bytes() == data
    assert file.load() == Loaded(Preferences())


def test_every_damaged_file_is_kept_up_to_a_bound(tmp_path: Path) -> None:
    file = at(tmp_path)
    for number in range(preferences.DAMAGED_MAX + 3):
        file.path.write_text(f"no json {number}")
        assert "damaged" in file.load().problem
    kept = sorted(path.name for path in tmp_path.glob("*.damaged*"))
    assert len(kept) == preferences.DAMAGED_MAX
    assert (tmp_path / "screen.json.damaged").read_text() == "no json 0"


def test_a_damaged_file_is_not_written_over_by_a_change(tmp_path: Path) -> None:
    file = at(tmp_path)
    file.path.write_text("{ not json")
    assert "kept as screen.json.damaged" in file.change(chosen(theme="light"))
    assert (tmp_path / "screen.json.damaged").read_text() == "{ not json"
    assert file.load() == Loaded(Preferences(theme="light"))


def test_a_file_that_is_too_large_is_not_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preferences, "FILE_BYTES_MAX", 100)
    file = at(tmp_path)
    file.path.write_text(json.dumps({"history": {":": ["x" * 200]}}))
    assert "too large" in file.load().problem


def test_a_folder_in_the_files_place_is_said_and_left_alone(tmp_path: Path) -> None:
    file = at(tmp_path)
    file.path.mkdir()
    assert "cannot be read" in file.load().problem
    with pytest.raises(OSError, match="cannot be read"):
        file.change(chosen(theme="light"))
    assert file.path.is_dir()


def test_choices_of_a_newer_version_are_no_damage(tmp_path: Path) -> None:
    file = at(tmp_path)
    file.path.write_text(json.dumps({"theme": "light", "columns": ["agent", "weather"], "mood": "good"}))
    assert file.load() == Loaded(Preferences(theme="light", columns=("agent", "weather")))


def test_a_change_that_changes_nothing_writes_nothing(tmp_path: Path) -> None:
    file = at(tmp_path)
    file.change(chosen(theme="light"))
    before = file.path.stat().st_ino
    file.change(chosen(theme="light"))
    assert file.path.stat().st_ino == before


def test_a_held_lock_is_an_error_and_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preferences, "LOCK_SECONDS", 0.05)
    file = at(tmp_path)
    file.change(chosen(theme="light"))
    holder = os.open(tmp_path / "screen.json.lock", os.O_RDWR)
    try:
        fcntl.flock(holder, fcntl.LOCK_EX)
        with pytest.raises(OSError, match="another screen holds"):
            file.change(chosen(theme="dark"))
    finally:
        os.close(holder)
    assert file.load().preferences.theme == "light"
    assert file.change(chosen(theme="dark")) == ""


WRITER = """
import sys
from pathlib import Path
from clawtui.tui.preferences import PreferencesFile, with_line
file, name = PreferencesFile(Path(sys.argv[1])), sys.argv[2]
print("ready", flush=True)
sys.stdin.readline()
for number in range(40):
    file.change(lambda before: with_line(before, ":", f"{name} {number}"))
    assert not file.load().problem
"""


@pytest.fixture
def writers(tmp_path: Path) -> Iterator[list[subprocess.Popen[str]]]:
    words = [sys.executable, "-c", WRITER, str(tmp_path / "screen.json")]
    started = [
        subprocess.Popen([*words, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for name in ("one", "two")
    ]
    try:
        yield started
    finally:
        for one in started:
            one.kill()
            one.communicate()


@pytest.mark.timeout(90)
def test_two_screens_at_once_lose_nothing_of_each_other(tmp_path: Path, writers: list[subprocess.Popen[str]]) -> None:
    for one in writers:
        assert one.stdout is not None
        assert one.stdout.readline() == "ready\n"
    for one in writers:
        assert one.stdin is not None
        one.stdin.write("go\n")
        one.stdin.flush()
    assert [one.wait(60) for one in writers] == [0, 0]
    lines = at(tmp_path).load().preferences.history[":"]
    assert sorted(lines) == sorted(f"{name} {number}" for name in ("one", "two") for number in range(40))
    assert [line for line in lines if line.startswith("one")] == [f"one {number}" for number in range(40)]


@given(st.lists(st.text(max_size=8), max_size=30))
def test_history_is_what_was_entered_last(lines: list[str]) -> None:
    result = Preferences()
    for line in lines:
        result = with_line(result, ":", line)
    kept = result.history.get(":", ())
    assert len(set(kept)) == len(kept)
    assert set(kept) == {line for line in lines if line.strip() and not line.startswith(" ")}
    again = Preferences()
    for line in (*lines, *lines):
        again = with_line(again, ":", line)
    assert again == result


def test_history_is_bounded_in_lines_and_in_their_length() -> None:
    result = Preferences()
    for number in range(HISTORY_LINES + 50):
        result = with_line(result, "/", f"line {number}")
    assert len(result.history["/"]) == HISTORY_LINES
    assert result.history["/"][-1] == f"line {HISTORY_LINES + 49}"
    assert with_line(result, "/", "x" * (LINE_CHARACTERS + 1)) == result


# --- while a screen runs


async def test_what_cannot_be_written_is_said_once_and_written_later(tmp_path: Path) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where the folder would be")
    memory, said = Memory(PreferencesFile(blocked / "screen.json")), []
    heard = asyncio.Event()

    def say(problem: str) -> None:
        said.append(problem)
        heard.set()

    running = asyncio.ensure_future(memory.run(say))  # noqa: TID251 - the screen's worker, here without a screen
    try:
        memory.choose(theme="light")
        await asyncio.wait_for(heard.wait(), 20)
        assert "choices are not saved" in said[0]
        blocked.unlink()
        assert await memory.close() == ""
        assert PreferencesFile(blocked / "screen.json").load().preferences.theme == "light"
    finally:
        running.cancel()


async def test_without_history_nothing_entered_is_read_or_kept(tmp_path: Path) -> None:
    file = at(tmp_path)
    file.change(lambda before: with_line(before, ":", "old"))
    memory = Memory(file, keeps_history=False)
    memory.entered(":", "exec export KEY=secret")
    assert memory.history(":") == []
    memory.choose(theme="light")
    await memory.close()
    assert "secret" not in file.path.read_text()
    assert file.load().preferences.history == {":": ("old",)}


def fleet() -> ScriptedHub:
    return ScriptedHub(an_agent("a-1"), an_agent("a-2", AgentStatus.CRASHED, reason="out of memory"))


async def test_a_screen_begins_as_the_one_before_ended(tmp_path: Path) -> None:
    file = at(tmp_path)
    first = Memory(file)
    async with shown(fleet(), memory=first) as (app, pilot):
        await until(pilot, sees(app, "a-1"))
        await app.do_words("sort state")
        await app.do_words("reverse")
        await app.do_words("columns driver state agent")
        await app.do_words("theme light")
        await pilot.press("2", "w", "T", "slash")
        await typed(pilot, "state:online")
        await pilot.press("enter", "colon")
        await typed(pilot, "tasks")
        await pilot.press("enter")
        await until(pilot, sees(app, "Newest tasks"))
    assert await first.close() == ""
    saved = file.load().preferences
    assert saved == Preferences(
        theme="light", columns=("driver", "state", "agent"), sort="state", descending=True, wrap=True,
        timestamps=False, history={"/": ("state:online",), ":": ("tasks",)},
    )  # fmt: skip
    async with shown(fleet(), memory=Memory(file)) as (app, pilot):
        await until(pilot, sees(app, "a-1", "by state reversed"))
        header = next(line for line in text_of(app).splitlines() if "DRIVER" in line)
        assert header.index("DRIVER") < header.index("STATE") < header.index("AGENT")
        assert app.theme == "clawtui-light"
        log = app.main.pane.log_view()
        assert log is not None
        assert (log.wrap, log.timestamps) == (True, False)
        await pilot.press("colon", "up")
        assert app.main.query_one(LineInput).value == "tasks"
        await pilot.press("escape", "slash", "up")
        assert app.main.query_one(LineInput).value == "state:online"


async def test_a_damaged_file_is_said_on_the_screen(tmp_path: Path) -> None:
    file = at(tmp_path)
    file.path.write_text("{")
    async with shown(fleet(), memory=Memory(file)) as (app, pilot):
        await until(pilot, sees(app, "saved choices in"))


async def test_columns_and_a_sort_that_do_not_exist_any_more_are_left_out(tmp_path: Path) -> None:
    file = at(tmp_path)
    file.change(chosen(columns=("weather", "agent", "mem"), sort="weather", theme="plaid"))
    async with shown(fleet(), memory=Memory(file)) as (app, pilot):
        await until(pilot, sees(app, "by agent", "MEM"))
        assert "QUEUE" not in text_of(app)
        assert app.theme == "clawtui-dark"


class Once(Owner):
    """A screen that chooses a theme as soon as its hub is there, and leaves."""

    def screen(self, link: Link | None = None) -> ClawtuiApp:
        app = super().screen(link)
        app.call_later(lambda: app.set_interval(0.05, lambda: self.leave(app)))
        return app

    def leave(self, app: ClawtuiApp) -> None:
        if app.store is not None and app.store.live:
            app.memory.choose(theme="light")
            app.exit(0)

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[Reach]:
        yield Reach(fleet(), "test")


async def test_what_was_chosen_last_is_written_before_the_program_ends(tmp_path: Path) -> None:
    settings = Settings().overridden({"home": str(tmp_path)})
    out = Output(Mode.TABLE, io.StringIO(), io.StringIO(), colour=False)
    assert await Once(settings, out, attached=False, read_only=True, headless=True).run() == 0
    assert at(tmp_path).load() == Loaded(Preferences(theme="light"))


# --- the list of columns


def header_of(app: object) -> list[str]:
    return next(line for line in text_of(app).splitlines() if "AGENT" in line).replace("↑", "").split()


@pytest.mark.parametrize("size", [(60, 20), (80, 24), (160, 45)])
async def test_columns_are_chosen_and_ordered_from_a_list(size: tuple[int, int]) -> None:
    async with shown(fleet(), size) as (app, pilot):
        await until(pilot, sees(app, "a-1"))
        await pilot.press("C")
        await until(pilot, sees(app, "Columns of the agents", "[X] AGENT", "Cancel", "Apply (^s)", "always shown"))
        assert isinstance(app.screen, ColumnsDialog)
        # The name cannot be hidden; STATE goes away, RUN comes before the name.
        await pilot.press("space", "j", "space", "j", "K", "shift+up", "ctrl+s")
        await until(pilot, lambda: app.screen is app.main)
        await until(pilot, lambda: header_of(app)[:2] == ["RUN", "AGENT"])
        assert "STATE" not in header_of(app)
        assert app.memory.preferences.columns[:2] == ("run", "agent")
        await pilot.press("C", "end")
        await until(pilot, sees(app, "[ ] STATE"))
        await pilot.press("r", "ctrl+s")
        await until(pilot, lambda: header_of(app)[:2] == ["AGENT", "STATE"])
        assert app.memory.preferences.columns == ()


async def test_a_cancelled_choice_of_columns_changes_nothing() -> None:
    async with shown(fleet()) as (app, pilot):
        await until(pilot, sees(app, "a-1"))
        before = header_of(app)
        for leave in (("escape",), ("tab", "enter")):
            await pilot.press("C")
            await until(pilot, lambda: isinstance(app.screen, ColumnsDialog))
            await pilot.press("j", "enter", "J", *leave)
            await until(pilot, lambda: app.screen is app.main)
            assert header_of(app) == before
        assert app.memory.preferences == Preferences()
