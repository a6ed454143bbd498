"""Images of profiles on a real engine: what is in them, what is built again, and how a failure is told."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path

import pytest

import runtime
from hub.drivers.docker.engine import EngineUnreachable
from hub.drivers.docker.image import BuildOptions
from hub.drivers.images import ImageOrder
from hub.errors import BadRequest, Conflict, DriverFailed, NotAvailable, NotFound
from profiles.image import image_name
from tests.end_to_end.harness import eventually
from tests.hub.images.image_bench import Breaking, ImageBench, Steps, new_name

pytestmark = pytest.mark.docker

IMAGE_FOLDER = Path(runtime.__file__).parent / "image"
HOSTILE = 'a "b" $HOME \\ \' `id` ${X:-y} #c <<EOF $(touch /pwned) \\'


async def test_an_image_has_what_its_profile_says(bench: ImageBench) -> None:
    recipe = bench.recipe(
        environment={"A": HOSTILE, "B": "ü\t."},
        setup_tasks=[
            {"command": 'printf %s "$A" > /opt/seen\ncat <<EOF > made.txt\nby $(id -un)\nEOF', "description": "Make"},
            {"command": "mkdir builds && touch builds/x"},
        ],
        files=[
            {"path": "a folder/$(id)`x`/run.sh", "content": "#!/bin/sh\necho ran\n", "mode": "0755"},
            {"path": "made.txt", "content": "by a file"},
        ],
    )
    ensured = await bench.build(recipe)
    assert ensured.built[-1] == ensured.image
    config = bench.inspect(ensured.image)["Config"]
    assert config["Labels"] == {"clawtui.owner": "clawtui"}, "two hubs share it"
    assert (config["User"], config["WorkingDir"]) == ("agent", "/workspace")
    assert config["Entrypoint"][-2:] == ["-m", "runtime"]
    assert {f"A={HOSTILE}", "B=ü\t."} <= set(config["Env"])
    script = (
        'cat /opt/seen; echo; cat made.txt; echo; "./a folder/\\$(id)\\`x\\`/run.sh"; find . ! -user agent; ls /pwned'
    )
    said = bench.run(ensured.image, "bash", "-c", script).splitlines()
    assert said[:3] == [HOSTILE, "by a file", "ran"]
    assert len(said) == 4, "everything in the workspace is the agent's"
    assert "No such file" in said[3]


async def test_the_base_has_the_tools_that_setup_tasks_need(bench: ImageBench) -> None:
    ensured = await bench.images.ensure(ImageOrder(), Steps())
    said = bench.run(ensured.image, "bash", "-c", "node --version && npm --version && npx --version && git --version")
    wanted = (IMAGE_FOLDER / "node.txt").read_text().partition("==")[2]
    assert said.splitlines()[0] == f"v{wanted.strip()}", said
    debian = bench.inspect("debian:bookworm-slim")["Size"]
    assert bench.inspect(ensured.image)["Size"] - debian < 350_000_000


async def test_packages_that_link_their_manuals_can_be_installed(bench: ImageBench) -> None:
    """The alternatives system does not make the folder of a manual, and the packages of Java fail without it."""
    recipe = bench.recipe(setup_tasks=[{"command": "update-alternatives --install /usr/bin/x1 x1 /bin/true 1 --slave "
                                        "/usr/share/man/man1/x1.1.gz x1.1.gz /etc/hostname"}])  # fmt: skip
    assert (await bench.build(recipe)).built


async def test_only_what_changed_is_built_again_and_latest_moves(bench: ImageBench) -> None:
    recipe = bench.recipe(setup_tasks=[{"command": "date +%s%N > /opt/when"}])
    first = await bench.build(recipe)
    again = await bench.build(recipe)
    assert (again.image, again.built) == (first.image, ())
    repository = image_name(recipe.profile)
    assert bench.tags(repository) == {first.image.rpartition(":")[2], "latest"}
    changed = bench.recipe(
        recipe.profile,
        setup_tasks=[{"command": "date +%s%N > /opt/when"}],
        files=[{"path": "x", "content": "x"}],
    )
    second = await bench.build(changed)
    assert second.image != first.image
    assert bench.inspect(f"{repository}:latest")["Id"] == bench.inspect(second.image)["Id"]
    # The setup task came from the cache: files are the last layer.
    assert bench.run(second.image, "cat", "/opt/when") == bench.run(first.image, "cat", "/opt/when")
    await bench.build(recipe)
    assert bench.inspect(f"{repository}:latest")["Id"] == bench.inspect(first.image)["Id"]
    rebuilt = await bench.build(recipe, rebuild=True)
    assert rebuilt.built == (first.image,)
    assert bench.run(rebuilt.image, "cat", "/opt/when") != bench.run(second.image, "cat", "/opt/when")


async def test_a_custom_dockerfile_with_files_and_arguments(bench: ImageBench) -> None:
    recipe = bench.custom(
        "ARG UNUSED\nFROM debian:bookworm-slim AS tools\nRUN echo tool > /tool\n"
        "FROM openclaw-agent-base\nARG VERSION=none\nUSER root\nCOPY --from=tools /tool /opt/\nCOPY sub/a.txt /opt/\n"
        'RUN echo "$VERSION" > /opt/version\nEXPOSE 80\nCMD ["nginx"]\n',
        {"sub/a.txt": b"beside it"},
    )
    ensured = await bench.build(recipe, arguments={"VERSION": "7"})
    assert bench.run(ensured.image, "bash", "-c", "cat /opt/tool /opt/version /opt/a.txt") == "tool\n7\nbeside it"
    assert bench.inspect(ensured.image)["Config"]["Entrypoint"][-1] == "runtime"


async def test_progress_names_steps_and_only_goes_forward(bench: ImageBench) -> None:
    steps = Steps()
    await bench.build(bench.recipe(setup_tasks=[{"command": "true", "description": "Do nothing"}]), steps)
    fractions = [fraction for fraction, _ in steps.said]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert 'setup task 1 "Do nothing"' in steps.text


async def test_a_setup_task_that_fails_is_named_with_its_output(bench: ImageBench) -> None:
    recipe = bench.recipe(
        setup_tasks=[
            {"command": f"echo fine # {new_name()}"},
            {"command": "echo working; echo 'it is broken' >&2; exit 7", "description": "Install the thing"},
        ]
    )
    with pytest.raises(DriverFailed) as caught:
        await bench.build(recipe)
    error = caught.value
    assert error.code == "setup_task_failed"
    assert 'setup task 2 "Install the thing" failed (exit code 7)' in error.message
    assert {"it is broken", "working"} == set(error.message.splitlines()[1:])
    assert recipe.profile in error.hint
    log = await bench.log(recipe)
    assert {"fine", "working", "it is broken"} <= set(log)
    assert log[-1].startswith("failed: ")
    assert bench.tags(image_name(recipe.profile)) == set()


async def test_a_package_that_does_not_exist_is_named(bench: ImageBench) -> None:
    with pytest.raises(DriverFailed, match="no package no-such-package-x") as caught:
        await bench.build(bench.recipe(packages=["git", "no-such-package-x"]))
    assert (caught.value.code, caught.value.retryable) == ("unknown_package", False)


async def test_a_full_disk_is_called_so(bench: ImageBench) -> None:
    """/dev/shm stands for the disk: the same words from the same system call."""
    with pytest.raises(DriverFailed, match="no space left") as caught:
        await bench.build(bench.recipe(setup_tasks=[{"command": "dd if=/dev/zero of=/dev/shm/x bs=1M count=999"}]))
    assert caught.value.code == "engine_disk_full"


async def test_builds_of_one_image_are_one_and_others_run_beside_it(bench: ImageBench) -> None:
    shared = bench.recipe(setup_tasks=[{"command": "date +%N > /opt/n"}])
    others = [bench.recipe(setup_tasks=[{"command": f"echo {number}"}]) for number in range(3)]
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(bench.build(recipe)) for recipe in (shared, shared, shared, *others)]
    ensured = [task.result() for task in tasks]
    assert sum(one.image in one.built for one in ensured[:3]) == 1
    assert len({one.image for one in ensured}) == 4


async def test_a_cancelled_build_ends_and_leaves_nothing(bench: ImageBench) -> None:
    mark = uuid.uuid4().hex
    recipe = bench.recipe(setup_tasks=[{"command": f"echo begun; sleep 600 # {mark}"}])
    name = recipe.profile

    async def begun() -> bool:
        try:
            return "begun" in await bench.log(recipe)
        except NotFound:
            return False

    async with asyncio.TaskGroup() as group:
        build = group.create_task(bench.build(recipe))
        await eventually(begun, seconds=60, what="the setup task runs")
        build.cancel()
    assert build.cancelled()

    async def gone() -> bool:
        return not bench.containers_of(mark)

    await eventually(gone, seconds=60, what="the build's container is gone")
    assert bench.tags(image_name(name)) == set()
    assert (await bench.log(recipe))[-1] == "cancelled"


@pytest.mark.parametrize("tag", ["latest", "same"])
async def test_a_foreign_image_of_the_name_is_never_touched(bench: ImageBench, tag: str) -> None:
    recipe = bench.recipe()
    wanted = await bench.images.wanted(ImageOrder(recipe=recipe))
    repository = image_name(recipe.profile)
    taken = "latest" if tag == "latest" else wanted.rpartition(":")[2]
    bench.outside.post("/images/debian:bookworm-slim/tag", repo=repository, tag=taken)
    with pytest.raises(Conflict, match="was not made by clawtui"):
        await bench.build(recipe)
    assert bench.tags(repository) == {taken}
    assert bench.inspect(f"{repository}:{taken}")["Id"] == bench.inspect("debian:bookworm-slim")["Id"]


async def test_another_platform_needs_another_builder(bench: ImageBench) -> None:
    with pytest.raises(NotAvailable, match=r"for linux/\w+ only, not for linux/s390x"):
        await bench.build(bench.recipe(), platform="linux/s390x")
    for platform in ("windows/amd64", "linux/amd64,linux/arm64", "arm64"):
        with pytest.raises(BadRequest, match="is not a platform"):
            await bench.build(bench.recipe(), platform=platform)


async def test_an_image_that_is_there_is_listed(bench: ImageBench) -> None:
    ensured = await bench.build(bench.recipe())
    (entry,) = [one for one in await bench.images.entries() if f"{one.name}:{one.tag}" == ensured.image]
    assert entry.latest
    assert entry.size_bytes > 100_000_000


async def test_a_base_that_cannot_be_pulled_is_said(bench: ImageBench) -> None:
    recipe = bench.custom("FROM localhost:1/no-such AS a\nFROM openclaw-agent-base\n")
    with pytest.raises(DriverFailed, match="does not have localhost:1/no-such") as caught:
        await bench.build(recipe)
    assert caught.value.code == "build_failed"


async def test_an_engine_that_goes_away_in_the_middle_is_named_with_the_step(tmp_path: Path) -> None:
    broken, mark = ImageBench(tmp_path, connect=Breaking(b"half-way")), uuid.uuid4().hex
    try:
        command = f"echo half''-way; sleep 60 # {mark}"
        recipe = broken.recipe(setup_tasks=[{"command": command, "description": "Go on"}])
        with pytest.raises(EngineUnreachable, match=r'in setup task 1 "Go on": .*broke off') as caught:
            await broken.build(recipe)
        assert caught.value.retryable

        async def gone() -> bool:
            return not broken.containers_of(mark)

        await eventually(gone, seconds=60, what="the build's container is gone")
        assert broken.tags(image_name(recipe.profile)) == set()
        assert "half-way" in await broken.log(recipe)
    finally:
        await broken.close()


async def test_no_log_is_an_answer(bench: ImageBench) -> None:
    with pytest.raises(NotFound):
        bench.images.log("openclaw-agent-never-built", None, 0, False)


async def test_an_option_that_cannot_be_read_is_said_before_anything_is_built(tmp_path: Path) -> None:
    broken = ImageBench(tmp_path, BuildOptions(extra_ca=Path("/no/such/ca.pem")))
    try:
        with pytest.raises(DriverFailed, match=r"/no/such/ca\.pem"):
            await broken.build(broken.recipe())
    finally:
        await broken.close()


async def test_an_image_is_removed_with_every_tag_and_its_logs(bench: ImageBench) -> None:
    recipe = bench.recipe(files=[{"path": "x", "content": new_name()}])
    first = (await bench.build(recipe)).image
    changed = bench.recipe(recipe.profile, files=[{"path": "x", "content": new_name()}])
    second = (await bench.build(changed)).image
    repository = image_name(recipe.profile)
    assert first != second
    base = bench.tags("openclaw-agent-base")
    assert await bench.images.remove(repository) == 3
    assert (bench.tags(repository), bench.tags("openclaw-agent-base")) == (set(), base)
    with pytest.raises(NotFound):
        await bench.log(recipe)
    assert await bench.images.remove(repository) == 0, "none is there any more"


async def test_an_image_that_is_needed_is_not_removed(bench: ImageBench) -> None:
    recipe = bench.recipe(files=[{"path": "x", "content": new_name()}])
    built = (await bench.build(recipe)).image
    repository, user = image_name(recipe.profile), new_name()
    made = bench.outside.make_container(user, Image=built)
    try:
        with pytest.raises(Conflict, match=f"in use: container {user}"):
            await bench.images.remove(repository)
        bench.outside.post("/commit", container=made, repo=user, tag="kept")
    finally:
        bench.outside.remove_container(made)
    try:
        with pytest.raises(Conflict, match=f"in use: image {user}:kept"):
            await bench.images.remove(repository)
        assert "latest" in bench.tags(repository)
    finally:
        bench.remove_tag(f"{user}:kept")
    assert await bench.images.remove(repository) == 2
