"""Agents in containers with the real runtime, and the image they are made from."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import shlex
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import pytest

from hub.core.model import Observed
from hub.drivers.base import LogRequest
from hub.drivers.docker.engine import Call, EngineConflict, EngineNotFound
from hub.drivers.docker.image import prepare
from hub.errors import Conflict, DriverFailed
from profiles.image import Recipe
from runtime import wire
from tests.drivers.contract import collect, no_progress, texts
from tests.drivers.docker_bench import PYTHON, DockerBench, RelayReach, build_options
from tests.hub.images.image_bench import ImageBench
from tests.runtime.fakehub import Door, FakeHub

pytestmark = pytest.mark.docker

CONNECT_SECONDS = 20.0
RESIDENT_BUDGET_BYTES = 40e6


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[DockerBench]:
    made = DockerBench(tmp_path)
    yield made
    await made.close()


@pytest.mark.parametrize("network", ["", "isolated"])
async def test_an_agent_joins_over_the_gateway_and_works(bench: DockerBench, network: str) -> None:
    plan = msgspec.structs.replace(bench.plan(), network=network, capabilities=("a", "b"), concurrency=3)
    hub = FakeHub(door=Door(join_tokens={plan.join_token: None}))
    async with hub.running() as url:
        reach = RelayReach(bench.hub_id, bench.folder, urlsplit(url).port or 0)
        driver = bench.make_driver(command=(), reach=reach)
        try:
            handle = await driver.create(plan, no_progress)
            peer = await hub.wait_connected(seconds=CONNECT_SECONDS)
            hello = peer.of(wire.Hello)[0]
            assert (peer.agent_id, hello.capabilities, hello.concurrency) == (plan.agent_id, ["a", "b"], 3)
            done = await hub.run("t:1", wire.Exec(command="id -u; pwd; env | grep -c -e ctj_ -e TOKEN"))
            assert (done.stdout, done.exit_code) == ("1000\n/workspace\n0\n", 1)
            name = f"openclaw-agent-{plan.agent_id}"
            assert bench.outside.run_in(name, PYTHON, "-P", "-m", "runtime.healthcheck")[0] == 0
            await driver.stop(handle, 20)
            stopped = await driver.inspect(handle)
            assert (stopped.state, stopped.exit_code) == (Observed.EXITED, 0)
            assert peer.of(wire.Bye), "a stopped agent says good-bye"
            await driver.start(handle)
            await hub.wait_connected(2, seconds=CONNECT_SECONDS)
            assert texts(await collect(driver, handle, LogRequest()))
            await driver.destroy(handle)
        finally:
            reach.close()
    assert await bench.leftovers(plan) == []


async def test_an_agent_without_network_joins_through_its_socket(bench: DockerBench) -> None:
    plan = msgspec.structs.replace(bench.plan(), network="none", read_only=True)
    hub = FakeHub(door=Door(join_tokens={plan.join_token: None}))
    driver = bench.make_driver(command=())
    handle = await driver.create(plan, no_progress)
    place = bench.folder / "run" / plan.uid / "agent.sock"
    # The agent is there first and tries again: a hub that comes back makes its socket anew in the same folder.
    async with hub.running(place):
        place.chmod(0o666)
        await hub.wait_connected(seconds=CONNECT_SECONDS)
        assert (await hub.run("t:1", wire.Exec(command="ls /sys/class/net"))).stdout == "lo\n"
        await driver.destroy(handle)


async def test_the_image_is_built_once_and_carries_the_owner(bench: DockerBench) -> None:
    name = prepare(build_options())[0].name
    await bench.driver.create(bench.plan(), no_progress)
    found = bench.outside.get(f"/images/{name}/json")
    assert found["Config"]["Labels"] == {"clawtui.owner": "clawtui"}
    told: list[str] = []
    await bench.make_driver().create(bench.plan(), lambda _fraction, line: told.append(line))
    assert not [line for line in told if line.startswith("building")]


@pytest.fixture
def other_image(bench: DockerBench, tmp_path: Path) -> Iterator[Path]:
    """Certificates that no build has seen, so that its image is new; removed afterwards."""
    certificates = tmp_path / "extra.crt"
    known = build_options().extra_ca
    content = known.read_bytes() if known is not None else b""
    certificates.write_bytes(content + f"# {bench.hub_id}\n".encode())
    name = prepare(msgspec.structs.replace(build_options(), extra_ca=certificates))[0].name
    own = prepare(build_options())[0].name
    before = nameless_images(bench)
    yield certificates
    for image in (name, *(nameless_images(bench) - before)):
        # Never built, or still the base of another one that goes with it.
        with contextlib.suppress(EngineNotFound, EngineConflict):
            bench.outside.engine.call(Call("DELETE", f"/images/{image}"))
    with contextlib.suppress(EngineNotFound):
        bench.outside.post(f"/images/{own}/tag", repo="openclaw-agent-base", tag="latest")


def nameless_images(bench: DockerBench) -> set[str]:
    """The stages of builds, which the engine keeps for the next build."""
    return {image["Id"] for image in bench.outside.get("/images/json", filters='{"dangling":["true"]}')}


async def test_creates_at_the_same_moment_share_one_build(bench: DockerBench, other_image: Path) -> None:
    driver = bench.make_driver(build=msgspec.structs.replace(build_options(), extra_ca=other_image))
    told: list[str] = []
    async with asyncio.TaskGroup() as group:
        for plan in (bench.plan(), bench.plan()):
            group.create_task(driver.create(plan, lambda _fraction, line: told.append(line)))
    assert len([line for line in told if ", step 1 of " in line]) == 1
    assert len([line for line in told if line.startswith("waiting for")]) == 1


async def test_a_build_that_fails_says_why_and_leaves_nothing(
    bench: DockerBench, other_image: Path, tmp_path: Path
) -> None:
    pip = tmp_path / "pip.conf"
    pip.write_text("[global]\nretries = 0\nindex-url = http://127.0.0.1:9/simple\n")
    options = msgspec.structs.replace(build_options(), extra_ca=other_image, pip_config=pip)
    plan = bench.plan()
    with pytest.raises(DriverFailed) as caught:
        await bench.make_driver(build=options).create(plan, no_progress)
    assert "No matching distribution" in caught.value.message
    assert "CLAWTUI_EXTRA_CA" in caught.value.hint
    assert await bench.leftovers(plan) == []


async def test_a_build_is_ended_with_its_create(bench: DockerBench, other_image: Path) -> None:
    options = msgspec.structs.replace(build_options(), extra_ca=other_image)
    driver = bench.make_driver(build=options)
    steps = itertools.count()

    def cancel_in_the_middle(_fraction: float, line: str) -> None:
        if ", step " in line and next(steps) == 7:
            create.cancel()

    async with asyncio.TaskGroup() as group:
        create = group.create_task(driver.create(bench.plan(), cancel_in_the_middle))
        await asyncio.wait([create])
    assert create.cancelled()
    with pytest.raises(EngineNotFound):
        bench.outside.get(f"/images/{prepare(options)[0].name}/json")


async def test_a_foreign_image_of_our_name_is_left_alone(bench: DockerBench, other_image: Path) -> None:
    options = msgspec.structs.replace(build_options(), extra_ca=other_image)
    name = prepare(options)[0].name
    bench.outside.post("/images/debian:bookworm-slim/tag", repo="openclaw-agent-base", tag=name.split(":")[1])
    before = bench.outside.get(f"/images/{name}/json")["Id"]
    with pytest.raises(Conflict, match="was not made by clawtui"):
        await bench.make_driver(build=options).create(bench.plan(), no_progress)
    assert bench.outside.get(f"/images/{name}/json")["Id"] == before


async def test_an_agent_is_online_within_its_budget(bench: DockerBench) -> None:
    """The budget is 1.0 s beyond what starting a container takes in the same run, doubled for a busy test machine."""
    plan = bench.plan()
    hub = FakeHub(door=Door(join_tokens={plan.join_token: None}))
    async with hub.running() as url:
        reach = RelayReach(bench.hub_id, bench.folder, urlsplit(url).port or 0)
        driver = bench.make_driver(command=(), reach=reach)
        try:
            # What is made once per engine is not part of it.
            await driver.create(bench.plan(), no_progress)
            began = time.monotonic()
            bench.outside.make_container(f"{bench.hub_id}-bare", Cmd=["sleep", "60"])
            bench.outside.post(f"/containers/{bench.hub_id}-bare/start")
            bare_seconds = time.monotonic() - began
            began = time.monotonic()
            await driver.create(plan, no_progress)
            await hub.wait_until(lambda: any(peer.agent_id == plan.agent_id for peer in hub.peers), CONNECT_SECONDS)
            seconds = time.monotonic() - began
            resident = _resident_bytes(bench, f"openclaw-agent-{plan.agent_id}")
        finally:
            reach.close()
            bench.outside.remove_container(f"{bench.hub_id}-bare")
    assert seconds - bare_seconds < 2.0, (seconds, bare_seconds)
    assert resident < RESIDENT_BUDGET_BYTES


def _resident_bytes(bench: DockerBench, name: str) -> int:
    processes = bench.outside.get(f"/containers/{name}/top", ps_args="-o pid,rss,args")["Processes"]
    return sum(int(row[1]) for row in processes) * 1024


WEB_SERVER = """\
FROM openclaw-agent-base
USER root
RUN echo hello > /srv/index.html
EXPOSE 80
USER agent
CMD ["python3", "-u", "-m", "http.server", "80", "--directory", "/srv"]
"""


@pytest.fixture
async def web_image(tmp_path: Path) -> AsyncIterator[Recipe]:
    """A custom Dockerfile with a web server in CMD; its image is removed afterwards."""
    images = ImageBench(tmp_path / "images")
    yield images.custom(WEB_SERVER)
    await images.close()


async def test_the_images_program_runs_beside_the_agent_and_ends_with_it(web_image: Recipe, bench: DockerBench) -> None:
    plan = msgspec.structs.replace(bench.plan(), recipe=web_image)
    hub = FakeHub(door=Door(join_tokens={plan.join_token: None}))
    async with hub.running() as url:
        reach = RelayReach(bench.hub_id, bench.folder, urlsplit(url).port or 0)
        driver = bench.make_driver(command=(), reach=reach)
        try:
            handle = await driver.create(plan, no_progress)
            peer = await hub.wait_connected(seconds=CONNECT_SECONDS)
            fetch = "python3 -c 'import urllib.request as u; print(u.urlopen(\"http://127.0.0.1\").read().decode())'"
            asked = f"until {fetch} 2>/dev/null; do sleep 0.1; done; pgrep -cx python3; pwd"
            done = await hub.run("t:1", wire.Exec(command=f"timeout 20 sh -c {shlex.quote(asked)}"))
            assert done.stdout == "hello\n\n1\n/workspace\n", done.stderr
            first = bench.outside.run_in(f"openclaw-agent-{plan.agent_id}", "cat", "/proc/1/comm")
            assert first == (0, "docker-init\n")
            kill = await hub.run("t:2", wire.Exec(command="pkill -KILL -x python3"))
            assert kill.exit_code == 0
            again = await hub.run("t:3", wire.Exec(command=f"timeout 20 sh -c {shlex.quote(asked)}"))
            assert (again.stdout or "").startswith("hello"), "it is started again"
            logged = [line.data for line in peer.of(wire.Log) if line.attempt_id is None]
            assert any(line.startswith("companion_failed code=137") for line in logged), logged
            assert any("GET / HTTP/1.1" in line for line in logged), "its output is in the agent's log"
            began = time.monotonic()
            await driver.stop(handle, 20)
            assert (await driver.inspect(handle)).exit_code == 0
            assert time.monotonic() - began < 10, "nothing had to be killed"
            await driver.destroy(handle)
        finally:
            reach.close()
