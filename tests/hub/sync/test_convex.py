"""A hub whose environment names a Convex deployment keeps a gateway's files as that says, and as they are when it
fails."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from hub.config import Openclaw
from hub.contract import ResolveSync, SyncQuery, SyncReport, SyncRun, SyncStatus
from hub.errors import HubError
from tests.hub.running import RunningHub, running_hub
from tests.profiles.sync.fake_convex import PAGE, Answer, FakeConvex, function_error

TOKEN = "s3cret-0123456789"


def agent(slug: str, **more: Any) -> dict[str, Any]:
    skill = {"_id": "s1", "slug": "triage", "name": "Triage", "description": "Sorts", "contentMarkdown": "Read, sort."}
    return {
        "_id": f"id-{slug}", "slug": slug, "name": slug.title(), "role": "Engineer",
        "effectiveSoulContent": f"I am {slug}.", "openclawConfig": {"model": "gpt-4o", "skillIds": ["s1"]},
        "resolvedSkills": [skill], **more,
    }  # fmt: skip


@pytest.fixture
async def convex() -> AsyncIterator[FakeConvex]:
    async with FakeConvex([agent("ada"), agent("grace")], token=TOKEN).running() as running:
        yield running


@pytest.fixture
async def hub(convex: FakeConvex, tmp_path: Path) -> AsyncIterator[RunningHub]:
    token = tmp_path / "token"
    token.write_text(f"{TOKEN}\n")
    token.chmod(0o600)
    given = Openclaw(
        workspace_root=tmp_path / "agents", config_path=tmp_path / "openclaw.json", reload="off",
        mounts=(f"{tmp_path}=/home/node/clawd",),
        convex_url=convex.url, convex_account="acct1", convex_token_file=token,
    )  # fmt: skip
    async with running_hub(openclaw=given) as running:
        yield running


async def synced(hub: RunningHub) -> SyncReport:
    (report,) = (await hub.control.sync_run(SyncRun())).reports
    return report


async def status(hub: RunningHub) -> SyncStatus:
    return await hub.control.sync_status(SyncQuery())


async def test_agents_of_convex_are_in_the_gateways_files(hub: RunningHub, tmp_path: Path) -> None:
    await synced(hub)
    assert (tmp_path / "agents" / "ada" / "SOUL.md").read_text().startswith("I am ada.")
    assert "Read, sort." in (tmp_path / "agents" / "grace" / "skills" / "triage" / "SKILL.md").read_text()
    entries = json.loads((tmp_path / "openclaw.json").read_text())["agents"]["list"]
    assert [(one["id"], one["workspace"], one["model"]) for one in entries] == [
        ("ada", "/home/node/clawd/agents/ada", "openai/gpt-4o"),
        ("grace", "/home/node/clawd/agents/grace", "openai/gpt-4o"),
    ]


async def test_an_edit_and_a_removal_there_arrive(hub: RunningHub, convex: FakeConvex, tmp_path: Path) -> None:
    await synced(hub)
    convex.agents = [agent("ada", effectiveSoulContent="I am someone else."), agent("linus")]
    report = await synced(hub)
    assert (tmp_path / "agents" / "ada" / "SOUL.md").read_text().startswith("I am someone else.")
    assert [one["id"] for one in json.loads((tmp_path / "openclaw.json").read_text())["agents"]["list"]] == [
        "ada",
        "linus",
    ]
    assert len(report.archived) == 1
    assert not (tmp_path / "agents" / "grace").exists()


async def test_one_wrong_agent_stays_as_it_was(hub: RunningHub, convex: FakeConvex, tmp_path: Path) -> None:
    await synced(hub)
    convex.agents = [agent("ada", effectiveSoulContent=5), agent("grace", effectiveSoulContent="New.")]
    await synced(hub)
    assert (tmp_path / "agents" / "ada" / "SOUL.md").read_text().startswith("I am ada.")
    assert (tmp_path / "agents" / "grace" / "SOUL.md").read_text().startswith("New.")
    failed = {one.slug: one.reason for one in (await status(hub)).personas if one.state.value == "failed"}
    assert list(failed) == ["ada"]
    assert "effectiveSoulContent" in failed["ada"]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (function_error("[Request ID: 7] Server Error"), "Server Error"),
        (function_error(f"wrong argument {TOKEN}", status=560), "wrong argument ***"),
        (Answer(body=PAGE, content_type="text/html"), "is a web page"),
        (Answer(status=503, body=b"later"), "HTTP 503: later"),
    ],
)
async def test_while_convex_fails_everything_stays(
    hub: RunningHub, convex: FakeConvex, tmp_path: Path, answer: Answer, said: str
) -> None:
    await synced(hub)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.*") if path.is_file()}
    convex.agents = []
    convex.answers = [answer] * 5
    report = await synced(hub)
    assert said in report.problem
    shown = await status(hub)
    (target,) = shown.targets
    assert said in target.problem
    assert target.hint
    assert TOKEN not in repr(shown) + repr(report)
    kept = {path: path.stat().st_mtime_ns for path in before if path.exists()}
    assert {path: at for path, at in kept.items() if "clawtui" not in path.name} == {
        path: at for path, at in before.items() if "clawtui" not in path.name
    }


async def test_a_text_changed_here_cannot_go_there(hub: RunningHub, tmp_path: Path) -> None:
    await synced(hub)
    (tmp_path / "agents" / "ada" / "SOUL.md").write_text("Mine.")
    await synced(hub)
    with pytest.raises(HubError, match="comes from Convex"):
        await hub.control.sync_resolve("openclaw", "ada", ResolveSync(path="SOUL.md", decision="adopt"))
    assert (tmp_path / "agents" / "ada" / "SOUL.md").read_text() == "Mine."
