"""`clawtui message` against a real gateway: the answer comes piece by piece from the right persona, a session takes one
message at a time, and what goes wrong is said with its own code."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from tests.openclaw.synced import GATEWAY, Synced, soul_of, synced

pytestmark = pytest.mark.openclaw


async def test_messages_stream_from_the_right_persona_and_every_failure_has_its_code() -> None:
    async with synced() as lab:
        for slug in ("ada", "grace"):
            lab.personas.write(slug)
        await lab.gateway.start()
        await lab.hub.start()
        await lab.add()
        await lab.until_in_step(("ada", "grace"))
        await an_answer_is_shown_while_it_comes(lab)
        await five_first_messages_of_one_session_all_answer(lab)
        await failures_have_their_codes(lab)
        await a_gateway_that_is_away_is_named(lab)


async def an_answer_is_shown_while_it_comes(lab: Synced) -> None:
    """The first piece is on the terminal while the model still holds back the rest."""
    process = await lab.open_clawtui("message", f"{GATEWAY}/grace", "{{pieces 3}} {{hold rest}}")
    assert process.stdout is not None
    shown = b""
    async with asyncio.timeout(60):
        while b"piece0" not in shown:
            shown += await process.stdout.read(100)
            assert shown, await process.communicate()
    assert b"piece1" not in shown
    assert process.returncode is None
    lab.stub.release("rest")
    async with asyncio.timeout(60):
        rest, err = await process.communicate()
    assert (process.returncode, (shown + rest).split()) == (0, [b"piece0", b"piece1", b"piece2"]), err
    asked = lab.stub.last("pieces 3")
    assert soul_of("grace").strip() in asked.system
    assert soul_of("ada").strip() not in asked.system


async def five_first_messages_of_one_session_all_answer(lab: Synced) -> None:
    """A gateway that gets these at once answers some of them HTTP 500."""

    async def one(number: int) -> list[dict[str, Any]]:
        body = {"to": f"{GATEWAY}/ada", "text": f"{{{{say number {number}}}}}", "session": "fresh"}
        return await chunks(lab, body)

    async with asyncio.TaskGroup() as group:
        answers = [group.create_task(one(number)) for number in range(5)]
    for number, answer in enumerate(answers):
        got = answer.result()
        assert (got[-1]["status"], "".join(one["text"] for one in got)) == ("completed", f"number {number}"), got
        assert got[-1]["sessionKey"] == "agent:ada:fresh"
    asked = [one for one in lab.stub.asked if "number" in one.user]
    assert len(asked) == 5
    # Each was told everything that was said before it: one session, one turn at a time.
    said = msgspec.json.encode(asked[-1].messages).decode()
    assert all(f"number {number}" in said for number in range(5))


async def failures_have_their_codes(lab: Synced) -> None:
    assert await code_of(lab, "ada", "{{fail 401}}") == "provider_refused"
    # OpenClaw does not try a refused key again for a while.
    assert await code_of(lab, "ada", "anything") == "gateway_internal"
    assert await code_of(lab, "nobody", "anything") == "unknown_persona"
    answered = await lab.clawtui("message", f"{GATEWAY}/grace", "{{say unharmed}}")
    assert (answered.returncode, answered.stdout.strip()) == (0, "unharmed"), answered.stderr
    token = lab.gateway.token_file.read_text()
    lab.gateway.token_file.write_text("another")
    assert await code_of(lab, "grace", "anything") == "gateway_refused"
    lab.gateway.token_file.write_text(token)


async def a_gateway_that_is_away_is_named(lab: Synced) -> None:
    await lab.gateway.stop()
    assert await code_of(lab, "grace", "anything") == "gateway_down"
    told = await lab.clawtui("message", f"{GATEWAY}/grace", "anything")
    assert told.returncode == 1
    assert "does not answer" in told.stderr
    assert "hint:" in told.stderr
    assert "Traceback" not in told.stderr


async def code_of(lab: Synced, slug: str, text: str) -> str:
    """The code with which a message fails, before its answer begins or at its end."""
    async with lab.hub.client() as client:
        body = {"to": f"{GATEWAY}/{slug}", "text": text}
        answer = await client.post("/messages", json=body, timeout=120)
    if answer.status_code >= 400:
        return answer.json()["error"]["code"]
    last = msgspec.json.decode(answer.text.splitlines()[-1])
    assert (last["end"], last["status"]) == (True, "failed"), answer.text
    return last["error"]["code"]


async def chunks(lab: Synced, body: dict[str, Any]) -> list[dict[str, Any]]:
    """Everything that the hub's API streams as an answer."""
    async with lab.hub.client() as client:
        answer = await client.post("/messages", json=body, timeout=120)
    assert answer.status_code == 200, answer.text
    return [msgspec.json.decode(line) for line in answer.text.splitlines() if line]
