"""Profiles on the screen: the list with images, what each means, builds, editing beside the line, agents from them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from msgspec.structs import replace
from textual.widgets import Input, TextArea

from clawtui.tui.profile_text import first_text, remarks, renamed
from clawtui.tui.profiles import Known, effective_fields, image_cell, newest_build, profile_detail
from clawtui.tui.widgets.asking import AskDialog
from clawtui.tui.widgets.create_form import CreateDialog
from clawtui.tui.widgets.dialogs import ConfirmDialog, TypeNameDialog
from clawtui.tui.widgets.fields import Fields
from clawtui.tui.widgets.fleet_table import FleetTable
from clawtui.tui.widgets.profile_editor import ProfileEditor
from hub.contract import (
    BuildImage,
    BuildLogLine,
    ImageList,
    JobList,
    JobStepView,
    JobView,
    ProblemView,
    ProfileCheck,
    ProfileList,
    ProfileText,
    ProfileView,
    TransferImage,
)
from hub.errors import NotAvailable, NotFound, StorageFull
from hub.profiles import check
from runtime.wire import TaskError
from tests.hub.api.scripted import IMAGE, WHEN, Stream
from tests.tui import office_script
from tests.tui.scripted import ScriptedHub, an_agent, sees, shown, text_of, typed, until

SIZES = ((80, 24), (120, 40), (200, 60))
EFFECTIVE: dict[str, Any] = {
    "machine": {
        "resources": {"cpus": 4.0, "memory_bytes": 8 << 30, "disk_bytes": 30 << 30}, "concurrency": 4, "labels": {},
        "environment": {"CI": "true"}, "sudo": False, "volumes": [{"source": "/a", "target": "/b", "read_only": True}],
    },
    "contents": {
        "packages": ["git", "make"], "environment": {"CI": "true"},
        "setup_tasks": [{"command": "npm i -g yarn", "description": "Install yarn"}, {"command": "true"}],
    },
}  # fmt: skip
BUILDER = ProfileView(
    name="builder", source="built-in", valid=True, description="Builds things", path="/p/builder.json",
    repository="openclaw-agent-builder", text='{"name": "builder"}', effective=EFFECTIVE,
    image="openclaw-agent-builder:abc", built=True, dockerfile_text="FROM b\nUSER agent\n",
)  # fmt: skip
MINE = replace(
    BUILDER, name="mine", source="user", description="My own", path="/h/profiles/mine.json", shadows=["built-in"],
    repository="openclaw-agent-mine", text='{\n  "name": "mine"\n}\n', image="openclaw-agent-mine:def", built=False,
)  # fmt: skip
WRONG = ProfileView(
    name="wrong", source="user", valid=False, path="/h/profiles/wrong.json", repository="openclaw-agent-wrong",
    text='{\n  "name": "wrong",\n  "packages": ["git x"]\n}\n',
    problems=[ProblemView(field="packages[0]", message="'git x' is not a package", hint="as apt-cache shows it")],
)  # fmt: skip
SITE = replace(BUILDER, name="site", source="project", path="/srv/profiles/site.json", repository="openclaw-agent-site")
BUILDING = JobView(
    id="j-7", kind="profile.build", state="running", started_at=WHEN, progress=0.5,
    message="building openclaw-agent-mine:def, step 2 of 4: RUN make",
)  # fmt: skip
FAILED = replace(
    BUILDING,
    state="failed",
    finished_at=WHEN,
    error=TaskError("setup_task_failed", "setup task 1 failed (exit code 2)"),
)
BUILT = replace(
    BUILDING, state="succeeded", finished_at=WHEN, result={"image": "openclaw-agent-mine:def", "built": ["x"]}
)


def with_profiles(*profiles: ProfileView, **agents: str) -> ScriptedHub:
    """A hub with these; saving and deleting changes them. `agents`: of which profile they are."""
    hub = ScriptedHub(*(an_agent(name, profile=profile) for name, profile in (agents or {"a-1": "mine"}).items()))
    known = {one.name: one for one in profiles or (BUILDER, MINE, WRONG, SITE)}

    def one(name: str) -> ProfileView | NotFound:
        return known.get(name) or NotFound(f"there is no profile {name!r}", code="no_such_profile")

    def save(name: str, text: ProfileText) -> ProfileView:
        known[name] = replace(MINE, name=name, text=text.text, format=text.format, shadows=[])
        return known[name]

    hub.answers |= {
        "profiles": lambda _: ProfileList(profiles=[replace(one, text=None, effective=None) for one in known.values()]),
        "profile": one,
        "save_profile": save,
        "delete_profile": lambda name: known.pop(name) and None,
        "validate_profile": lambda text: check(text, text.name),
        "images": ImageList(images=[IMAGE, replace(IMAGE, tag="old", latest=False)]),
        "build_profile": BUILT,
        "jobs": JobList(jobs=[]),
    }
    return hub


def show_jobs(hub: ScriptedHub, *jobs: JobView) -> None:
    hub.answers["jobs"] = JobList(jobs=list(jobs))
    hub.tell("job", jobs[0].id)


# --- words


def test_what_a_profile_means_is_said_without_what_it_leaves_open() -> None:
    told = {field.label: field.text for field in effective_fields(BUILDER)}
    assert told["Resources"] == "cpus 4, memory 8.0G, disk 30G"
    assert told["Environment"] == "CI true"
    assert told["Volumes"] == "/a at /b, read-only"
    assert told["Setup tasks"] == "1. Install yarn\n2. true"
    assert told["Packages"] == "git, make"
    assert not {"Labels", "Sudo"} & set(told)


def test_a_persona_is_shown_without_its_whole_texts() -> None:
    persona = {
        "slug": "ada", "name": "Ada", "role": "", "soul": "\n# I am Ada\n" + "x" * 5_000, "user": None, "enabled": True,
        "skills": [
            {"slug": "triage", "name": "Triage", "enabled": True}, {"slug": "plan", "name": "", "enabled": False},
        ],
    }  # fmt: skip
    fields = effective_fields(replace(BUILDER, effective=EFFECTIVE | {"persona": persona}))
    told = {one.label: one.text for one in fields[[one.label for one in fields].index("Slug") :]}
    assert told == {
        "Slug": "ada", "Name": "Ada", "Soul": "# I am Ada (5012 characters)", "Enabled": "yes",
        "Skills": "Triage, plan (off)",
    }  # fmt: skip


def test_an_image_is_built_changed_missing_or_unknown() -> None:
    images = (IMAGE,)
    assert image_cell(Known(BUILDER, BUILDER, images)).text == "√ built 300M"
    assert image_cell(Known(MINE, MINE, ())).text == "· not built"
    assert image_cell(Known(MINE, MINE, images)).text == "· changed"
    assert image_cell(Known(MINE, MINE, (), BUILDING)).text == "▶ building 50%"
    assert image_cell(Known(MINE, MINE, (), FAILED)).text == "× build failed"
    older = replace(FAILED, message="building openclaw-agent-mine:abc")
    assert image_cell(Known(MINE, MINE, (), older)).text == "· not built"
    assert image_cell(Known(MINE, MINE, (), replace(older, message=f"building {MINE.image}"))).text == "× build failed"
    assert image_cell(Known(MINE, replace(MINE, built=None))).text == "? unknown"
    assert image_cell(Known(MINE)).text == "◔ reading"


def test_builds_are_known_by_the_image_that_they_speak_of() -> None:
    step = [JobStepView(at=WHEN, message="building openclaw-agent-mine:def")]
    for job in (BUILDING, replace(BUILDING, message="", steps=step), replace(BUILT, message="")):
        assert newest_build([job], MINE) is job
    other = replace(BUILDING, message="building openclaw-agent-mine-2:def")
    assert newest_build([other], MINE) is None
    assert newest_build([replace(BUILDING, kind="create")], MINE) is None
    assert newest_build([replace(BUILDING, message="waiting")], MINE, started="j-7") is not None


def test_what_is_wrong_stands_in_the_detail_with_its_field() -> None:
    told = {field.label: (field.text, field.more) for field in profile_detail(Known(WRONG), office_script.NOW, {})}
    assert told["packages[0]"] == ("'git x' is not a package", "as apt-cache shows it")
    assert "nothing can be made from it" in told["State"][0]


JSON = """{
  "name": "mine", "description": "a, [b] \\" {c",
  "resources": {"cpus": "4",
    "memory": "8x"},
  "packages": ["git", "a b"],
  "setup_tasks": [{"command": "ok, [1]"},
    {"comand": "x"}]
}
"""
YAML = """name: mine
resources:
  cpus: 4
  memory: 8x
packages:
  - git
  - a b
setup_tasks:
- command: ok
- comand: x
"""


@pytest.mark.parametrize(("text", "format", "lines"), [(JSON, "json", [3, 4, 6, 6]), (YAML, "yaml", [3, 6, 9, 9])])
def test_mistakes_are_found_in_their_lines(text: str, format: Any, lines: Sequence[int]) -> None:
    problems = check(ProfileText(text=text, format=format), "mine").problems
    found = remarks(text, format, problems)
    assert [remark.line for remark in found] == lines
    assert [remark.problem.field for remark in found][:2] == ["resources.memory", "packages[1]"]


def test_a_text_that_cannot_be_read_names_its_line_and_an_unknown_one_none() -> None:
    broken = '{"a": 1,\n "b" }'
    assert [remark.line for remark in remarks(broken, "json", check(ProfileText(text=broken), "x").problems)] == [1]
    assert [remark.line for remark in remarks("{}", "json", [ProblemView(field="name", message="is missing")])] == [-1]


@pytest.mark.parametrize(
    ("text", "format", "after"),
    [
        ('{"name": "old", "x": {"name": "old"}}', "json", '{"name": "new", "x": {"name": "old"}}'),
        ('{"labels": {}}', "json", '{"labels": {}}'),
        ("name: old  # mine\n", "yaml", "name: new  # mine\n"),
        ("name: 'old'\n", "yaml", "name: new\n"),
        ("name: older\n", "yaml", "name: older\n"),
    ],
)
def test_a_copy_has_another_name_and_is_otherwise_as_written(text: str, format: Any, after: str) -> None:
    assert renamed(text, format, "old", "new") == after


def test_the_first_text_of_a_profile_is_a_right_one() -> None:
    assert check(ProfileText(text=first_text("mine")), "mine") == ProfileCheck(valid=True)


# --- the place


@pytest.mark.parametrize("size", SIZES)
async def test_profiles_stand_with_their_state_and_image_and_the_one_under_the_cursor_in_full(
    size: tuple[int, int],
) -> None:
    async with shown(with_profiles(), size) as (app, pilot):
        await pilot.press("f8")
        await until(pilot, sees(app, "Profiles 4 · 1 wrong", "√ built 300M", "· not built", "× wrong", "project"))
        await until(pilot, sees(app, "openclaw-agent-builder:abc", "√ valid"))
        await app.do_words("profiles wrong")
        await until(pilot, sees(app, "▸ wrong", "1 thing is wrong", "packages[0]"))


async def test_an_engine_that_is_missing_is_said_and_the_rest_stays() -> None:
    hub = with_profiles(replace(MINE, image=None, built=None))
    hub.answers["images"] = NotAvailable("no driver makes agents from images", code="no_images")
    async with shown(hub) as (app, pilot):
        await pilot.press("f8")
        await until(pilot, sees(app, "no images: the hub has no docker driver", "? unknown", "the hub cannot tell"))


async def test_no_profiles_is_said_with_why() -> None:
    hub = with_profiles(MINE)
    hub.answers["profiles"] = ProfileList(profiles=[])
    async with shown(hub, (80, 24)) as (app, pilot):
        await pilot.press("f8")
        await until(pilot, sees(app, "No profiles.", "an older hub"))


async def test_what_is_lost_is_greyed_and_stays() -> None:
    hub = with_profiles()
    async with shown(hub) as (app, pilot):
        await pilot.press("f8")
        await until(pilot, sees(app, "√ built 300M"))
        hub.lose()
        await until(pilot, lambda: app.main.pane.query_one(FleetTable).rows[0].stale)
        assert "√ built 300M" in text_of(app)


async def test_a_read_only_screen_builds_and_edits_nothing() -> None:
    hub = with_profiles()
    async with shown(hub, read_only=True) as (app, pilot):
        await pilot.press("f8")
        await until(pilot, sees(app, "√ built 300M"))
        for key, said in (("b", "build"), ("E", "edit"), ("c", "create from it"), ("D", "delete"), ("n", "new")):
            await pilot.press(key)
            await until(pilot, sees(app, f"read-only: {said} is not possible"))
        assert app.screen is app.main
        assert not hub.called("build_profile")


# --- builds


async def test_a_build_shows_its_progress_and_what_came_of_it() -> None:
    hub = with_profiles()
    hub.answers |= {"build_profile": replace(BUILDING, message=""), "job": replace(BUILDING, message="")}
    async with shown(hub) as (app, pilot):
        await app.do_words("profiles mine")
        await until(pilot, sees(app, "▸ mine", "b builds it"))
        await pilot.press("b")
        await until(pilot, sees(app, "▶ building mine: o shows its output, K cancels it"))
        show_jobs(hub, BUILDING)
        await until(pilot, sees(app, "▶ building 50%", "step 2 of 4"))
        hub.answers["job"] = BUILT
        show_jobs(hub, BUILT)
        await until(pilot, sees(app, "√ openclaw-agent-mine:def is built — clawtui profile build mine"))
        assert hub.called("build_profile") == [("mine", BuildImage())]


async def test_a_failed_build_says_why_and_where_its_output_is() -> None:
    hub = with_profiles()
    hub.answers |= {"build_profile": FAILED}
    async with shown(hub) as (app, pilot):
        await app.do_words("profiles mine")
        await until(pilot, sees(app, "▸ mine"))
        show_jobs(hub, FAILED)
        await app.do_words("rebuild mine")
        await until(pilot, sees(app, "build failed: mine: setup task 1 failed", "× build failed", "o shows its output"))
        assert hub.called("build_profile") == [("mine", BuildImage(rebuild=True))]


async def test_the_output_of_a_build_is_followed_and_cancelled() -> None:
    hub = with_profiles()
    log = Stream([BuildLogLine(text=f"line {number}") for number in range(1, 4)])
    hub.answers["build_log"] = lambda name, query: (
        log if query.follow else Stream([BuildLogLine(text="line 1")], ends=True)
    )
    hub.answers["cancel_job"] = replace(BUILDING, state="cancelled", finished_at=WHEN)
    show_jobs(hub, BUILDING)
    async with shown(hub) as (app, pilot):
        await app.do_words("profiles mine")
        await until(pilot, sees(app, "▸ mine", "▶ building 50%"))
        await pilot.press("o")
        await until(pilot, sees(app, "line 1", "line 3", "▶ running", "step 2 of 4"))
        log.give(BuildLogLine(text="line 4"))
        await until(pilot, sees(app, "line 4"))
        assert str(app.going.front()) == "builds/mine"
        await pilot.press("K")
        await until(pilot, lambda: isinstance(app.screen, ConfirmDialog))
        await pilot.press("right", "enter")
        await until(pilot, sees(app, "√ the build of mine is cancelled"))
        assert hub.called("cancel_job") == [("j-7",)]


async def test_an_image_is_pushed_under_the_cursor() -> None:
    hub = with_profiles()
    hub.answers["push_image"] = BUILT
    async with shown(hub) as (app, pilot):
        await app.do_words("profiles mine")
        await until(pilot, sees(app, "▸ mine"))
        await app.do_words("push localhost:5000/team")
        await until(pilot, sees(app, "√ push mine — clawtui image push mine localhost:5000/team"))
        assert hub.called("push_image") == [(TransferImage(image="mine", registry="localhost:5000/team"),)]


# --- editing


async def open_in_place(pilot: Any, app: Any, name: str) -> None:
    await app.do_words(f"profiles {name}")
    await until(pilot, sees(app, f"▸ {name}"))
    await pilot.press("i")
    await until(pilot, lambda: isinstance(app.screen, ProfileEditor))


@pytest.mark.parametrize("size", SIZES)
async def test_in_place_what_is_wrong_stands_beside_the_line_and_nothing_wrong_is_saved(size: tuple[int, int]) -> None:
    hub = with_profiles()
    async with shown(hub, size) as (app, pilot):
        await open_in_place(pilot, app, "wrong")
        await until(pilot, sees(app, "line 3: packages[0] 'git x' is not a package"))
        beside = next(line for line in text_of(app).split("\n") if '"packages": ["git x"]' in line)
        assert "]   × packages[0] 'git x' is not a" in beside
        await pilot.press("ctrl+s")
        await until(pilot, sees(app, "Not saved: 1 thing is wrong"))
        await until(pilot, lambda: app.screen.query_one(TextArea).cursor_location == (2, 0))
        assert not hub.called("save_profile")
        await pilot.press("end", "left", "left", "backspace", "backspace")
        await until(pilot, sees(app, '"packages": ["git"]', "√ nothing is wrong"))
        await pilot.press("ctrl+s")
        await until(pilot, sees(app, "√ wrong is saved — clawtui profile show wrong"))
        assert json.loads(hub.called("save_profile")[0][1].text)["packages"] == ["git"]


async def test_a_remark_without_room_behind_its_line_is_cut_with_a_sign() -> None:
    async with shown(with_profiles(), (70, 24)) as (app, pilot):
        await open_in_place(pilot, app, "wrong")
        await until(pilot, sees(app, "line 3: packages[0] 'git x' is not a package"))
        beside = next(line for line in text_of(app).split("\n") if '"packages": ["git x"]' in line)
        assert "× packages[0] 'git x' is" in beside
        assert beside.partition("×")[2].partition("│")[0].rstrip().endswith("…")


async def test_a_draft_is_kept_and_opened_again() -> None:
    hub = with_profiles()
    async with shown(hub) as (app, pilot):
        await open_in_place(pilot, app, "mine")
        await typed(pilot, "xyz")
        await pilot.press("escape")
        await until(pilot, sees(app, "the draft of mine is kept", "1 with a draft", "Draft"))
        await pilot.press("i")
        await until(pilot, lambda: isinstance(app.screen, ProfileEditor) and "xyz{" in text_of(app))
        await pilot.press("delete", "delete", "delete", "escape")
        await until(pilot, lambda: app.screen is app.main and "with a draft" not in text_of(app))
        assert not hub.called("save_profile")


async def test_what_the_hub_does_not_save_is_not_lost() -> None:
    hub = with_profiles()
    hub.answers["save_profile"] = StorageFull("profile mine cannot be written: no space left")
    async with shown(hub) as (app, pilot):
        await open_in_place(pilot, app, "mine")
        await pilot.press("enter", "ctrl+s")
        await until(pilot, sees(app, "mine is not saved: profile mine cannot be written"))
        assert app.editing.draft("mine")


async def test_without_a_terminal_to_give_away_it_is_edited_in_place() -> None:
    async with shown(with_profiles()) as (app, pilot):
        await app.do_words("profiles mine")
        await until(pilot, sees(app, "▸ mine"))
        await pilot.press("E")
        await until(pilot, lambda: isinstance(app.screen, ProfileEditor))


async def test_a_built_in_one_is_edited_as_a_copy_and_a_projects_where_it_is() -> None:
    hub = with_profiles()
    async with shown(hub) as (app, pilot):
        await app.do_words("profiles builder")
        await until(pilot, sees(app, "▸ builder"))
        await pilot.press("i")
        await until(pilot, lambda: isinstance(app.screen, AskDialog) and "my-builder" in text_of(app))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ProfileEditor) and "Profile my-builder" in text_of(app))
        assert hub.called("save_profile")[0][1].text == '{"name": "my-builder"}'
        await pilot.press("escape")
        await until(pilot, sees(app, "▸ my-builder"))
        await app.do_words("profiles site")
        await until(pilot, sees(app, "▸ site"))
        await pilot.press("i")
        await until(pilot, sees(app, "site is the project's: it is edited where it is, /srv/profiles/site.json"))


async def test_a_copy_takes_no_name_that_is_taken() -> None:
    hub = with_profiles()
    async with shown(hub) as (app, pilot):
        await app.do_words("profiles builder")
        await until(pilot, sees(app, "▸ builder"))
        await app.do_words("copy-profile mine")
        await until(pilot, sees(app, "there is a profile mine already"))
        assert not hub.called("save_profile")


async def test_a_new_profile_begins_with_a_right_text() -> None:
    hub = with_profiles()
    async with shown(hub) as (app, pilot):
        await pilot.press("f8")
        await until(pilot, sees(app, "√ built 300M"))
        await pilot.press("n")
        await until(pilot, lambda: isinstance(app.screen, AskDialog))
        await typed(pilot, "fresh")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ProfileEditor) and "nothing is wrong" in text_of(app))
        await pilot.press("ctrl+s")
        await until(pilot, sees(app, "√ fresh is saved", "▸ fresh"))


async def test_only_ones_own_are_deleted_and_the_name_is_typed() -> None:
    hub = with_profiles()
    async with shown(hub) as (app, pilot):
        await app.do_words("profiles builder")
        await until(pilot, sees(app, "▸ builder"))
        await pilot.press("D")
        await until(pilot, sees(app, "builder is built-in: only your own are deleted"))
        await app.do_words("profiles mine")
        await until(pilot, sees(app, "▸ mine"))
        await pilot.press("D")
        await until(pilot, lambda: isinstance(app.screen, TypeNameDialog))
        await until(pilot, sees(app, "The built-in mine is back then", "Made from it: a-1", "/h/profiles/mine.json"))
        await typed(pilot, "mine")
        await pilot.press("enter")
        await until(pilot, sees(app, "√ mine is deleted — clawtui profile delete mine"))
        assert hub.called("delete_profile") == [("mine",)]


# --- agents from it


async def test_an_agent_is_made_from_the_one_under_the_cursor() -> None:
    hub = with_profiles()
    async with shown(hub, (80, 24)) as (app, pilot):
        await app.do_words("profiles mine")
        await until(pilot, sees(app, "▸ mine"))
        await pilot.press("c")
        await until(pilot, lambda: isinstance(app.screen, CreateDialog))
        await until(pilot, sees(app, "Left out, because they are wrong: wrong"))
        await typed(pilot, "web")
        await until(pilot, sees(app, "clawtui create web --profile mine"))
        app.screen.query_one("#f-network", Input).value = "isolated"
        await until(pilot, sees(app, "--network isolated"))
        await pilot.press("ctrl+s")
        await until(pilot, sees(app, "√ web is there"))
        request = hub.called("create_agent")[0][0]
        assert (request.profile, request.network) == ("mine", "isolated")


async def test_nothing_is_made_from_a_wrong_one() -> None:
    async with shown(with_profiles()) as (app, pilot):
        await app.do_words("profiles wrong")
        await until(pilot, sees(app, "▸ wrong"))
        await pilot.press("c")
        await until(pilot, sees(app, "wrong is wrong: no agent can be made from it"))
        assert app.screen is app.main


async def test_the_form_opens_without_profiles_when_they_cannot_be_read() -> None:
    hub = with_profiles()
    hub.answers["profiles"] = NotFound("there is no such address")
    async with shown(hub) as (app, pilot):
        await pilot.press("c")
        await until(pilot, lambda: isinstance(app.screen, CreateDialog))
        await until(pilot, sees(app, "Profiles cannot be read: there is no such address"))


@pytest.mark.parametrize("size", SIZES)
async def test_an_agents_detail_has_what_it_was_made_from(size: tuple[int, int]) -> None:
    async with shown(with_profiles(**{"a-1": "mine", "a-2": "", "a-3": "gone"}), size) as (app, pilot):
        await until(pilot, sees(app, "a-1"))
        await pilot.press("6", "enter")
        await until(pilot, sees(app, "Profile", "mine", "f8 shows all", "The profile now"))
        await pilot.press("escape", "j")
        await until(pilot, sees(app, "none: the base image"))
        await pilot.press("j")
        await until(pilot, sees(app, "there is no profile 'gone'"))


@pytest.mark.parametrize("size", SIZES)
async def test_the_detail_tells_in_what_the_profile_is_another_one_by_now(size: tuple[int, int]) -> None:
    made = {"resources": {"cpus": 1.0, "memory_bytes": 1 << 30, "disk_bytes": 30 << 30}, "concurrency": 4}
    same = EFFECTIVE["machine"]
    hub = with_profiles(**{"a-1": "mine", "a-2": "mine"})
    machines = {"a-1": made | {"volumes": same["volumes"]}, "a-2": same}
    hub.answers["agent"] = lambda name: replace(hub.agents_by_id[name], machine=machines[name])
    async with shown(hub, size) as (app, pilot):
        await until(pilot, sees(app, "a-1"))
        await pilot.press("6")
        fields = app.main.query_one("#tab-profile", Fields)
        await until(pilot, lambda: "another machine" in fields.plain, "the difference")
        told = " ".join(fields.plain.split())
        assert "Made with Resources cpus 1, memory 1.0G, disk 30G Tasks at once 4" in told
        assert "Resources cpus 4, memory 8.0G, disk 30G this agent: cpus 1, memory 1.0G, disk 30G" in told
        assert "mine ▲ changed since, see below" in told
        assert told.count("Tasks at once") == 2  # the agent's own word is another one
        await pilot.press("j")
        await until(pilot, lambda: "√ The next agent gets the same machine" in fields.plain, "no difference")


@pytest.mark.parametrize(
    ("link", "seen"), [("profiles", "Profiles 4"), ("profiles/mine", "▸ mine"), ("builds/mine", "Build ")]
)
async def test_there_is_a_link_to_each(link: str, seen: str) -> None:
    hub = with_profiles()
    async with shown(hub) as (app, pilot):
        await app.do_words(f"go {link}")
        await until(pilot, sees(app, seen))
        await app.do_words("go profiles/nothing")
        await until(pilot, sees(app, "there is no profile 'nothing'"))
