"""Real OpenClaw of two versions in containers: an upgrade keeps the conversation, a bad image goes back by itself, a
rollback and a restored backup have what was said until then."""

from __future__ import annotations

import asyncio
import json
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.end_to_end.harness import eventually
from tests.hub.running import short_folder
from tests.openclaw.provisioned import Run, docker, running, say

pytestmark = [pytest.mark.soak, pytest.mark.docker, pytest.mark.openclaw, pytest.mark.timeout(900)]

OLD, NEW = "2026.8.2", "2026.9.6"
BROKEN: Final = """\
FROM {image}
USER root
RUN printf '#!/bin/sh\\necho spoilt > /home/node/.openclaw/spoilt; echo cannot migrate >&2; exit 78\\n' \
    > /usr/local/bin/openclaw-broken && chmod 755 /usr/local/bin/openclaw-broken \
    && ln -sf /usr/local/bin/openclaw-broken "$(command -v openclaw)"
USER 1000:1000
"""


@pytest.fixture
def home() -> Iterator[Path]:
    with short_folder() as folder:
        yield folder / "hub"


@pytest.fixture
def broken() -> Iterator[str]:
    """An image that changes the state at its start and then refuses it."""
    found = docker("images", "--format", "{{.Repository}}:{{.Tag}}", "openclaw-gateway").split()
    base = next((one for one in found if f":{OLD}" in one), None)
    if base is None:
        pytest.skip(f"the image of {OLD} is built by the other test of this file")
    name = f"clawtui-test-broken:{secrets.token_hex(4)}"
    done = subprocess.run(
        ["docker", "build", "-q", "-t", name, "-"], input=BROKEN.format(image=base), text=True, capture_output=True,
        check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    yield name
    docker("rmi", "-f", name)


def unique(word: str) -> str:
    return f"{word}-{secrets.token_hex(3)}"


async def done(run: Run, job: dict[str, Any]) -> dict[str, Any]:
    ended = await run.ended(job["id"])
    assert ended["state"] == "succeeded", ended
    return ended


async def ready(run: Run, name: str) -> dict[str, Any]:
    """The gateway's view once it is ready: a machine that does much else lets it answer late."""

    async def seen() -> dict[str, Any] | None:
        view = await run.hub.call("GET", f"/gateways/{name}")
        return view if view["state"] == "ready" else None

    return await eventually(seen, seconds=60, what=f"{name} is ready")


def heard(run: Run) -> str:
    """Everything that the model was told with its last request."""
    return json.dumps(run.stub.asked[-1].messages)


async def test_the_conversation_goes_through_upgrade_rollback_and_restore(home: Path) -> None:
    name, again = unique("up"), unique("back")
    async with running(home) as run:
        credentials, job_id = await run.provision(name, "pro", version=OLD)
        await done(run, {"id": job_id})
        assert await say(credentials, "{{say one}}") == (200, "one")

        await done(run, await run.hub.call("POST", f"/gateways/{name}/upgrade", {"version": NEW}))
        view = await ready(run, name)
        assert view["instance"]["phase"] == "running"
        assert f":{NEW}" in view["instance"]["image"]
        assert OLD in view["instance"]["previousImage"]
        assert await say(credentials, "{{say two}}") == (200, "two")
        assert "{{say one}}" in heard(run)

        saved = (await done(run, await run.hub.call("POST", f"/gateways/{name}/backups", {})))["result"]["backup"]
        await ready(run, name)
        assert await say(credentials, "{{say three}}") == (200, "three")

        await done(run, await run.hub.call("POST", f"/gateways/{name}/rollback"))
        assert f":{OLD}" in (await ready(run, name))["instance"]["image"]
        assert await say(credentials, "{{say four}}") == (200, "four")
        assert "{{say one}}" in heard(run)
        assert "{{say two}}" not in heard(run)

        made = await run.hub.call("POST", "/instances/restore", {"backup": saved, "name": again})
        await done(run, made["job"])
        assert made["credentials"]["token"] != credentials["token"]
        assert (await say({**made["credentials"], "token": credentials["token"]}, "x"))[0] == 401
        assert await say(made["credentials"], "{{say five}}") == (200, "five")
        assert "{{say two}}" in heard(run)
        assert "{{say three}}" not in heard(run)
        await run.destroy(again)
        await run.destroy(name)
    assert docker("volume", "ls", "-q", "-f", f"name=openclaw-cell-{name}") == ""


async def test_an_image_that_spoils_the_state_and_refuses_it_is_undone_with_the_data_intact(
    home: Path, broken: str
) -> None:
    name = unique("bad")
    async with running(home) as run:
        credentials, job_id = await run.provision(name, "pro", version=OLD)
        await done(run, {"id": job_id})
        assert await say(credentials, "{{say one}}") == (200, "one")
        job = await run.ended((await run.hub.call("POST", f"/gateways/{name}/upgrade", {"image": broken}))["id"])
        assert job["state"] == "failed"
        assert job["error"]["code"] == "upgrade_undone", job
        assert "exit code 78" in job["error"]["message"]
        view = await ready(run, name)
        assert view["instance"]["phase"] == "running"
        assert f":{OLD}" in view["instance"]["image"]
        assert await say(credentials, "{{say two}}") == (200, "two")
        assert "{{say one}}" in heard(run)
        inside = await asyncio.to_thread(docker, "exec", f"openclaw-cell-{name}", "ls", "/home/node/.openclaw")
        assert "spoilt" not in inside.split()
        logs = [path.read_text() for path in (home / "gateways" / name / "upgrade-logs").iterdir()]
        assert any("cannot migrate" in text for text in logs)
        await run.destroy(name)
