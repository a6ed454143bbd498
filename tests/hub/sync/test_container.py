"""A gateway in a container: what it mounts, who checks its config, and what restarts it; the platform is a fake."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from hub.contract import GatewayState, MountMapping
from hub.drivers.containers import Executed, Mounted, MountKind
from hub.drivers.fake import FakeContainer, FakeDriver, FakePlatform
from hub.sync.container import GRACE_SECONDS, NO_PROGRAM, NOT_READ, NOT_SEEN
from tests.hub.sync.syncing import Syncing, syncing

NAME = "gw"


def bind(source: Path, destination: str, *, writable: bool = True) -> Mounted:
    return Mounted(kind=MountKind.BIND, source=str(source), destination=destination, writable=writable)


def platform(*mounts: Mounted, checks: Callable[[str], Sequence[str]] | None = None, **variables: str) -> FakePlatform:
    """A platform with the container. `checks`: from a config's text to what its program objects to."""
    made = FakePlatform()
    container = made.containers[NAME] = FakeContainer(*mounts, **variables)

    def shell(_: Sequence[str], environ: Mapping[str, str]) -> Executed:
        if checks is None:
            return Executed(code=NO_PROGRAM)
        inside = Path(environ["OPENCLAW_CONFIG_PATH"])
        for one in mounts:
            if inside.is_relative_to(one.destination):
                found = checks(Path(one.source, inside.relative_to(one.destination)).read_text())
                issues = [{"path": "agents", "message": issue} for issue in found]
                answer = json.dumps({"valid": not issues, "issues": issues}).encode()
                return Executed(code=bool(issues), output=b"[plugins] loading\n" + answer)
        return Executed(code=NOT_SEEN)

    container.programs["/bin/sh"] = shell
    return made


def syncing_in(folder: Path, world: FakePlatform, *personas: str, **settings: Any) -> Any:
    driver = FakeDriver("hub", world)
    return syncing(folder, *personas, containers=driver.containers, container=NAME, restart_command=[], **settings)


def workspaces(one: Syncing) -> dict[str, str]:
    return {slug: entry["workspace"] for slug, entry in json.loads(one.config.read_text())["agents"]["entries"].items()}


# --- mounts


async def test_mounts_are_taken_from_the_container(tmp_path: Path) -> None:
    async with syncing_in(tmp_path, platform(bind(tmp_path, "/data")), "ann") as one:
        await one.until_states(ann="in-step")
        assert workspaces(one) == {"ann": "/data/agents/ann"}
        assert one.loop.state.problem == ""
        assert (await one.run()).config_changed is False


async def test_mounts_that_are_named_wrong_are_told_and_not_believed(tmp_path: Path) -> None:
    wrong = MountMapping(host=str(tmp_path), container="/elsewhere")
    async with syncing_in(tmp_path, platform(bind(tmp_path, "/data")), "ann", mounts=[wrong]) as one:
        await one.until_states(ann="in-step")
        assert workspaces(one) == {"ann": "/data/agents/ann"}
        assert one.loop.state.problem.startswith("mounts[0]: the container gw mounts nothing at /elsewhere")
        assert "Say /data" in one.loop.state.hint


