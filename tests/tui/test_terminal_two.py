"""Two screens on one hub elsewhere, over TLS; one of them read-only with a viewer's token. Keys only."""

from __future__ import annotations

import shutil
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.end_to_end.harness import HubProcess
from tests.hub.api.tls import CERTIFICATE, KEY
from tests.terminal.tmux import Terminal
from tests.tui.conftest import Open

pytestmark = [
    pytest.mark.terminal,
    pytest.mark.timeout(240),
    pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed: no real terminal to look at"),
]


class FarHub(HubProcess):
    """Speaks TLS, and comes back at the address where it was killed."""

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        home.mkdir()
        self.certificate, key = home / "tls.crt", home / "tls.key"
        self.certificate.write_text(CERTIFICATE)
        key.write_text(KEY)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"https://127.0.0.1:{port}"
        self.command = [
            sys.executable, "-m", "clawtui", "--serve", "--port-agents", "0", "--port-api", str(port),
            "--tls-cert", str(self.certificate), "--tls-key", str(key),
        ]  # fmt: skip

    async def token_file(self, role: str) -> Path:
        made = await self.call("POST", "/tokens", {"kind": "user", "role": role, "name": role})
        path = self.home / f"{role}.token"
        path.write_text(made["secret"])
        return path


@pytest.fixture
async def hub(home: Path) -> AsyncIterator[FarHub]:
    process = FarHub(home / "hub")
    await process.start(process.command)
    yield process
    process.stop()


@pytest.fixture
async def operator(open_screen: Open, hub: FarHub) -> Terminal:
    return await attached(open_screen, hub, "admin", size=(120, 36))


@pytest.fixture
async def viewer(open_screen: Open, hub: FarHub) -> Terminal:
    return await attached(open_screen, hub, "viewer", "--read-only")


async def attached(open_screen: Open, hub: FarHub, role: str, *more: str, size: tuple[int, int] = (80, 24)) -> Terminal:
    token = await hub.token_file(role)
    way = ("--attach", hub.url, "--token-file", str(token), "--ca-file", str(hub.certificate))
    return open_screen(*way, *more, size=size)


async def test_two_screens_on_one_hub_see_the_same_and_one_may_only_look(
    operator: Terminal, viewer: Terminal, hub: FarHub
) -> None:
    operator.sees("REMOTE", "● live", "No agents yet")
    viewer.sees("READ-ONLY", "● live", "No agents yet")
    # Made in one, seen in the other.
    operator.press("c")
    operator.sees("New agent", "Create (^s)")
    operator.type("far-1")
    operator.press("C-s")
    operator.sees("far-1 is there", "● online")
    viewer.sees("far-1", "● online")
    no_key_acts(viewer)
    # What the one does, the other sees: a task, and a pause.
    operator.press("b")
    operator.sees(":exec")
    operator.enter("echo seen by both")
    operator.sees("√ succeeded")
    viewer.press("F2")
    viewer.sees("Newest tasks 1", "√ succeeded", "echo seen by both")
    viewer.press("F1")
    for key, shown in (("p", "‖ paused"), ("P", "● online")):
        operator.press(key)
        operator.sees(shown)
        viewer.sees(shown)
    await killed_and_back(hub, operator, viewer)
    # And work goes on as before.
    operator.press("D")
    operator.sees("Destroy far-1?")
    operator.enter("far-1")
    for screen in (operator, viewer):
        screen.sees("No agents yet")
        screen.press("C-q")
        screen.sees("ended with 0")


def no_key_acts(viewer: Terminal) -> None:
    for key, refused in (("c", "create"), ("p", "pause"), ("R", "restart"), ("D", "destroy"), ("b", "run")):
        viewer.press(key)
        viewer.sees(f"read-only: {refused}")
    viewer.press(":")
    viewer.enter("destroy far-1")
    viewer.sees("read-only: destroy")


async def killed_and_back(hub: FarHub, *screens: Terminal) -> None:
    """Both say so at once, and find the hub again without a key."""
    hub.kill()
    for screen in screens:
        screen.sees("× lost", "OLD VALUES", "The hub is away", "far-1")
    await hub.start(hub.command)
    for screen in screens:
        screen.sees("● live", "far-1", "● online")
        screen.misses("OLD VALUES")


async def test_a_viewers_token_is_refused_by_the_hub_itself(open_screen: Open, hub: FarHub) -> None:
    """Without `--read-only` it is the hub that refuses, and the screen says why."""
    await hub.create("near-1")
    screen = await attached(open_screen, hub, "viewer")
    screen.sees("● live", "near-1", "● online")
    screen.press("p")
    screen.sees("this needs the role operator")
    assert (await hub.call("GET", "/agents/near-1"))["status"] == "online"
    await hub.destroy("near-1")
    screen.sees("No agents yet")
