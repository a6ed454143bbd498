"""Migrating VM profiles on the screen: what became of each, what needs a person, and writing after a question."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from textual.widgets import Input, Static

from clawtui.errors import UsageError
from clawtui.tui.actions import Where
from clawtui.tui.migration import Item, changes_said, item_lines, question, verdict
from clawtui.tui.migration_acts import look, write_all
from clawtui.tui.widgets.dialogs import ConfirmDialog
from clawtui.tui.widgets.fleet_table import FleetTable
from clawtui.tui.widgets.lines_view import LinesView
from clawtui.tui.widgets.migration_form import MigrationDialog, Wanted
from hub.contract import JobList
from tests.tui.scripted import ScriptedHub, an_agent, sees, shown, text_of, typed, until

SIZES = ((80, 24), (120, 40), (200, 60))
WEB: dict[str, Any] = {"name": "web", "cpus": 2, "memory": "4G", "packages": ["nginx", "git"]}
MONGO: dict[str, Any] = {"name": "store", "packages": ["mongodb"], "services": ["mongod"]}
DOCKER: dict[str, Any] = {"name": "done", "resources": {"cpus": 1}, "packages": ["git"]}


@pytest.fixture
def vm(tmp_path: Path) -> Path:
    """A folder of profiles: one that is adapted, one that needs a person, one that is Docker's already, a wrong one."""
    folder = tmp_path / "vm"
    folder.mkdir()
    for profile in (WEB, MONGO, DOCKER):
        (folder / f"{profile['name']}.json").write_text(json.dumps(profile))
    (folder / "wrong.json").write_text('{"name": "wrong", "packages": 7}')
    return folder


def quiet() -> ScriptedHub:
    hub = ScriptedHub(an_agent("a-1"))
    hub.answers["jobs"] = JobList(jobs=[])
    return hub


def told(item: Item, out: str = "") -> str:
    return "\n".join(text for text, _ in item_lines(item, out))


# --- words


def test_every_profile_has_a_verdict_in_words(vm: Path) -> None:
    items = {item.name: item for item in look(Wanted((str(vm),))).items}
    assert {name: f"{mark.glyph} {word}" for name, (mark, word) in ((n, verdict(i)) for n, i in items.items())} == {
        "web": "~ adapted", "store": "▲ needs you", "done": "√ unchanged", "wrong.json": "× no profile",
    }  # fmt: skip
    assert "packages" in told(items["wrong.json"])
    assert "it is a Docker profile already" in told(items["done"])
    assert "Nobody has said yet where it is written" in told(items["web"])


def test_what_needs_a_person_comes_first_with_what_to_do(vm: Path) -> None:
    (item,) = look(Wanted((str(vm / "store.json"),))).items
    lines = told(item).split("\n")
    needs = lines.index(next(line for line in lines if line.startswith("Needs you: ")))
    assert needs < lines.index("What holds for each part")
    assert any(line.startswith("    to do: ") for line in lines[needs:])
    assert any(line.startswith("    why: ") for line in lines[needs:])
    areas = [line for line in lines if "nested virtualization" in line or "snapshots" in line]
    assert len(areas) == 2


