"""Push and pull: names, what a transfer says, and a real registry on loopback."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hub.drivers.docker.registry import Transfer, remote_reference
from hub.errors import BadRequest, Conflict, DriverFailed, NotFound
from profiles.image import image_name
from tests.end_to_end.harness import eventually
from tests.hub.images.image_bench import ImageBench, Steps
from tests.hub.images.registry_server import answers, registry, registry_missing

NAME = "openclaw-agent-x:0123456789ab"
HTPASSWD = "me:$2y$05$x2EoYddNTCxB0Oc3tqoRPOHH9gfCgDOXqD0aThzwt/pXsYh3.3cES\n"
"""User me, password secret."""


@pytest.mark.parametrize(
    "given", ["localhost:5000", "localhost", "registry.example.com", "127.0.0.1:5000/team/agents", "[::1]:5000"]
)
def test_where_an_image_is_in_a_registry(given: str) -> None:
    assert remote_reference(NAME, f"{given}/") == f"{given}/{NAME}"


@pytest.mark.parametrize(
    ("name", "given", "field"),
    [
        (NAME, "", "registry"),
        (NAME, "team", "registry"),
        (NAME, "http://localhost:5000", "registry"),
        (NAME, "localhost:5000/../x", "registry"),
        (NAME, "localhost:5000/Team", "registry"),
        (NAME, "localhost:5000?x=1", "registry"),
        (NAME, "a b.example.com", "registry"),
        ("debian:latest", "localhost:5000", "image"),
        ("openclaw-agent-x", "localhost:5000", "image"),
        ("openclaw-agent-x:a/b", "localhost:5000", "image"),
        ("openclaw-agent-X:a", "localhost:5000", "image"),
    ],
)
def test_what_is_no_name_or_registry(name: str, given: str, field: str) -> None:
    with pytest.raises(BadRequest) as caught:
        remote_reference(name, given)
    assert caught.value.field == field


def test_a_transfer_counts_all_layers() -> None:
    steps = Steps()
    transfer = Transfer("pushing", steps)
    for layer, current in (("a", 1 << 20), ("b", 0), ("a", 2 << 20), ("b", 2 << 20)):
        message = {"id": layer, "status": "Pushing", "progressDetail": {"current": current, "total": 2 << 20}}
        transfer.take(json.dumps(message).encode())
    transfer.take(b'{"progressDetail":{},"aux":{"Tag":"t","Digest":"sha256:1","Size":5}}\r')
    assert [line for _, line in steps.said][-1] == "pushing: 4 of 4 MiB"
    assert transfer.digest == "sha256:1"
    for bad in (b'{"error":"denied"}', b"nonsense"):
        with pytest.raises(DriverFailed, match="pushing: "):
            transfer.take(bad)


# --- a real one ------------------------------------------------------------------------------------------


@pytest.fixture
async def address(tmp_path: Path) -> AsyncIterator[str]:
    if (reason := registry_missing()) is not None:
        pytest.skip(reason)
    with registry(tmp_path) as address:

        async def ready() -> bool:
            return answers(address)

        await eventually(ready, seconds=20, what="the registry answers")
        yield address


@pytest.mark.docker
async def test_an_image_goes_into_a_registry_and_comes_back(bench: ImageBench, address: str) -> None:
    recipe = bench.recipe(files=[{"path": "x", "content": "in the registry"}])
    built = await bench.tiny(recipe)
    steps = Steps()
    pushed = await bench.images.push(built, f"{address}/team", steps)
    assert pushed.reference == f"{address}/team/{built}"
    assert pushed.digest.startswith("sha256:")
    assert bench.tags(f"{address}/team/{image_name(recipe.profile)}") == set(), "only lent"
    made = bench.inspect(built)["Id"]
    for tag in bench.tags(image_name(recipe.profile)):
        bench.remove_tag(f"{image_name(recipe.profile)}:{tag}")
    assert await bench.images.pull(built, f"{address}/team", steps) == made
    assert bench.tags(image_name(recipe.profile)) == {built.rpartition(":")[2], "latest"}
    assert bench.tags(f"{address}/team/{image_name(recipe.profile)}") == set()
    assert (await bench.build(recipe)).built == (), "nothing to build any more"
    assert steps.said[-1][0] == 1.0


@pytest.mark.docker
async def test_what_is_not_there_is_said(bench: ImageBench, address: str) -> None:
    name = f"{image_name(bench.recipe().profile)}:abc"
    with pytest.raises(NotFound, match="there is no image"):
        await bench.images.push(name, address, Steps())
    with pytest.raises(NotFound, match="is not in the registry"):
        await bench.images.pull(name, address, Steps())
    with pytest.raises(DriverFailed, match="connection refused"):
        await bench.images.pull(name, "localhost:1", Steps())


@pytest.mark.docker
async def test_a_foreign_image_of_the_registrys_name_is_not_pulled_over(bench: ImageBench) -> None:
    built = f"{image_name(bench.recipe().profile)}:abc"
    remote = f"localhost:1/{built}"
    bench.names.append(remote.rpartition(":")[0])
    bench.make_tiny(remote, {"made-by": "somebody"})
    foreign = bench.inspect(remote)["Id"]
    with pytest.raises(Conflict, match="was not made by clawtui"):
        await bench.images.pull(built, "localhost:1", Steps())
    assert bench.inspect(remote)["Id"] == foreign


@pytest.mark.docker
async def test_foreign_images_of_our_names_stay_as_they_are(bench: ImageBench, address: str) -> None:
    built = await bench.tiny(bench.recipe())
    repository, _, tag = built.rpartition(":")
    remote = f"{address}/{repository}"
    bench.names.append(remote)
    # Somebody else's image in the registry, under our name.
    bench.make_tiny(f"{remote}:{tag}", {"made-by": "somebody"})
    foreign = bench.inspect(f"{remote}:{tag}")["Id"]
    with pytest.raises(Conflict, match="was not made by clawtui"):
        await bench.images.push(built, address, Steps())
    assert bench.inspect(f"{remote}:{tag}")["Id"] == foreign
    bench.push_foreign(f"{remote}:{tag}")
    with pytest.raises(Conflict, match="was not made by clawtui"):
        await bench.images.pull(built, address, Steps())
    assert bench.inspect(f"{remote}:{tag}")["Id"] == foreign
    assert bench.inspect(built)["Id"] != foreign


@pytest.mark.docker
async def test_a_registry_that_wants_a_login(tmp_path: Path) -> None:
    if (reason := registry_missing()) is not None:
        pytest.skip(reason)
    (tmp_path / "passwords").write_text(HTPASSWD)
    with registry(tmp_path, tmp_path / "passwords") as address:

        async def ready() -> bool:
            return answers(address)

        await eventually(ready, seconds=20, what="the registry answers")
        bench = ImageBench(tmp_path)
        try:
            built = await bench.tiny(bench.recipe())
            with pytest.raises(DriverFailed) as caught:
                await bench.images.push(built, address, Steps())
            assert (caught.value.code, "docker login" in caught.value.hint) == ("image_transfer_failed", True)
            (tmp_path / ".docker").mkdir()
            # As `docker login` keeps it.
            (tmp_path / ".docker" / "config.json").write_text(
                json.dumps({"auths": {address: {"auth": "bWU6c2VjcmV0"}}})
            )
            assert (await bench.images.push(built, address, Steps())).digest
        finally:
            await bench.close()
