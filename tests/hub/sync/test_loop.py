"""A gateway's sync as a whole: real files and a real source, in front of a gateway that a test plays."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import shutil
from pathlib import Path

import msgspec
import pytest

from hub.contract import GatewayState
from hub.errors import Conflict
from hub.sync.loop import TargetLoop
from hub.sync.policy import Rules
from hub.sync.runner import Wish
from profiles.sync.errors import SyncError
from profiles.sync.manifest import NAME as MANIFEST
from profiles.sync.plan import Decision
from tests.hub.sync.syncing import FAST, Syncing, syncing


def agents(one: Syncing) -> set[str]:
    return set(json.loads(one.config.read_text())["agents"]["entries"])


# --- the usual course


async def test_personas_are_written_and_in_step_when_the_gateway_shows_them(tmp_path: Path) -> None:
    async with syncing(tmp_path, "ann", "bob") as one:
        await one.until_states(ann="in-step", bob="in-step")
        assert agents(one) == {"ann", "bob"}
        assert one.soul("ann").is_file()
        assert one.gateway.restarts == []
        state = one.loop.state
        assert (state.problem, state.verified_ms is not None) == ("", True)
        assert "shows the roster" in state.proof
        view = one.view("ann")
        assert (view.name, len(view.hash), view.files) == ("Ann", 12, [])


async def test_an_unchanged_run_writes_nothing_and_says_nothing(tmp_path: Path) -> None:
    async with syncing(tmp_path, "ann") as one:
        await one.until_states(ann="in-step")
        before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
        seq = one.hub.kernel.feed.seq
        report = await one.run()
        assert (report.steps, report.config_changed, report.problem) == ([], False, "")
        assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()} == before
        assert one.hub.kernel.feed.seq == seq


async def test_a_check_that_was_wanted_and_could_not_be_made_is_told(tmp_path: Path) -> None:
    async with syncing(tmp_path, "ann") as one:
        await one.until_states(ann="in-step")
        await one.run()
        assert "the config was not validated: there is no program /nonexistent/openclaw" in one.loop.state.notes


async def test_a_dry_run_says_and_does_nothing(tmp_path: Path) -> None:
    async with syncing(tmp_path, "ann", rules=Rules()) as one:
        await one.until_states(ann="in-step")
        one.write("bob")
        report = await one.run(dry_run=True)
        assert report.dry_run
        assert {step.slug for step in report.steps} == {"bob"}
        assert not (one.root / "bob").exists()
        assert one.states() == {"ann": "in-step"}


async def test_a_persona_that_goes_leaves_the_roster_and_its_workspace_is_archived(tmp_path: Path) -> None:
    async with syncing(tmp_path, "ann", "bob") as one:
        await one.until_states(ann="in-step", bob="in-step")
        (one.personas / "bob.json").unlink()
        report = await one.run()
        assert report.archived == ["bob"]
        await one.until_states(ann="in-step")
        assert not (one.root / "bob").exists()
        assert [path.name.startswith("bob") for path in (one.root / ".archive").iterdir()] == [True]
        assert one.loop.state.archived == ("bob",)


# --- what wakes it


async def test_a_change_of_the_source_and_of_a_workspace_wakes_it_and_its_own_writes_do_not(tmp_path: Path) -> None:
    async with syncing(tmp_path, "ann", watch=True) as one:
        await one.until_states(ann="in-step")
        numbers = itertools.count()

        def edited() -> bool:
            # A watch begins a moment after it was aimed; until then a change would be seen by the next tick only.
            one.write("ann", soul=f"Number {next(numbers)}.\n")
            return one.soul("ann").read_text().startswith("Number")

        await one.until(edited, "a new soul is written")
        await one.until(lambda: one.soul("ann") in one.changes.heard, "the sync's own write is seen")
        await one.run()
        await one.until(lambda: one.loop.idle, "all edits are seen")
        one.changes.tell([one.soul("ann"), one.config, one.root / "ann" / "AGENTS.md", one.personas / "ann.json"])
        assert one.loop.idle
        one.soul("ann").write_text("A human's.\n")
        await one.until_states(ann="drifted")
        assert one.view("ann").files == ["SOUL.md"]
        assert one.soul("ann").read_text() == "A human's.\n"


async def test_a_folder_that_was_removed_and_made_again_is_watched_again(tmp_path: Path) -> None:
    async with syncing(tmp_path, "ann", watch=True) as one:
        await one.until_states(ann="in-step")

        numbers = itertools.count()

        def seen() -> bool:
            # A watch begins a moment after it was aimed.
            one.soul("ann").write_text(f"A human's {next(numbers)}.\n")
            return one.states() == {"ann": "drifted"}

        await one.until(seen, "the workspace is watched")
        before = (one.root / "ann").stat().st_ino
        (one.root / "ann").rename(tmp_path / "away")
        await one.until(lambda: one.soul("ann").exists() and one.states() == {"ann": "in-step"}, "it is made again")
        assert (one.root / "ann").stat().st_ino != before
        await one.until(seen, "the new folder is watched")


async def test_personas_that_come_and_go_one_after_the_other_are_not_kept_waiting(tmp_path: Path) -> None:
    """Only who else writes the config slows it down."""
    rules = msgspec.structs.replace(FAST, rewrite_gap_seconds=3_600.0)
    async with syncing(tmp_path, "ann", rules=rules, watch=True) as one:
        await one.until_states(ann="in-step")
        for number in range(4):
            one.write(f"one-{number}")
            one.loop.poke()
            await one.until(lambda slug=f"one-{number}": slug in one.states(), "it came")


async def test_what_asks_meanwhile_is_served_one_after_the_other(tmp_path: Path) -> None:
    async with syncing(tmp_path, "ann") as one:
        one.source.gate = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one.run()) for _ in range(5)]
            await one.until(lambda: one.source.at_once == 1, "one run waits")
            one.source.gate.set()
        assert one.source.most_at_once == 1
        assert [task.result().problem for task in tasks] == [""] * 5


async def test_who_asked_may_go_away_and_the_run_goes_on(tmp_path: Path) -> None:
    async with syncing(tmp_path, "ann") as one:
        one.source.gate = asyncio.Event()
        one.write("bob")
        loads = one.source.loads
        async with asyncio.TaskGroup() as group:
            asking = group.create_task(one.run())
            await one.until(lambda: one.source.loads > loads, "the run began")
            asking.cancel()
        one.source.gate.set()
        await one.until_states(ann="in-step", bob="in-step")


# --- sources that fail


@pytest.mark.parametrize("how", ["down", "empty"])
async def test_a_source_that_fails_takes_nothing_away(tmp_path: Path, how: str) -> None:
    async with syncing(tmp_path, "ann", "bob") as one:
        await one.until_states(ann="in-step", bob="in-step")
        if how == "down":
            one.source.error = SyncError("Convex is down", "Wait.")
        else:
            one.source.empty = True
        report = await one.run()
        assert ("Convex is down" if how == "down" else "no persona any more") in report.problem
        assert agents(one) == {"ann", "bob"}
        assert one.soul("bob").exists()
        assert one.loop.state.problem == report.problem
        assert one.loop.state.hint
        one.source.error, one.source.empty = None, False
        assert (await one.run()).problem == ""
        assert one.loop.state.problem == ""


async def test_a_profile_that_an_editor_is_saving_is_not_gone(tmp_path: Path) -> None:
    async with syncing(tmp_path, "ann", "bob") as one:
        await one.until_states(ann="in-step", bob="in-step")
        one.source.saving = {"bob"}
        assert (await one.run()).archived == []
        assert one.source.saving == set()
        await one.until_states(ann="in-step", bob="in-step")


async def test_an_empty_source_is_believed_neither_after_a_new_start(tmp_path: Path) -> None:
    async with syncing(tmp_path, "ann") as one:
        await one.until_states(ann="in-step")

    def empty(one: Syncing) -> None:
        one.source.empty = True

    async with syncing(tmp_path, prepare=empty) as one:
        assert "no persona any more" in one.loop.state.problem
        assert one.soul("ann").exists()
        assert json.loads((one.root / MANIFEST).read_text())["workspaces"].keys() == {"ann"}


async def test_a_workspace_root_that_is_suddenly_empty_is_not_filled_again(tmp_path: Path) -> None:
    """As when the volume is not mounted any more."""
    async with syncing(tmp_path, "ann") as one:
        await one.until_states(ann="in-step")
        shutil.rmtree(one.root)
        report = await one.run()
        assert "has lost everything" in report.problem
        assert not one.root.exists()
        assert (await one.run(accept_empty=True)).problem == ""
        assert one.soul("ann").is_file()


@pytest.mark.parametrize("which", ["manifest", "config", "last good"])
async def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(tmp_path: Path, which: str) -> None:
    """Agents work in the folder of the workspaces."""
    async with syncing(tmp_path, "ann") as one:
        await one.until_states(ann="in-step")
        good = one.config.with_name(f"{one.config.name}.clawtui-last-good")
        path = {"manifest": one.root / MANIFEST, "config": one.config, "last good": good}[which]
        path.unlink(missing_ok=True)
        os.mkfifo(path)
        try:
            async with asyncio.timeout(5):
                report = await one.run()
            assert path.name in report.problem or which == "last good"
        finally:
            # Whoever waits for it would wait for ever.
            with contextlib.suppress(OSError):
                os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))


async def test_a_link_in_the_place_of_the_manifest_is_not_followed(tmp_path: Path) -> None:
    async with syncing(tmp_path, "ann") as one:
        await one.until_states(ann="in-step")
        (tmp_path / "elsewhere").write_bytes((one.root / MANIFEST).read_bytes())
        (one.root / MANIFEST).unlink()
        (one.root / MANIFEST).symlink_to(tmp_path / "elsewhere")
        assert "symbolic link" in (await one.run()).problem


async def test_one_wrong_profile_stays_as_it_was_and_keeps_nobody_from_being_synced(tmp_path: Path) -> None:
    async with syncing(tmp_path, "ann", "bob") as one:
        await one.until_states(ann="in-step", bob="in-step")
        (one.personas / "bob.json").write_text('{"persona": {"name": 7}}')
        one.write("ann", soul="New.\n")
        report = await one.run()
        assert "bob.json" in report.problem
        assert one.soul("ann").read_text() == "New.\n"
        assert agents(one) == {"ann", "bob"}
        assert one.soul("bob").exists()
        assert one.states()["bob"] == "failed"


async def test_only_the_personas_that_are_chosen_are_synced_and_one_that_is_missing_is_named(tmp_path: Path) -> None:
    async with syncing(tmp_path, "ann", "bob", personas=["ann", "zoe"]) as one:
        await one.until_states(ann="in-step")
        assert "zoe" in one.loop.state.problem


async def test_what_is_wrong_with_a_persona_that_is_not_chosen_is_no_problem_here(tmp_path: Path) -> None:
    async with syncing(tmp_path, "ann", "bob", personas=["ann"]) as one:
        await one.until_states(ann="in-step")
        (one.personas / "bob.json").write_text('{"persona": {"name": 7}}')
        assert (await one.run()).problem == ""
        assert one.states() == {"ann": "in-step"}
        (one.personas / "ann.json").unlink()
        assert "no persona any more" in (await one.run()).problem
        (one.personas / "bob.json").write_text("no JSON")
        assert "bob.json" in (await one.run()).problem, "nobody can say whom it is about"


# --- gateways


async def test_a_gateway_that_is_down_gets_its_files_and_is_not_started(tmp_path: Path) -> None:
    def down(one: Syncing) -> None:
        one.gateway.state = GatewayState.DOWN

    async with syncing(tmp_path, "ann", prepare=down) as one:
        await one.until_states(ann="pending")
        assert "gateway is down" in one.view("ann").reason
        assert one.soul("ann").is_file()
        assert one.gateway.restarts == []
        one.gateway.start()
        one.loop.hurry()
        await one.until_states(ann="in-step")


async def test_one_that_does_not_reload_is_restarted_once(tmp_path: Path) -> None:
    def cold(one: Syncing) -> None:
        one.gateway.hot = False

    async with syncing(tmp_path, "ann", prepare=cold) as one:
        await one.until_states(ann="in-step")
        assert one.gateway.restarts == [("restart-it",)]


async def test_one_that_takes_nothing_is_not_restarted_in_a_loop(tmp_path: Path) -> None:
    """It reads another file than the one that is written."""

    def deaf(one: Syncing) -> None:
        one.gateway.config = tmp_path / "elsewhere.json"

    async with syncing(tmp_path, "ann", prepare=deaf, rules=FAST) as one:
        await one.until(lambda: len(one.gateway.restarts) == FAST.restarts, "restarts are used up")
        await one.until(lambda: "not again until the roster changes" in one.loop.state.proof, "it gives up")
        for _ in range(5):
            await one.run()
        assert len(one.gateway.restarts) == FAST.restarts
        assert one.states() == {"ann": "pending"}
        assert "without ann" in one.view("ann").reason
        one.write("bob")
        await one.run()
        await one.until(lambda: len(one.gateway.restarts) > FAST.restarts, "another roster is tried again")


async def test_a_restart_command_that_fails_says_so(tmp_path: Path) -> None:
    def broken(one: Syncing) -> None:
        one.gateway.hot = False
        one.gateway.restart_fails = "no such container: openclaw"

    async with syncing(tmp_path, "ann", prepare=broken) as one:
        await one.until(lambda: "no such container" in one.view("ann").reason, "the reason is shown")
        await one.until(lambda: len(one.gateway.restarts) == FAST.restarts, "restarts are used up")


@pytest.mark.parametrize(("reload", "restarts"), [("hot", 0), ("off", 0), ("restart", 1)])
async def test_reload_says_what_is_done(tmp_path: Path, reload: str, restarts: int) -> None:
    async with syncing(tmp_path, "ann", reload=reload) as one:
        await one.until_states(ann="in-step")
        assert len(one.gateway.restarts) == restarts
        await one.run()
        assert len(one.gateway.restarts) == restarts


@pytest.mark.parametrize("fails", ["", "no such container"])
async def test_a_gateway_without_an_address_is_restarted_where_that_is_wanted(tmp_path: Path, fails: str) -> None:
    def unseen(one: Syncing) -> None:
        one.gateway.reachable = False
        one.gateway.restart_fails = fails

    async with syncing(tmp_path, "ann", reload="restart", prepare=unseen) as one:
        await one.until_states(ann="pending" if fails else "in-step")
        assert len(one.gateway.restarts) == 1
        assert (fails or "nothing is asked of the gateway: it has no address") in one.loop.state.proof
        await one.run()
        assert one.states() == {"ann": "pending" if fails else "in-step"}
        if not fails:
            assert len(one.gateway.restarts) == 1
            return
        one.gateway.restart_fails = ""
        await one.until_after_runs(lambda: len(one.gateway.restarts) == 2, "it is tried again")
        assert one.states() == {"ann": "in-step"}


async def test_a_gateway_without_an_address_is_not_restarted_for_ever(tmp_path: Path) -> None:
    """Somebody else, perhaps its own start, takes our agents out of its config again and again."""

    def unseen(one: Syncing) -> None:
        one.gateway.reachable = False

    async with syncing(tmp_path, "ann", reload="restart", prepare=unseen) as one:

        def gives_up() -> bool:
            one.config.write_text(json.dumps({"gateway": {"mode": "local"}}))
            return "not again until the roster changes" in one.loop.state.proof

        await one.until_after_runs(gives_up, "it gives up")
        assert len(one.gateway.restarts) == FAST.restarts
        assert one.states() == {"ann": "pending"}
        one.write("bob")
        await one.run()
        assert len(one.gateway.restarts) == FAST.restarts + 1


@pytest.mark.parametrize("reload", ["hot", "auto", "restart"])
async def test_a_config_that_the_gateway_refuses_is_put_back_and_not_written_again(tmp_path: Path, reload: str) -> None:
    async with syncing(tmp_path, "ann", reload=reload) as one:
        await one.until_states(ann="in-step")
        good = one.config.read_text()
        one.gateway.refuses = lambda agents: "bad" in agents
        one.write("bad")
        await one.run()
        await one.until(lambda: "bad" not in agents(one), "the config is as it was")
        await one.until(lambda: one.loop.state.problem, "the problem is told")
        assert one.config.read_text() == good
        assert one.gateway.state is GatewayState.READY
        assert "as it was before" in one.loop.state.problem
        restarts = len(one.gateway.restarts)
        for _ in range(3):
            report = await one.run()
            assert report.problem
        assert one.config.read_text() == good
        assert len(one.gateway.restarts) == restarts
        assert one.states() == {"ann": "in-step", "bad": "pending"}
        (one.personas / "bad.json").unlink()
        one.write("eve")
        await one.run()
        await one.until_states(ann="in-step", eve="in-step")
        assert one.loop.state.problem == ""


async def test_a_config_that_was_never_taken_is_not_the_one_to_go_back_to(tmp_path: Path) -> None:
    """The source changes again while the gateway is still refusing what was written before."""
    rules = msgspec.structs.replace(FAST, take_seconds=1.0)
    async with syncing(tmp_path, "ann", reload="hot", rules=rules) as one:
        await one.until_states(ann="in-step")
        good = one.config.read_text()
        one.gateway.refuses = lambda agents: "bad" in agents
        for slug in ("bad", "eve"):
            one.write(slug)
            await one.run()
            assert slug in agents(one)
        await one.until(lambda: one.loop.state.problem, "the problem is told")
        assert "as it was before" in one.loop.state.problem
        assert one.config.read_text() == good


async def test_a_refused_config_is_tried_again_when_a_person_changed_their_part_of_it(
    tmp_path: Path,
) -> None:
    async with syncing(tmp_path, "ann", reload="hot") as one:
        await one.until_states(ann="in-step")
        one.gateway.refuses = lambda agents: "bob" in agents
        one.write("bob")
        await one.run()
        await one.until(lambda: "bob" not in agents(one), "the config is as it was")
        await one.until(lambda: one.loop.state.problem, "the problem is told")
        one.gateway.refuses = lambda agents: False
        await one.run()
        assert "bob" not in agents(one), "nothing was changed, so nothing is tried"
        one.config.write_text("// mended\n" + one.config.read_text())
        await one.run()
        await one.until_states(ann="in-step", bob="in-step")
        assert one.loop.state.problem == ""


async def test_what_a_person_changed_in_a_config_that_is_refused_is_not_taken_back(tmp_path: Path) -> None:
    rules = msgspec.structs.replace(FAST, take_seconds=2.0)
    async with syncing(tmp_path, "ann", reload="hot", rules=rules) as one:
        await one.until_states(ann="in-step")
        one.gateway.refuses = lambda agents: "bob" in agents
        one.write("bob")
        await one.run()
        mine = one.config.read_text() + "\n\n"
        one.config.write_text(mine)
        await one.until(lambda: one.loop.state.problem, "the problem is told")
        assert "left as it is" in one.loop.state.problem
        assert one.config.read_text() == mine
        one.gateway.refuses = lambda agents: False
        await one.run()
        await one.until_states(ann="in-step", bob="in-step")
        assert one.loop.state.problem == ""


async def test_an_older_gateway_gets_a_list(tmp_path: Path) -> None:
    def older(one: Syncing) -> None:
        one.gateway.version = "2026.7"

    async with syncing(tmp_path, "ann", "bob", prepare=older) as one:
        await one.until_states(ann="in-step", bob="in-step")
        listed = json.loads(one.config.read_text())["agents"]["list"]
        assert {entry["id"] for entry in listed} == {"ann", "bob"}
        assert sum(entry.get("default", False) for entry in listed) == 1


@pytest.mark.parametrize("reload", ["auto", "off", "no address"])
async def test_a_config_that_is_no_json_is_left_alone_and_named(tmp_path: Path, reload: str) -> None:
    """Also where nothing is asked of the gateway, nobody is in step with a config that was not written."""

    def unseen(one: Syncing) -> None:
        one.gateway.reachable = reload != "no address"

    (tmp_path / "openclaw.json").write_text("{ agents: ")
    setting = "off" if reload == "off" else "auto"
    async with syncing(tmp_path, "ann", prepare=unseen, reload=setting) as one:
        await one.until(lambda: one.loop.state.problem, "a problem")
        assert "openclaw.json" in one.loop.state.problem
        assert one.config.read_text() == "{ agents: "
        assert one.soul("ann").is_file()
        assert one.states() == {"ann": "pending"}


async def test_agents_of_others_stay_and_are_no_difference(tmp_path: Path) -> None:
    theirs = {
        "agents": {"ownership": "explicit", "entries": {"theirs": {"workspace": "/x"}}},
        "gateway": {"mode": "local"},
    }
    (tmp_path / "openclaw.json").write_text(json.dumps(theirs))
    async with syncing(tmp_path, "ann") as one:
        await one.until_states(ann="in-step")
        assert agents(one) == {"ann", "theirs"}


async def test_who_else_writes_a_refused_config_does_not_make_the_gateway_restart_for_ever(tmp_path: Path) -> None:
    async with syncing(tmp_path, "ann") as one:
        await one.until_states(ann="in-step")
        one.gateway.refuses = lambda agents: "bad" in agents
        one.write("bad")
        for number in range(8):
            # As a gateway does that notes in its config when it was started.
            config = json.loads(one.config.read_text())
            one.config.write_text(json.dumps({**config, "meta": {"lastTouchedVersion": f"2026.9.{number}"}}))
            await one.run()
            await one.until(lambda: one.loop.settled, "nothing is waited for")
        assert len(one.gateway.restarts) <= FAST.restarts + 1


# --- decisions


async def test_decisions(tmp_path: Path) -> None:
    async with syncing(tmp_path, "ann") as one:
        await one.until_states(ann="in-step")
        one.soul("ann").write_text("A human's.\n")
        await one.run()
        await one.until_states(ann="drifted")
        decided = {("ann", "SOUL.md"): Decision.KEEP}
        assert (await one.loop.resolve("ann", Wish(decisions=decided))).state == "in-step"
        assert one.soul("ann").read_text() == "A human's.\n"
        again = Wish(decisions={("ann", "SOUL.md"): Decision.APPLY})
        assert (await one.loop.resolve("ann", again)).state == "in-step"
        assert one.soul("ann").read_text() != "A human's.\n"
        one.soul("ann").write_text("Another one.\n")
        await one.run()
        adopted = Wish(decisions={("ann", "SOUL.md"): Decision.ADOPT}, adopt=[("ann", "SOUL.md")])
        assert (await one.loop.resolve("ann", adopted)).state == "in-step"
        assert json.loads((one.personas / "ann.json").read_text())["persona"]["soul"] == "Another one.\n"
        one.soul("ann").write_text("A third.\n")
        await one.run()
        applied = Wish(decisions={("ann", "SOUL.md"): Decision.APPLY})
        assert (await one.loop.resolve("ann", applied)).state == "in-step"
        assert one.soul("ann").read_text() == "Another one.\n"
        kept = [path for path in (one.root / "ann").rglob("*") if ".clawtui-archive" in path.parts and path.is_file()]
        assert {path.read_text() for path in kept} == {"A human's.\n", "A third.\n"}


async def test_a_decision_when_the_source_is_down_changes_nothing(tmp_path: Path) -> None:
    async with syncing(tmp_path, "ann") as one:
        await one.until_states(ann="in-step")
        one.soul("ann").write_text("A human's.\n")
        await one.run()
        one.source.error = SyncError("Convex is down")
        with pytest.raises(Conflict, match="Convex is down"):
            await one.loop.resolve("ann", Wish(decisions={("ann", "SOUL.md"): Decision.APPLY}))
        assert one.soul("ann").read_text() == "A human's.\n"


async def test_who_waits_when_the_loop_ends_is_told(tmp_path: Path) -> None:
    async with syncing(tmp_path, "ann") as one:
        loop = one.loop
    with pytest.raises(Conflict, match="ended"):
        await loop.run_now(Wish())


async def test_who_is_served_when_the_loop_ends_is_told_that_it_ended(tmp_path: Path) -> None:
    async with asyncio.TaskGroup() as group:
        async with syncing(tmp_path, "ann") as one:
            one.source.gate, loads = asyncio.Event(), one.source.loads
            asking = group.create_task(ended(one))
            await one.until(lambda: one.source.loads > loads, "the run began")
        assert "was ended or set anew" in await asking


async def test_who_asks_a_loop_that_never_runs_is_told(tmp_path: Path) -> None:
    """Its gateway was set anew before it came to its first turn."""
    async with syncing(tmp_path, "ann") as one, asyncio.TaskGroup() as group:
        one.loop = TargetLoop(one.loop.gateway, one.needs)
        asking = group.create_task(ended(one))
        await asyncio.sleep(0)
        one.loop.close()
        assert "was ended or set anew" in await asking


async def ended(one: Syncing) -> str:
    with pytest.raises(Conflict) as refused:
        await one.run()
    return refused.value.message
