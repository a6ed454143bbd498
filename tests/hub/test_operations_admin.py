"""Operations on the hub itself: tokens, policies, audit, backup, health, the feed."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hub.contract import CreateToken, Event, PageQuery
from hub.core.model import Role
from hub.errors import BadRequest, Conflict, NotFound, Unauthorized
from tests.hub.running import PlayedAgent, running_hub


async def test_the_first_start_makes_an_admins_token_that_stays() -> None:
    async with running_hub() as hub:
        secret = (hub.folder / "token").read_text().strip()
        assert hub.hub.admit(secret).role is Role.ADMIN
        for wrong in (None, "", "ctu_wrong", secret + "x"):
            with pytest.raises(Unauthorized):
                hub.hub.admit(wrong)


async def test_a_token_is_shown_once_and_lives_as_long_as_it_was_given() -> None:
    async with running_hub() as hub:
        made = await hub.control.create_token(CreateToken(name="bot", role=Role.OPERATOR, expires_in_seconds=60))
        principal = hub.hub.admit(made.secret)
        assert (principal.name, principal.role) == ("bot", Role.OPERATOR)
        shown = (await hub.control.tokens(PageQuery())).tokens
        assert made.secret not in repr(shown)
        hub.clock.wall_ahead_ms += 61_000
        with pytest.raises(Unauthorized) as refused:
            hub.hub.admit(made.secret)
        assert refused.value.code == "expired"
        await hub.control.revoke_token(made.token.id)
        with pytest.raises(NotFound):
            await hub.control.revoke_token("tok_none")


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (CreateToken(name="x" * 101), "name"),
        (CreateToken(name="a\nb"), "name"),
        (CreateToken(kind="agent"), "kind"),
        (CreateToken(kind="join"), "agent"),
        (CreateToken(expires_in_seconds=10**10), "expiresInSeconds"),
    ],
)
async def test_a_wrong_token_request_is_named(request_: CreateToken, field: str) -> None:
    async with running_hub() as hub:
        with pytest.raises(BadRequest) as refused:
            await hub.control.create_token(request_)
        assert refused.value.field == field


async def test_policies_come_and_go_with_their_agents() -> None:
    async with running_hub() as hub:
        await hub.register("a")
        await hub.register("b")
        await hub.control.allow("a", "b")
        await hub.control.allow("b", "a")
        await hub.control.disallow("b", "a")
        assert [(p.sender, p.receiver) for p in (await hub.control.policies()).policies] == [("a", "b")]
        with pytest.raises(NotFound):
            await hub.control.allow("a", "c")
        await hub.job((await hub.control.destroy("b")).id)
        assert (await hub.control.policies()).policies == []


async def test_the_audit_says_who_did_what_and_no_secret() -> None:
    async with running_hub() as hub:
        await hub.register()
        await hub.control.submit("a", {"type": "exec", "command": "echo password=hunter2"})
        entries = (await hub.control.audit(PageQuery(limit=50))).audit
        assert [(entry.who, entry.what) for entry in entries][:2] == [
            ("user:test", "task.exec"),
            ("user:test", "agent.register"),
        ]
        assert "hunter2" not in repr(entries)
        assert [entry.seq for entry in entries] == sorted((entry.seq for entry in entries), reverse=True)


async def test_a_backup_is_a_registry_that_can_be_read(tmp_path: Path) -> None:
    async with running_hub() as hub:
        task_id = ""
        await hub.register()
        task_id = await hub.ping()
        answer = await hub.control.backup(str(tmp_path / "copy.db"))
        assert answer.size_bytes == (tmp_path / "copy.db").stat().st_size
        connection = sqlite3.connect(tmp_path / "copy.db")
        assert connection.execute("SELECT count(*) FROM tasks").fetchone() == (1,)
        connection.close()
        with pytest.raises(Conflict):
            await hub.control.backup(str(tmp_path / "copy.db"))
        with pytest.raises(BadRequest):
            await hub.control.backup("relative.db")
        beside = await hub.control.backup("")
        assert Path(beside.path).is_relative_to(hub.folder)
        assert task_id


async def test_health_counts_agents_and_tasks() -> None:
    async with running_hub() as hub, hub.playing():
        await hub.register("b")
        await hub.ping()
        await hub.ping()
        health = await hub.control.health()
        assert (health.status, health.registry_writable, health.agents) == ("ok", True, {"online": 1, "offline": 1})
        assert (health.tasks["offered"], health.tasks["queued"]) == (1, 1)
        assert {"agents", "api", "socket"} <= set(health.addresses)


async def test_the_feed_tells_of_changes_after_they_are_committed() -> None:
    async with running_hub() as hub:
        events = hub.control.events()
        async with asyncio.timeout(10), asyncio.TaskGroup() as group:
            first = group.create_task(first_of(events))
            await hub.until(lambda: hub.kernel.feed.subscribers == 1)
            agent = PlayedAgent(hub.url, "a", await hub.register())
        assert (first.result().kind, first.result().id) == ("agent", "a")
        assert agent.name == "a"
        await events.aclose()  # pyright: ignore[reportAttributeAccessIssue]


async def first_of(events: AsyncIterator[Event]) -> Event:
    return await anext(events)


async def test_the_audit_says_what_a_token_opens() -> None:
    async with running_hub() as hub:
        await hub.register("a")
        await hub.control.create_token(CreateToken(role=Role.OPERATOR))
        await hub.control.create_token(CreateToken(kind="join", agent="a"))
        entries = (await hub.control.audit(PageQuery())).audit
        assert [entry.detail for entry in entries if entry.what == "token.create"][:2] == [
            "join: agent a",
            "user: operator",
        ]
