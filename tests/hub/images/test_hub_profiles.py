"""Profiles and images as the hub offers them: files that are read and written, agents made from them, jobs."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from hub.contract import BuildImage, BuildLogQuery, CreateAgent, PageQuery, ProfileQuery, ProfileText, TransferImage
from hub.drivers.base import Driver
from hub.drivers.docker import DockerDriver
from hub.errors import BadRequest, Conflict, NotAvailable, NotFound, StorageFull
from profiles.image import image_name
from tests.faults.test_full_disk import stuffed
from tests.hub.images.image_bench import ImageBench, new_name
from tests.hub.running import running_hub, short_folder

WANTED: dict[str, Any] = {
    "resources": {"cpus": 1, "memory": "1g"},
    "capabilities": ["web"],
    "labels": {"tier": "a", "team": "x"},
    "environment": {"A": "profile", "B": "profile"},
    "concurrency": 2,
    "restart": "on-failure",
    "volumes": ["cache:/cache", "data:/data"],
    "security": {"read_only": True, "tmpfs": ["/scratch"]},
    "limits": {"pids": 99},
    "packages": ["git"],
}


def text(**raw: Any) -> ProfileText:
    return ProfileText(text=json.dumps(raw))


async def test_of_those_who_save_at_the_same_time_each_writes_a_whole_file(tmp_path: Path) -> None:
    async with running_hub(tmp_path / "s") as running:
        texts = [ProfileText(text=f"description: number {number}\n", format="yaml") for number in range(20)]
        texts += [text(description=f"number {number}") for number in range(20, 40)]
        async with asyncio.TaskGroup() as group:
            saved = [group.create_task(running.control.save_profile("mine", one)) for one in texts]
        assert [task.result().description for task in saved] == [f"number {number}" for number in range(40)]
        assert len(list((tmp_path / "s/profiles").iterdir())) == 1


async def test_saving_showing_and_deleting(tmp_path: Path) -> None:
    async with running_hub(tmp_path / "s", profiles_folder=tmp_path / "project") as running:
        control = running.control
        saved = await control.save_profile("mine", text(description="first", packages=["git"]))
        assert (saved.source, saved.valid, saved.path) == ("user", True, str(tmp_path / "s/profiles/mine.json"))
        assert os.stat(tmp_path / "s/profiles").st_mode & 0o777 == 0o700
        shown = await control.profile("mine")
        assert shown.text == json.dumps({"description": "first", "packages": ["git"]})
        assert "apt-get install" in (shown.dockerfile_text or "")
        assert shown.effective["machine"]["resources"]["cpus"] == 2.0
        assert (shown.image, shown.built) == (None, None), "the fake driver has no images"
        # YAML in the place of JSON: there is one file of the name.
        await control.save_profile("mine", ProfileText(text="description: second\n", format="yaml"))
        assert [path.name for path in (tmp_path / "s/profiles").iterdir()] == ["mine.yaml"]
        with pytest.raises(BadRequest) as refused:
            await control.save_profile("mine", text(packages=["a b"]))
        assert (refused.value.code, refused.value.field) == ("bad_profile", "packages[0]")
        assert (await control.profile("mine")).description == "second"
        await control.delete_profile("mine")
        with pytest.raises(NotFound, match="no profile 'mine'"):
            await control.profile("mine")
        assert await running.audited("profile.save") == [("mine", "ok"), ("mine", "ok")]
        assert await running.audited("profile.delete") == [("mine", "ok")]


async def test_no_profile_is_changed_that_the_audit_cannot_keep(tmp_path: Path) -> None:
    async with running_hub(tmp_path / "s") as running:
        control = running.control
        await control.save_profile("mine", text(description="first"))
        for act in (lambda: control.save_profile("mine", text(description="second")),
                    lambda: control.save_profile("other", text()), lambda: control.delete_profile("mine")):  # fmt: skip
            with stuffed(running.folder), pytest.raises(StorageFull, match="registry"):
                await act()
            await running.until(lambda: running.kernel.writable, "the disk has room again")
        assert [path.name for path in (tmp_path / "s/profiles").iterdir()] == ["mine.json"]
        assert (await control.profile("mine")).description == "first"


async def test_the_projects_profile_hides_the_users(tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "builder.json").write_text('{"description": "the project\'s"}')
    async with running_hub(tmp_path / "s", profiles_folder=project) as running:
        control = running.control
        await control.save_profile("builder", text(description="mine"))
        (shown,) = [one for one in (await control.profiles(ProfileQuery())).profiles if one.name == "builder"]
        assert (shown.source, shown.description, shown.shadows) == ("project", "the project's", ["user", "built-in"])
        everything = (await control.profiles(ProfileQuery(all=True))).profiles
        assert [(one.source, one.hidden) for one in everything if one.name == "builder"] == [
            ("project", False), ("user", True), ("built-in", True),
        ]  # fmt: skip
        await control.delete_profile("builder")
        with pytest.raises(Conflict, match="is not the user's"):
            await control.delete_profile("builder")


@pytest.mark.parametrize("name", ["../x", "a/b", "", "A", "base"])
async def test_a_name_is_never_a_path(tmp_path: Path, name: str) -> None:
    async with running_hub(tmp_path / "s") as running:
        with pytest.raises((BadRequest, NotFound)):
            await running.control.save_profile(name, text(name="x"))
        with pytest.raises(NotFound):
            await running.control.delete_profile(name)
    assert not (tmp_path / "x.json").exists()


async def test_validation_tells_everything_and_changes_nothing() -> None:
    async with running_hub() as running:
        check = await running.control.validate_profile(text(resources={"cpus": "x"}, pakages=[]))
        assert not check.valid
        assert {one.field for one in check.problems} == {"name", "resources.cpus", "pakages"}
        assert (await running.control.validate_profile(replace(text(), name="mine"))).valid


async def test_an_agent_gets_its_profiles_machine() -> None:
    async with running_hub() as running:
        await running.control.save_profile("web", text(**WANTED))
        job = await running.create("a", profile="web", environment={"B": "asked"}, labels={"team": "y"})
        await running.until(lambda: ("a" in [str(name) for name, _ in running.platform.agents]) or None, "it is made")
        plan = running.platform.agent("a").plan
        assert (plan.cpus, plan.memory_bytes, plan.pids, plan.concurrency) == (1.0, 1 << 30, 99, 2)
        assert plan.environment == {"A": "profile", "B": "asked"}
        assert [mount.target for mount in plan.mounts] == ["/cache", "/data"]
        assert (plan.tmpfs, plan.read_only, plan.restart.value) == (("/scratch",), True, "on-failure")
        assert plan.recipe is not None
        assert plan.recipe.contents.packages == ("git",)
        assert plan.machine.limits.pids == 99
        agent = await running.control.agent("a")
        assert (agent.capabilities, agent.labels) == (["web"], {"tier": "a", "team": "y"})
        # A changed or lost profile does not change the agent that was made from it.
        await running.control.delete_profile("web")
        assert (await running.control.agent("a")).profile == "web"
        played = running.created("a")
        await played.connect()
        assert (await running.job(job.id)).state == "succeeded"
        await played.close()


async def test_a_profile_that_cannot_be_used_makes_no_agent() -> None:
    async with running_hub() as running:
        folder = running.folder / "profiles"
        folder.mkdir()
        (folder / "wrong.json").write_text('{"resources": {"memory": "4X"}}')
        with pytest.raises(BadRequest, match=r"resources\.memory") as refused:
            await running.control.create_agent(CreateAgent(name="a", driver="fake", profile="wrong"))
        assert (refused.value.field, refused.value.code) == ("profile", "bad_profile")
        with pytest.raises(NotFound, match="no profile 'nope'") as unknown:
            await running.control.create_agent(CreateAgent(name="a", driver="fake", profile="nope"))
        assert "builder, minimal, nodejs" in unknown.value.hint
        assert running.platform.agents == {}


async def test_without_a_driver_that_has_images_every_call_says_so() -> None:
    async with running_hub() as running:
        control = running.control
        transfer = TransferImage(image="base", registry="localhost:5000")
        for call in (
            lambda: control.images(),
            lambda: control.build_image(BuildImage()),
            lambda: control.build_profile("builder", BuildImage()),
            lambda: control.push_image(transfer),
            lambda: control.pull_image(transfer),
            lambda: control.build_profile("builder", BuildImage(driver="fake")),
            lambda: control.remove_image("builder"),
        ):
            with pytest.raises(NotAvailable, match="agents from images"):
                await call()
        with pytest.raises(NotAvailable):
            control.build_log("builder", BuildLogQuery())


# --- on a real engine ------------------------------------------------------------------------------------


def docker(reach: Any) -> list[Driver]:
    return [DockerDriver(reach)]


@pytest.mark.docker
async def test_a_build_is_a_job_with_a_log(bench: ImageBench) -> None:
    name = new_name()
    bench.names.append(image_name(name))
    with short_folder() as folder:
        async with running_hub(folder / "s", drivers=docker) as running:
            control = running.control
            await control.save_profile(name, text(setup_tasks=[{"command": f"echo it-was-me # {name}"}]))
            assert (await control.profile(name)).built is False
            job = await control.build_profile(name, BuildImage())
            ended = await control.job(job.id, 200)
            assert (ended.state, ended.error) == ("succeeded", None)
            assert ended.result["built"][-1] == ended.result["image"]
            lines = [line.text async for line in control.build_log(name, BuildLogQuery(follow=True))]
            assert "it-was-me" in lines
            last = [line.text async for line in control.build_log(name, BuildLogQuery(lines=1))]
            assert last == lines[-1:]
            shown = await control.profile(name)
            assert (shown.image, shown.built) == (ended.result["image"], True)
            assert name in [one.profile for one in (await control.images()).images]
            private = BuildImage(build_args={"MINE": "v4lue"})
            again = await control.job((await control.build_profile(name, private)).id, 60)
            for told in (await control.jobs(PageQuery()), await control.audit(PageQuery()),
                         await control.journal(PageQuery())):  # fmt: skip
                assert again.kind in str(told)
                assert "v4lue" not in str(told)
            assert again.result == {"image": shown.image, "built": []}
            with pytest.raises(BadRequest, match="is not a platform"):
                await control.build_profile(name, BuildImage(platform="amiga"))
            with pytest.raises(BadRequest, match="is not a build argument"):
                await control.build_profile(name, BuildImage(build_args={"A B": "1"}))
            await control.save_profile(name, text(setup_tasks=[{"command": "exit 9", "description": "Break"}]))
            failed = await control.job((await control.build_profile(name, BuildImage())).id, 60)
            assert failed.error is not None
            assert (failed.state, failed.error.code) == ("failed", "setup_task_failed")
            assert '"Break" failed (exit code 9)' in failed.error.message


@pytest.mark.docker
async def test_a_build_that_a_stopped_hub_left_is_done_again(bench: ImageBench) -> None:
    name = new_name()
    bench.names.append(image_name(name))
    with short_folder() as folder:
        async with running_hub(folder / "s", drivers=docker) as running:
            raw = {"setup_tasks": [{"command": f"sleep 3 # {name}"}]}
            await running.control.save_profile(name, text(**raw))
            job = await running.control.build_profile(name, BuildImage())

            def builds() -> bool:
                seen = running.hub._jobs.running(job.id)
                return seen is not None and "setup task" in seen.message

            await running.until(builds, "the setup task runs", seconds=200)
        async with running_hub(folder / "s", drivers=docker) as running:
            ended = await running.control.job(job.id, 200)
            assert (ended.state, ended.error) == ("succeeded", None)
    assert bench.tags(image_name(name)) == {ended.result["image"].rpartition(":")[2], "latest"}


@pytest.mark.docker
async def test_an_image_is_removed_by_its_profiles_name(bench: ImageBench) -> None:
    name = bench.recipe().profile
    with short_folder() as folder:
        async with running_hub(folder / "s", drivers=docker) as running:
            control = running.control
            await control.save_profile(name, text(files=[{"path": "x", "content": name}]))
            job = await control.build_profile(name, BuildImage())
            assert (await control.job(job.id, 200)).state == "succeeded"
            # The profile may be gone already.
            await control.delete_profile(name)
            await control.remove_image(name)
            assert bench.tags(image_name(name)) == set()
            await control.remove_image(name)
            assert await running.audited("image.remove") == [(name, "ok"), (name, "ok")]
            with pytest.raises(NotFound):
                control.build_log(name, BuildLogQuery())
            for bad in ("snapshot", "../x", ""):
                with pytest.raises(BadRequest) as refused:
                    await control.remove_image(bad)
                assert refused.value.field == "name"
