"""Wrong, expired, foreign, revoked and replayed tokens are refused at the real socket, audited and told why;
a crash at any step of the join exchange locks nobody out."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from hub.contract import CreateToken
from hub.core.model import Role
from tests.end_to_end.harness import HubProcess, eventually
from tests.hub.running import PlayedAgent, RunningHub, running_hub
from tests.runtime.harness import agent_process, kill

CRASHING = Path(__file__).with_name("crashing_hub.py")
HOUR_MS = 3_600_000


async def join_token(hub: RunningHub, agent: str = "a", seconds: int = 3_600) -> str:
    request = CreateToken(kind="join", agent=agent, expires_in_seconds=seconds)
    return (await hub.control.create_token(request)).secret


async def wrong(hub: RunningHub) -> PlayedAgent:
    return PlayedAgent(hub.url, "a", "cta_" + "x" * 43)


async def none_at_all(hub: RunningHub) -> PlayedAgent:
    return PlayedAgent(hub.url, "a", "")


async def of_a_user(hub: RunningHub) -> PlayedAgent:
    made = await hub.control.create_token(CreateToken(name="u", role=Role.ADMIN))
    return PlayedAgent(hub.url, "a", made.secret)


async def foreign(hub: RunningHub) -> PlayedAgent:
    return PlayedAgent(hub.url, "a", await hub.register("b"))


async def foreign_join(hub: RunningHub) -> PlayedAgent:
    await hub.register("b")
    return PlayedAgent(hub.url, "a", await join_token(hub, "b"), credential="cta_mine")


async def revoked(hub: RunningHub) -> PlayedAgent:
    old = await hub.register("a")
    await hub.register("a")
    return PlayedAgent(hub.url, "a", old)


async def expired_join(hub: RunningHub) -> PlayedAgent:
    secret = await join_token(hub, seconds=60)
    hub.clock.wall_ahead_ms += HOUR_MS
    return PlayedAgent(hub.url, "a", secret, credential="cta_mine")


async def replayed_join(hub: RunningHub) -> PlayedAgent:
    secret = await join_token(hub)
    first = PlayedAgent(hub.url, "a", secret, credential="cta_first")
    await first.connect()
    await first.close()
    return PlayedAgent(hub.url, "a", secret, credential="cta_second")


async def join_without_credential(hub: RunningHub) -> PlayedAgent:
    return PlayedAgent(hub.url, "a", await join_token(hub))


async def join_after_release(hub: RunningHub) -> PlayedAgent:
    secret = await join_token(hub)
    first = PlayedAgent(hub.url, "a", secret, credential="cta_first")
    await first.connect()
    await first.close()
    await hub.control.release("a")
    return PlayedAgent(hub.url, "a", secret, credential="cta_first")


REFUSED: list[tuple[Callable[[RunningHub], Awaitable[PlayedAgent]], str]] = [
    (wrong, "wrong_token"),
    (none_at_all, "wrong_token"),
    (of_a_user, "wrong_token"),
    (foreign, "foreign_token"),
    (foreign_join, "foreign_token"),
    (revoked, "revoked"),
    (expired_join, "expired"),
    (replayed_join, "replayed"),
    (join_without_credential, "bad_credential"),
    (join_after_release, "revoked"),
]


@pytest.mark.parametrize(("intruder", "code"), REFUSED, ids=[case.__name__ for case, _ in REFUSED])
async def test_a_token_that_opens_nothing_is_refused_and_audited(
    intruder: Callable[[RunningHub], Awaitable[PlayedAgent]], code: str
) -> None:
    async with running_hub() as hub:
        await hub.register("a")
        agent = await intruder(hub)
        with pytest.raises(InvalidStatus) as refused:
            await agent.dial()
        assert refused.value.response.status_code == 401
        assert float(refused.value.response.headers["Retry-After"]) >= 1
        assert code.encode() in (refused.value.response.body or b"")
        assert await hub.audited("agent.connect") == [("a", code)]
        joined = intruder in (replayed_join, join_after_release)
        assert await hub.audited("agent.join") == ([("a", "ok")] if joined else [])


async def test_an_unknown_agent_is_refused_like_a_wrong_token() -> None:
    """Whoever guesses names learns nothing from the answer."""
    async with running_hub() as hub:
        token = await hub.register("a")
        answers = []
        for name, secret in (("nobody", token), ("a", "cta_wrong")):
            with pytest.raises(InvalidStatus) as refused:
                await PlayedAgent(hub.url, name, secret).dial()
            answers.append((refused.value.response.status_code, refused.value.response.headers["Retry-After"]))
        assert answers[0] == answers[1]


async def test_guessing_does_not_fill_the_audit() -> None:
    async with running_hub() as hub:
        await hub.register("a")
        for _ in range(200):
            with pytest.raises(InvalidStatus):
                await PlayedAgent(hub.url, "a", "cta_guess").dial()
        assert len(await hub.audited("agent.connect")) < 100
        text = hub.kernel.metrics.exposition().decode()
        assert 'clawtui_handshakes_refused_total{reason="token"} 200.0' in text


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
async def test_a_users_token_opens_what_its_role_allows_until_it_is_revoked(role: Role) -> None:
    async with running_hub() as hub:
        made = await hub.control.create_token(CreateToken(name="u", role=role))
        api = (await hub.control.health()).addresses["api"]
        headers = {"Authorization": f"Bearer {made.secret}"}
        async with httpx.AsyncClient(base_url=api, headers=headers, trust_env=False, verify=False) as client:
            assert (await client.get("/agents")).status_code == 200
            registered = await client.post("/agents/register", json={"agentId": "a"})
            assert registered.status_code == (200 if role is Role.OPERATOR else 403)
            assert (await client.get("/tokens")).status_code == 403
            await hub.control.revoke_token(made.token.id)
            refused = await client.get("/agents")
            assert (refused.status_code, refused.json()["error"]["code"]) == (401, "revoked")
        outcomes = {entry.outcome for _, entry in (await hub.kernel.registry.audit(100))[0]}
        assert "refused" in outcomes


# --- the join exchange, interrupted


async def test_a_join_whose_answer_was_lost_is_repeated_even_after_expiry() -> None:
    """The hub has bound the token, the agent does not know: the same pair is fine."""
    async with running_hub() as hub:
        await hub.register("a")
        agent = PlayedAgent(hub.url, "a", await join_token(hub, seconds=60), credential="cta_mine")
        await agent.dial()
        agent.abort()
        hub.clock.wall_ahead_ms += HOUR_MS
        await agent.connect()
        await agent.close()
        credential = PlayedAgent(hub.url, "a", "cta_mine")
        await credential.connect()
        await credential.close()
        assert await hub.audited("agent.join") == [("a", "ok")]


async def new_joiner(hub: HubProcess, name: str) -> str:
    await hub.call("POST", "/agents/register", {"agentId": name})
    made = await hub.call("POST", "/tokens", {"kind": "join", "agent": name})
    return made["secret"]


async def is_online(hub: HubProcess, name: str) -> bool:
    return (await hub.call("GET", f"/agents/{name}"))["status"] == "online"


LATER = [pytest.param(n, marks=[pytest.mark.soak, pytest.mark.timeout(300)]) for n in (1, *range(3, 16))]


@pytest.mark.parametrize("readings", [0, 2, *LATER])
async def test_a_hub_killed_at_any_step_of_a_join_locks_nobody_out(
    hub: HubProcess, tmp_path: Path, readings: int
) -> None:
    """`readings`: how far into the exchange the hub dies. The agent comes in all the same, with one credential."""
    await hub.start()
    secret = await new_joiner(hub, "j")
    hub.stop()
    changes = {"AGENT_ID": "j", "AGENT_TOKEN": secret, "HUB_FILE": str(hub.home / "hub.json")}
    hub.launch([sys.executable, str(CRASHING), str(hub.home), f"reading:{readings}"])
    with agent_process(tmp_path, f"unix:{hub.home}/hub.sock", **changes):
        await hub.wait_died()
        await hub.start()
        await eventually(lambda: is_online(hub, "j"), seconds=60, what="the agent is in")
    tokens = (await hub.call("GET", "/tokens"))["tokens"]
    alive = [token for token in tokens if token["kind"] == "agent" and not token.get("revokedAt")]
    assert len(alive) == 1


@pytest.mark.parametrize("kills", [3, pytest.param(40, marks=[pytest.mark.soak, pytest.mark.timeout(600)])])
async def test_an_agent_killed_at_any_step_of_its_join_comes_in(hub: HubProcess, tmp_path: Path, kills: int) -> None:
    """Killed as soon as its credential's file appears, or a step earlier or later."""
    await hub.start()
    secret = await new_joiner(hub, "j")
    changes = {"AGENT_ID": "j", "AGENT_TOKEN": secret}
    state = tmp_path / "state"
    for number in range(kills):
        with agent_process(tmp_path, f"unix:{hub.home}/hub.sock", **changes) as process:
            wanted = number % 4

            async def far_enough(wanted: int = wanted) -> bool:
                return state.exists() and len(list(state.iterdir())) >= wanted

            await eventually(far_enough, what="the agent has begun")
            kill(process)
    with agent_process(tmp_path, f"unix:{hub.home}/hub.sock", **changes):
        await eventually(lambda: is_online(hub, "j"), what="the agent is in")