async def test_a_gateway_that_does_not_see_its_workspaces_gets_nothing(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    world = platform(bind(tmp_path / "other", "/data"))
    async with syncing_in(tmp_path, world, "ann") as one:
        state = one.loop.state
        assert "workspaceRoot: the container gw does not see the workspaces" in state.problem
        assert "configPath:" in state.problem
        assert f"-v {one.root}:" in state.hint
        assert not one.config.exists()
        world.containers[NAME].mounts = (bind(tmp_path, "/data"),)
        assert (await one.run()).problem == ""
        await one.until_states(ann="in-step")


async def test_what_is_odd_about_mounts_is_told_and_the_sync_goes_on(tmp_path: Path) -> None:
    (tmp_path / "agents").mkdir()
    mounts = (
        bind(tmp_path / "agents", "/agents", writable=False),
        bind(tmp_path / "openclaw.json", "/home/node/.openclaw/openclaw.json"),
        Mounted(kind=MountKind.OTHER, source="", destination="/tmp"),
    )
    world = platform(*mounts, OPENCLAW_STATE_DIR="/state", GATEWAY_TOKEN="secret")
    async with syncing_in(tmp_path, world, "ann") as one:
        await one.until_states(ann="in-step")
        assert workspaces(one) == {"ann": "/agents/ann"}
        problem = one.loop.state.problem
        for word in ("workspaceRoot", "read-only", "configPath", "(a rename)", "reads /state/openclaw.json"):
            assert word in problem
        (note,) = one.loop.state.notes
        assert "not validated in the container gw" in note


# --- away


@pytest.mark.parametrize("how", ["gone", "away"])
async def test_without_the_container_workspaces_are_written_and_the_config_waits(tmp_path: Path, how: str) -> None:
    world = platform(bind(tmp_path, "/data"))
    container = world.containers.pop(NAME) if how == "gone" else world.containers[NAME]
    world.away = "no engine answers" if how == "away" else ""
    says = "there is no container gw" if how == "gone" else "no engine answers"
    async with syncing_in(tmp_path, world, "ann") as one:
        state = one.loop.state
        assert one.soul("ann").is_file()
        assert not one.config.exists()
        assert says in state.problem
        assert state.hint
        assert one.states() == {"ann": "pending"}
        world.containers[NAME], world.away = container, ""
        await one.run()
        await one.until_states(ann="in-step")
        assert workspaces(one) == {"ann": "/data/agents/ann"}


async def test_while_the_engine_is_away_mounts_are_as_they_were(tmp_path: Path) -> None:
    world = platform(bind(tmp_path, "/data"))
    async with syncing_in(tmp_path, world, "ann") as one:
        await one.until_states(ann="in-step")
        world.away = "no engine answers"
        one.write("bob")
        assert (await one.run()).problem == "container: no engine answers"
        await one.until_states(ann="in-step", bob="in-step")
        assert workspaces(one) == {"ann": "/data/agents/ann", "bob": "/data/agents/bob"}


async def test_mounts_that_are_named_do_without_the_container(tmp_path: Path) -> None:
    world = FakePlatform()
    named = MountMapping(host=str(tmp_path), container="/data")
    async with syncing_in(tmp_path, world, "ann", mounts=[named]) as one:
        await one.until_states(ann="in-step")
        assert workspaces(one) == {"ann": "/data/agents/ann"}
        assert one.loop.state.problem == "container: there is no container gw"


async def test_a_stopped_container_is_told_and_synced(tmp_path: Path) -> None:
    world = platform(bind(tmp_path, "/data"), checks=lambda _: [])
    world.containers[NAME].state = "exited"
    async with syncing_in(tmp_path, world, "ann") as one:
        await one.until_states(ann="in-step")
        assert one.loop.state.problem == "container: gw does not run, it is exited"
        assert "docker start gw" in one.loop.state.hint
        assert world.containers[NAME].executed == []
        assert any("it does not run" in note for note in one.loop.state.notes)


async def test_a_hub_without_an_engine_says_so(tmp_path: Path) -> None:
    async with syncing(tmp_path, "ann", container=NAME) as one:
        assert (
            "where gw has the workspaces is not known: no driver of this hub has containers" in one.loop.state.problem
        )
        assert one.soul("ann").is_file()


# --- the gateway's own check


async def test_the_container_checks_a_config_before_it_is_used(tmp_path: Path) -> None:
    def checks(text: str) -> Sequence[str]:
        return ["no bob"] if "bob" in text else []

    world = platform(bind(tmp_path, "/data"), checks=checks)
    async with syncing_in(tmp_path, world, "ann") as one:
        await one.until_states(ann="in-step")
        ((argv, environ),) = world.containers[NAME].executed
        assert environ["OPENCLAW_CONFIG_PATH"].startswith("/data/.openclaw")
        assert "config validate --json" in argv[2]
        assert one.loop.state.notes == ()
        one.write("bob")
        report = await one.run()
        assert "agents: no bob" in report.problem
        assert report.notes == []
        assert set(workspaces(one)) == {"ann"}
        assert [path.name for path in tmp_path.glob(".openclaw*")] == []


async def test_what_was_wrong_before_keeps_nobody_from_being_synced(tmp_path: Path) -> None:
    world = platform(bind(tmp_path, "/data"), checks=lambda _: ["an old plugin"])
    (tmp_path / "openclaw.json").write_text('{"gateway": {"mode": "local"}}')
    async with syncing_in(tmp_path, world, "ann") as one:
        await one.until_states(ann="in-step")
        assert len(world.containers[NAME].executed) == 2


@pytest.mark.parametrize(
    ("ended", "says"),
    [
        (Executed(code=NO_PROGRAM), "neither openclaw nor dist/index.js"),
        (Executed(code=NOT_SEEN), "does not see the file"),
        (Executed(code=NOT_READ), "its user cannot read the file"),
        (Executed(code=127), "it has no shell"),
        (Executed(code=None), "did not end within"),
        (Executed(code=1, output=b"Error: unknown command"), "ended with 1 and without an answer"),
    ],
)
async def test_a_container_that_cannot_say_objects_to_nothing(tmp_path: Path, ended: Executed, says: str) -> None:
    world = platform(bind(tmp_path, "/data"))
    world.containers[NAME].programs["/bin/sh"] = lambda *_: ended
    async with syncing_in(tmp_path, world, "ann") as one:
        await one.until_states(ann="in-step")
        (note,) = one.loop.state.notes
        assert note.startswith("the config was not validated in the container gw: ")
        assert says in note


async def test_what_is_wrong_with_mounts_is_told_beside_a_config_that_is_refused(tmp_path: Path) -> None:
    world = platform(bind(tmp_path, "/data", writable=False), checks=lambda _: ["no"])
    async with syncing_in(tmp_path, world, "ann") as one:
        assert "agents: no" in one.loop.state.problem
        assert any(note.startswith("workspaceRoot: ") for note in one.loop.state.notes)


# --- restart


async def test_a_gateway_that_does_not_take_its_config_has_its_container_restarted(tmp_path: Path) -> None:
    world = platform(bind(tmp_path, "/data"))

    def cold(one: Syncing) -> None:
        one.gateway.hot = False

    async with syncing_in(tmp_path, world, "ann", prepare=cold) as one:
        await one.until(lambda: len(world.containers[NAME].graces) == 3, "it was restarted as often as allowed")
        await one.until(lambda: "it was restarted 3 times" in one.loop.state.proof, "it is given up")
        assert world.containers[NAME].graces == [GRACE_SECONDS] * 3
        assert one.gateway.restarts == []


async def test_a_command_is_used_instead_of_the_container(tmp_path: Path) -> None:
    world = platform(bind(tmp_path, "/data"))

    def cold(one: Syncing) -> None:
        one.gateway.hot = False

    driver = FakeDriver("hub", world)
    async with syncing(
        tmp_path, "ann", prepare=cold, containers=driver.containers, container=NAME, restart_command=["again"]
    ) as one:
        await one.until_states(ann="in-step")
        assert one.gateway.restarts == [("again",)]
        assert world.containers[NAME].graces == []


async def test_a_restart_that_fails_says_so(tmp_path: Path) -> None:
    world = platform(bind(tmp_path, "/data"))

    def cold(one: Syncing) -> None:
        one.gateway.hot = False

    async with syncing_in(tmp_path, world, "ann", prepare=cold) as one:
        world.away = "no engine answers"
        words = "the restart of container gw failed: no engine answers"
        await one.until(lambda: words in one.view("ann").reason, "it says why")
        assert one.gateway.state is GatewayState.READY
