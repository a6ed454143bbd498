"""Backups over an engine in memory: what is in one, what a full disk and a kill leave, and what is made from one."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest

from hub.contract import (
    BackupGateway,
    DestroyGateway,
    ImportGateway,
    JobView,
    RestoreGateway,
    UpgradeGateway,
)
from hub.drivers.cells import CellId, CellPlan, CellPort, CellState
from hub.drivers.fake.cells import FakeCells
from hub.drivers.fake.cells_engine import CellStep
from hub.errors import BadRequest, Conflict, NotFound, StorageFull
from tests.end_to_end.harness import eventually
from tests.hub.gateways.upgrades.instance import (
    CONTAINER,
    NAME,
    NEW,
    OLD,
    TALK,
    Run,
    at,
    breaks_at,
    provision,
    unchanged,
    world,
)

KEY = "sk-ant-0123456789012345678901234567"


async def take(run: Run, *, pause: bool = False) -> JobView:
    return await run.hub.job((await run.hub.control.backup_gateway(NAME, BackupGateway(pause=pause))).id)


async def saved(run: Run) -> str:
    job = await take(run)
    assert job.state == "succeeded", job
    assert isinstance(job.result, dict)
    return job.result["backup"]


def shelved(run: Run) -> list[str]:
    folder = run.hub.folder / "gateway-backups"
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


@pytest.mark.parametrize("pause", [False, True])
async def test_a_backup_has_everything_and_the_gateway_runs_again(pause: bool) -> None:
    async with world() as made, made.hub() as run:
        await provision(run, made.port.number, keys={"ANTHROPIC_API_KEY": KEY})
        job = await take(run, pause=pause)
        assert job.state == "succeeded", job
        unchanged(run)
        (view,) = (await run.hub.control.gateway_backups(NAME)).backups
        assert view.consistency == ("paused" if pause else "stopped")
        folder = Path(view.path)
        with tarfile.open(folder / "volume-0.tar") as tar:
            assert {f"./{name}" for name in TALK} <= set(tar.getnames())
            assert {member.uid for member in tar.getmembers()} == {1000}
        with tarfile.open(folder / "shared.tar") as tar:
            assert "./agents/main/MEMORY.md" in tar.getnames()
        assert (folder / "keys.env").read_text() == f"ANTHROPIC_API_KEY={KEY}\n"
        assert {path.stat().st_mode & 0o077 for path in folder.iterdir()} == {0}
        manifest = (folder / "manifest.json").read_text()
        assert KEY not in manifest
        steps = [step for step, _ in made.engine.calls]
        assert (CellStep.PAUSE in steps) is pause


@pytest.mark.parametrize("step", [CellStep.STOP, CellStep.ARCHIVE])
async def test_what_fails_leaves_nothing_half(step: CellStep) -> None:
    async with world() as made, made.hub() as run:
        await provision(run, made.port.number)
        made.engine.failures[step] = [StorageFull("the disk is full")]
        job = await take(run)
        assert job.error is not None
        assert job.error.code == "storage_full"
        unchanged(run)
        assert shelved(run) == []
        assert (await run.hub.control.gateway_backups("")).backups == []


@pytest.mark.parametrize("step", [CellStep.STOP, CellStep.ARCHIVE, CellStep.PAUSE])
async def test_a_hub_that_was_killed_in_it_lets_the_gateway_run_and_leaves_nothing(step: CellStep) -> None:
    async with world() as made:
        async with made.hub() as run:
            await provision(run, made.port.number)
            reached = breaks_at(made, step, 1)
            await run.hub.control.backup_gateway(NAME, BackupGateway(pause=step is CellStep.PAUSE))
            await reached.wait()
            later = made.freeze()
            made.engine.before = None
        later.take_over()
        async with later.hub() as again:
            await again.idle()
            unchanged(again)

            async def empty() -> bool:
                return not shelved(again) and not await again.hub.kernel.registry.backups()

            await eventually(empty, seconds=10, what="nothing of the backup is left")


async def test_a_backup_that_was_complete_when_the_hub_was_killed_is_kept() -> None:
    async with world() as made:
        async with made.hub() as run:
            await provision(run, made.port.number)
            # The gateway is started again after the folder has its name.
            reached = breaks_at(made, CellStep.START, 1)
            await run.hub.control.backup_gateway(NAME, BackupGateway())
            await reached.wait()
            later = made.freeze()
            made.engine.before = None
        later.take_over()
        async with later.hub() as again:
            await again.idle()
            await again.hub.until(lambda: again.running() == [CONTAINER], "it runs")
            (view,) = await eventually(again.hub.hub.running.upgrades.taking.listed, seconds=10, what="it is complete")
            assert shelved(again) == [view.id]


async def test_a_restored_gateway_has_the_data_and_another_token() -> None:
    async with world() as made, made.hub() as run:
        await provision(run, made.port.number, keys={"ANTHROPIC_API_KEY": KEY})
        token = (run.folder / "token").read_text().strip()
        backup = await saved(run)
        with pytest.raises(Conflict) as told:
            await run.hub.control.restore_gateway(RestoreGateway(backup=backup))
        assert told.value.code == "gateway_exists"
        await run.hub.job((await run.hub.control.destroy_gateway(NAME, DestroyGateway(data=True))).id)
        found = await run.hub.control.restore_gateway(RestoreGateway(backup=backup))
        room = run.hub.hub.running.instances.room
        room.book.expect(at(room.book.get(NAME), made.port.number))
        job = await run.hub.job(found.job.id)
        assert job.state == "succeeded", job
        assert {name: run.state()[name] for name in TALK} == TALK
        assert (run.shared / "agents/main/MEMORY.md").read_text() == "as it was\n"
        assert found.credentials.token != token
        assert KEY in (run.folder / ".env").read_text()
        assert token not in (run.folder / ".env").read_text()


async def test_a_backup_that_somebody_changed_is_refused() -> None:
    async with world() as made, made.hub() as run:
        await provision(run, made.port.number)
        backup = await saved(run)
        path = run.hub.folder / "gateway-backups" / backup / "volume-0.tar"
        path.write_bytes(path.read_bytes()[:-1024] + b"x" * 1024)
        found = await run.hub.control.restore_gateway(RestoreGateway(backup=backup, name="other"))
        job = await run.hub.job(found.job.id)
        assert job.error is not None
        assert job.error.code == "archive_damaged"
        (run.hub.folder / "gateway-backups" / backup / "manifest.json").write_text("{}")
        with pytest.raises(Conflict) as told:
            await run.hub.control.restore_gateway(RestoreGateway(backup=backup, name="third"))
        assert told.value.code == "archive_damaged"


async def test_a_deleted_backup_is_gone() -> None:
    async with world() as made, made.hub() as run:
        await provision(run, made.port.number)
        backup = await saved(run)
        await run.hub.control.delete_gateway_backup(backup)
        assert shelved(run) == []
        with pytest.raises(NotFound):
            await run.hub.control.delete_gateway_backup(backup)


async def test_a_rollback_saves_what_was_said_since_the_upgrade() -> None:
    async with world() as made, made.hub() as run:
        await provision(run, made.port.number)
        upgraded = await run.hub.job((await run.hub.control.upgrade_gateway(NAME, UpgradeGateway(image=NEW))).id)
        assert upgraded.state == "succeeded", upgraded
        run.state()["newer"] = b"said since"
        assert (await run.rollback()).state == "succeeded"
        (view,) = (await run.hub.control.gateway_backups(NAME)).backups
        assert view.image == NEW
        with tarfile.open(Path(view.path) / "volume-0.tar") as tar:
            assert "./newer" in tar.getnames()


async def test_a_state_folder_becomes_a_gateway_with_our_section_of_the_config(tmp_path: Path) -> None:
    source = tmp_path / ".openclaw"
    (source / "workspace").mkdir(parents=True)
    (source / "workspace" / "MEMORY.md").write_text("from the source")
    config = {
        "gateway": {"mode": "local", "bind": "loopback", "port": 1, "auth": {"mode": "token", "token": "in-the-file"}},
        "agents": {"defaults": {"workspace": f"{source}/workspace"}},
    }
    (source / "openclaw.json").write_text(json.dumps(config))
    async with world() as made, made.hub() as run:
        made.engine.offer("ghcr.io/openclaw/openclaw:latest")
        job = await run.hub.control.import_gateway(ImportGateway(name=NAME, state_folder=str(source)))
        room = run.hub.hub.running.instances.room
        room.book.expect(at(room.book.get(NAME), made.port.number))
        ended = await run.hub.job(job.id)
        assert ended.state == "succeeded", ended
        assert run.state()["workspace/MEMORY.md"] == b"from the source"
        found = json.loads((run.shared / "openclaw.json").read_text())
        assert found["gateway"]["bind"] == "lan"
        assert found["gateway"]["auth"] == {"mode": "token"}
        assert found["agents"]["defaults"]["workspace"] == "/home/node/.openclaw/workspace"
        assert (source / "openclaw.json").read_text() == json.dumps(config)


async def test_a_container_is_taken_in_as_it_is() -> None:
    async with world() as made, made.hub() as run:
        made.engine.offer(OLD, local=True)
        theirs = FakeCells("", made.engine)
        plan = CellPlan(
            cell=CellId("x", "y"), name="openclaw-cell-theirs", image=OLD, ports=(CellPort(made.port.number, 18789),),
            secrets={"OPENCLAW_GATEWAY_TOKEN": "their-token-0123456789"},
        )  # fmt: skip
        await theirs.create(plan, lambda fraction, line: None)
        made.engine.cell(plan.name).state = CellState.RUNNING
        job = await run.hub.control.import_gateway(ImportGateway(name="theirs", container="openclaw-cell-theirs"))
        ended = await run.hub.job(job.id)
        assert ended.state == "succeeded", ended
        view = await run.hub.control.gateway("theirs")
        assert view.state == "ready"
        assert view.instance is None
        assert Path(view.token_file).read_text() == "their-token-0123456789\n"
        assert "their-token" not in str(ended.result)
        with pytest.raises(NotFound):
            await run.hub.control.backup_gateway("theirs", BackupGateway())


async def test_what_cannot_be_taken_in_is_told_by_field(tmp_path: Path) -> None:
    async with world() as made, made.hub() as run:
        for request, field in [
            (ImportGateway(name="a"), "container"),
            (ImportGateway(name="a", container="x", state_folder="/y"), "container"),
            (ImportGateway(name="a", state_folder="relative"), "stateFolder"),
            (ImportGateway(name="a", state_folder=str(tmp_path)), "config"),
        ]:
            with pytest.raises(BadRequest) as told:
                await run.hub.control.import_gateway(request)
            assert told.value.field == field
        with pytest.raises(NotFound):
            await run.hub.control.import_gateway(ImportGateway(name="a", container="nobody"))
