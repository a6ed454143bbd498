"""Everything listens where it should and nowhere else, and a stop leaves nothing behind."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import stat
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect, unix_connect
from websockets.exceptions import InvalidStatus

from hub.api.server import remove_stale_folders
from hub.config import TlsFiles
from hub.errors import StartFailed
from tests.hub.api.conftest import Served, serving
from tests.hub.api.scripted import ADMIN
from tests.hub.api.tls import CERTIFICATE, KEY


async def test_the_addresses_are_those_really_used(served: Served) -> None:
    listeners = served.listeners
    assert listeners.addresses == {
        "agents": f"ws://127.0.0.1:{listeners.agents_port}",
        "api": f"http://127.0.0.1:{listeners.api_port}",
        "socket": f"unix:{served.config.state_folder}/hub.sock",
    }
    assert stat.S_IMODE(listeners.socket_path.stat().st_mode) == 0o600


async def test_a_stop_frees_ports_and_removes_the_socket(state_folder: Path) -> None:
    async with serving(state_folder) as served:
        agents, api = served.listeners.agents_port, served.listeners.api_port
    assert list(state_folder.iterdir()) == []
    async with serving(state_folder, agents_port=agents, api_port=api) as again:
        assert (again.listeners.agents_port, again.listeners.api_port) == (agents, api)


async def test_no_tcp_port_at_all(state_folder: Path) -> None:
    async with serving(state_folder, agents_port=None, api_port=None) as served:
        assert list(served.listeners.addresses) == ["socket"]
        async with served.local(ADMIN) as client:
            assert (await client.get("/agents")).status_code == 200
        with pytest.raises(StartFailed):
            await served.listeners.add_agents_host("127.0.0.2")


async def test_a_start_that_fails_binds_nothing(state_folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        served = Served(state_folder, api_port=taken.getsockname()[1])
        with pytest.raises(StartFailed) as refused:
            await served.listeners.start()
    assert refused.value.code == "port_busy"
    assert "--port-api" in refused.value.hint
    assert list(state_folder.iterdir()) == []


async def test_a_second_hub_on_the_folder_is_refused_and_the_first_lives_on(served: Served) -> None:
    second = Served(served.config.state_folder)
    with pytest.raises(StartFailed) as refused:
        await second.listeners.start()
    assert refused.value.code == "second_hub"
    async with served.local(ADMIN) as client:
        assert (await client.get("/agents")).status_code == 200


async def test_a_folder_too_long_for_sockets_is_refused_with_the_remedy(state_folder: Path) -> None:
    folder = state_folder / ("x" * 80)
    folder.mkdir()
    with pytest.raises(StartFailed) as refused:
        await Served(folder).listeners.start()
    assert refused.value.code == "socket_path_too_long"


# --- beyond this machine -------------------------------------------------------------------------


@pytest.mark.parametrize("field", ["listen_agents", "listen_api"])
@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
async def test_leaving_this_machine_without_tls_is_refused(field: str, host: str, state_folder: Path) -> None:
    served = Served(state_folder, **{field: ("127.0.0.1", host)})
    with pytest.raises(StartFailed) as refused:
        await served.listeners.start()
    assert refused.value.code == "insecure_listen"
    assert "--tls-cert" in refused.value.hint
    assert "--insecure-listen" in refused.value.hint
    assert f"--{field.replace('_', '-')}" in refused.value.message


async def test_leaving_this_machine_unprotected_on_purpose(state_folder: Path) -> None:
    async with serving(state_folder, listen_api=("0.0.0.0",), insecure_listen=True) as served:
        async with served.client() as client:
            assert (await client.get("/agents")).status_code == 200


@pytest.fixture
def tls_files(tmp_path: Path) -> TlsFiles:
    files = TlsFiles(certificate=tmp_path / "cert.pem", key=tmp_path / "key.pem")
    files.certificate.write_text(CERTIFICATE)
    files.key.write_text(KEY)
    return files


async def test_tls_protects_both_ports_and_not_the_unix_socket(state_folder: Path, tls_files: TlsFiles) -> None:
    trusting = ssl.create_default_context(cafile=str(tls_files.certificate))
    async with serving(state_folder, tls=tls_files, listen_api=("0.0.0.0",)) as served:
        agents_url, api_url = served.listeners.agents_url, served.listeners.api_url
        assert agents_url is not None
        assert api_url is not None
        assert agents_url.startswith("wss://")
        async with httpx.AsyncClient(base_url=api_url, verify=trusting) as client:
            assert (await client.get("/health")).status_code == 200
        async with connect(f"{agents_url}/agent/a-1", ssl=trusting, proxy=None) as websocket:
            await websocket.send("over TLS")
            assert await websocket.recv() == "over TLS"
        async with served.local(ADMIN) as client:
            assert (await client.get("/agents")).status_code == 200
        async with httpx.AsyncClient(base_url=api_url.replace("https", "http")) as client:
            with pytest.raises(httpx.HTTPError):
                await client.get("/health")


# --- agents --------------------------------------------------------------------------------------


async def test_agents_come_over_tcp_and_the_unix_socket_in_both_forms(served: Served) -> None:
    for path in ("/agent/a-1", "/agent/a-1/cta_secret"):
        async with connect(f"{served.listeners.agents_url}{path}", proxy=None) as websocket:
            await websocket.send("x")
            assert await websocket.recv() == "x"
        async with unix_connect(str(served.listeners.socket_path), f"ws://hub{path}") as websocket:
            await websocket.send("x")
            assert await websocket.recv() == "x"
    assert served.agent_calls == [("a-1", None)] * 4


async def test_an_agents_own_socket_serves_that_agent_only(served: Served) -> None:
    folder = await served.listeners.open_agent_socket("a-1", "short1")
    path = folder / "agent.sock"
    assert folder == served.config.state_folder / "run" / "short1"
    assert [stat.S_IMODE(part.stat().st_mode) for part in (folder.parent, folder, path)] == [0o700, 0o755, 0o666]
    async with unix_connect(str(path), "ws://hub/agent/a-1") as websocket:
        await websocket.send("x")
        assert await websocket.recv() == "x"
    assert served.agent_calls == [("a-1", "a-1")]
    with pytest.raises(InvalidStatus) as refused:
        async with unix_connect(str(path), "ws://hub/agent/other/cta_secret"):
            pass
    assert refused.value.response.status_code == 403
    assert json.loads(refused.value.response.body)["error"]["code"] == "foreign_socket"
    assert served.agent_calls == [("a-1", "a-1")]
    assert served.door.refusals == [("a-1", "GET /agent/{id}", "other", "foreign socket")]
    async with served.local(ADMIN, path) as client:
        assert (await client.get("/health")).status_code == 404


async def test_an_agents_socket_can_be_opened_twice_and_closes_without_a_trace(served: Served) -> None:
    first = await served.listeners.open_agent_socket("a-1", "short1")
    assert await served.listeners.open_agent_socket("a-1", "short1") == first
    await served.listeners.close_agent_socket("a-1")
    assert not first.exists()
    await served.listeners.close_agent_socket("a-1")


async def test_an_agents_socket_comes_back_after_a_hub_that_was_killed(served: Served) -> None:
    folder = served.config.state_folder / "run" / "short1"
    folder.mkdir(parents=True, mode=0o700)
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(folder / "agent.sock"))
    await served.listeners.open_agent_socket("a-1", "short1")
    async with unix_connect(str(folder / "agent.sock"), "ws://hub/agent/a-1") as websocket:
        await websocket.send("x")
        assert await websocket.recv() == "x"


def test_folders_of_agents_that_are_gone_are_removed(state_folder: Path) -> None:
    remove_stale_folders(state_folder, set())
    for name in ("gone", "living", "with-more"):
        (state_folder / "run" / name).mkdir(parents=True)
        (state_folder / "run" / name / "agent.sock").touch()
    (state_folder / "run" / "with-more" / "file").touch()
    remove_stale_folders(state_folder, {"living"})
    assert sorted(path.name for path in (state_folder / "run").iterdir()) == ["living", "with-more"]
    assert (state_folder / "run" / "living" / "agent.sock").exists()


async def test_a_host_for_agents_can_be_added_and_closes_with_the_others(served: Served) -> None:
    url = await served.listeners.add_agents_host("127.0.0.2")
    assert url == f"ws://127.0.0.2:{served.listeners.agents_port}"
    assert await served.listeners.add_agents_host("127.0.0.2") == url
    async with connect(f"{url}/agent/a-1", proxy=None) as websocket:
        await websocket.send("x")
        assert await websocket.recv() == "x"
    async with httpx.AsyncClient(base_url=url.replace("ws", "http", 1)) as client:
        assert (await client.get("/health")).status_code == 404
    await served.listeners.stop()
    with pytest.raises(OSError, match="Connect call failed"):
        async with connect(f"{url}/agent/a-1", proxy=None):
            pass


async def test_a_host_that_is_served_already_is_not_bound_twice(served: Served) -> None:
    assert await served.listeners.add_agents_host("127.0.0.1") == served.listeners.agents_url


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "8.8.8.8"])
async def test_agents_are_not_offered_to_the_world_by_the_way(host: str, served: Served) -> None:
    with pytest.raises(StartFailed):
        await served.listeners.add_agents_host(host)


async def test_a_stop_waits_for_a_request_in_progress(state_folder: Path) -> None:
    async with serving(state_folder) as served, served.local(ADMIN) as client:
        served.control.waiting.add("health")
        async with asyncio.timeout(30), asyncio.TaskGroup() as group:
            asked = group.create_task(client.get("/health"))
            await until(lambda: bool(served.door.principals))
            stopping = group.create_task(served.listeners.stop())
            await until(lambda: not served.listeners.socket_path.exists())
            assert not stopping.done()
            served.control.go_on.set()
        assert asked.result().status_code == 200


async def until(condition: Callable[[], bool]) -> None:
    """Wait until `condition` holds; the caller sets the deadline."""
    while not condition():
        await asyncio.sleep(0.005)