def test_what_is_there_already_is_compared_before_anything_is_written(vm: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    found = look(Wanted((str(vm / "web.json"),), str(out)))
    assert not out.exists()
    assert changes_said(found.items[0]).endswith("new")
    written = write_all(found.items, str(out))
    assert {"web.json", "web.report.md"} <= set(written)
    again = look(Wanted((str(vm / "web.json"),), str(out)))
    assert changes_said(again.items[0]) == f"{len(again.items[0].changes)} unchanged"
    assert not again.items[0].writes
    (out / "web.json").write_text("{}\n")
    changed = look(Wanted((str(vm / "web.json"),), str(out))).items[0]
    assert "1 changed" in changes_said(changed)
    assert "    -{}" in told(changed, str(out))
    title, lines = question([changed], str(out))
    assert title == "Write 1 file?"
    assert "Replaced: web.json" in lines


def test_what_cannot_be_written_is_said_and_the_others_are_looked_at(vm: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / "web.json").mkdir(parents=True)
    items = {item.name: item for item in look(Wanted((str(vm),), str(out))).items}
    assert "is no regular file" in items["web"].refused
    assert "is no regular file" in told(items["web"], str(out))
    assert changes_said(items["web"]) == "× cannot be written"
    assert items["store"].writes


def test_what_is_not_there_is_an_error_of_its_field(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has no profiles"):
        look(Wanted((str(tmp_path),)))
    with pytest.raises(UsageError, match="no profile by its name"):
        look(Wanted((str(tmp_path / "x.txt"),)))


# --- the place


@pytest.mark.parametrize("size", SIZES)
async def test_from_the_form_to_files_on_the_disk(size: tuple[int, int], vm: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    async with shown(quiet(), size) as (app, pilot):
        await pilot.press("f8", "M")
        await until(pilot, sees(app, "Migrate VM profiles", "of the machine that this screen runs on", "--check"))
        await typed(pilot, str(vm))
        await pilot.press("ctrl+s")
        await until(pilot, sees(app, "Migration 4", "written nowhere yet", "~ adapted", "▲ needs you", "× no profile"))
        assert str(app.going.front()) == "migration"
        app.main.pane.query_one(FleetTable).cursor_key = str(vm / "web.json")
        await until(pilot, sees(app, "web: ~ adapted"))
        await pilot.press("w")
        await until(pilot, sees(app, "Where to write them"))
        await typed(pilot, str(out))
        await pilot.press("ctrl+s")
        await until(pilot, lambda: not isinstance(app.screen, MigrationDialog))
        assert not out.exists()
        await until(pilot, lambda: app.migrating.found.out == str(out))
        await pilot.press("w")
        await until(pilot, lambda: isinstance(app.screen, ConfirmDialog))
        await until(pilot, sees(app, "Write ", "New: web.json"))
        await pilot.press("enter")
        await until(pilot, sees(app, "nothing was written"))
        assert not out.exists()
        await pilot.press("w")
        await until(pilot, lambda: isinstance(app.screen, ConfirmDialog))
        await pilot.press("tab", "enter")
        await until(pilot, sees(app, "√ written to", "unchanged"))
        assert json.loads((out / "web.json").read_text())["name"] == "web"
        assert not (out / "store.json").exists()
        await pilot.press("w")
        await until(pilot, sees(app, "√ all of it is in"))


async def test_enter_reads_the_report_in_full_and_escape_leads_back(vm: Path) -> None:
    async with shown(quiet(), (80, 24)) as (app, pilot):
        await app.do_words("profiles")
        await app.do_words(f"migrate {vm / 'store.json'}")
        await until(pilot, sees(app, "store: ▲ needs you"))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.focused, LinesView))
        await until(pilot, sees(app, "What holds for each part"))
        await pilot.press("escape", "escape")
        await until(pilot, lambda: app.main.pane.place is Where.PROFILES)


async def test_changed_files_are_read_again(vm: Path) -> None:
    async with shown(quiet()) as (app, pilot):
        await app.do_words(f"migrate {vm / 'web.json'}")
        await until(pilot, sees(app, "web: ~ adapted"))
        (vm / "web.json").write_text(json.dumps({**WEB, "packages": ["snapd"]}))
        await pilot.press("r")
        await until(pilot, sees(app, "snapd"))


async def test_marked_ones_are_written_together(vm: Path, tmp_path: Path) -> None:
    out = tmp_path / "two words"
    async with shown(quiet(), (200, 60)) as (app, pilot):
        await app.do_words(f"migrate {vm} --out '{out}'")
        await until(pilot, sees(app, "Migration 4", "new"))
        await pilot.press("ctrl+a", "w")
        await until(pilot, sees(app, "Write ", "Findings that need you"))
        await pilot.press("tab", "enter")
        await until(pilot, sees(app, "√ written to"))
        assert {path.name for path in out.glob("*.json")} == {"web.json", "store.json", "done.json"}


@pytest.mark.parametrize(
    ("what", "said"), [("", "which profiles?"), ("/nowhere.json", "cannot be read"), ("'x", "a quote is not closed")]
)
async def test_what_is_wrong_in_the_form_stands_beside_its_field(what: str, said: str) -> None:
    async with shown(quiet(), (80, 24)) as (app, pilot):
        await pilot.press("f8", "M")
        await until(pilot, sees(app, "Migrate VM profiles"))
        app.screen.query_one("#m-what", Input).value = what
        await pilot.press("ctrl+s")
        if what == "/nowhere.json":  # a file that cannot be read is one of those that are shown
            await until(pilot, sees(app, "× no profile", said))
            return
        wrong = app.screen.query_one("#m-what-wrong", Static)
        await until(pilot, lambda: wrong.display and said in str(wrong.render()))


async def test_words_that_are_not_understood_are_said(vm: Path) -> None:
    async with shown(quiet()) as (app, pilot):
        await app.do_words(f"migrate --out x {vm}")
        await until(pilot, sees(app, "--out DIR stands at the end"))
        await app.do_words("migrate /nowhere")
        await until(pilot, sees(app, "/nowhere is no profile by its name"))
        await app.do_words("migration.write")
        await until(pilot, sees(app, "nothing was migrated yet"))


async def test_a_read_only_screen_looks_and_writes_nothing(vm: Path, tmp_path: Path) -> None:
    async with shown(quiet(), read_only=True) as (app, pilot):
        await app.do_words(f"migrate {vm} --out {tmp_path / 'out'}")
        await until(pilot, sees(app, "Migration 4"))
        await pilot.press("w")
        await until(pilot, sees(app, "read-only: write is not possible"))
        assert not (tmp_path / "out").exists()
        assert "Write" not in text_of(app).split("\n")[-1]
