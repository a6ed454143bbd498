"""The kinds of images are data that fits what is known of the images; references and recipes."""

from __future__ import annotations

import pytest

from hub.drivers.docker.cells_images import image_build
from hub.drivers.fake import FakeCells, FakeEngine
from hub.errors import BadRequest, DriverFailed, NotFound
from hub.gateways.images import check_version, gateway_recipe, have_image, version_of
from hub.gateways.kinds import ApiAuth, check_reference, find_kind, image_reference, is_pinned, kinds
from tests.drivers.contract import no_progress

DIGEST = "sha256:" + "a" * 64


def test_there_are_three_kinds_and_the_one_that_is_built_comes_first() -> None:
    assert list(kinds()) == ["npm", "coollabsio", "official"]
    with pytest.raises(BadRequest) as refused:
        find_kind("docker")
    assert refused.value.field == "image_kind"
    assert "official" in refused.value.hint


@pytest.mark.parametrize("name", ["npm", "official", "coollabsio"])
def test_paths_of_a_kind_are_below_its_volumes(name: str) -> None:
    kind = find_kind(name)
    assert kind.name == name
    state = kind.volumes[0].target
    for path in (kind.config_path, kind.state_path, kind.workspace_path):
        assert path == state or path.startswith(f"{state}/")
    assert len({volume.suffix for volume in kind.volumes}) == len(kind.volumes)
    assert kind.token_variable not in kind.environment
    assert kind.probe_path == "/readyz"
    # Loopback inside a container is unreachable, unless a proxy in there stands before it.
    assert kind.bind == ("loopback" if name == "coollabsio" else "lan")


def test_what_is_particular_of_coollabsios_image() -> None:
    kind = find_kind("coollabsio")
    assert (kind.auth, kind.port, kind.uid, kind.user) == (ApiAuth.BASIC, 8080, 0, "")
    assert (kind.user_variable, kind.password_variable, kind.default_user) == (
        "AUTH_USERNAME",
        "AUTH_PASSWORD",
        "admin",
    )
    assert not kind.live_is_evidence
    assert not kind.config_read_only
    assert "OLLAMA_BASE_URL" in kind.needs_one_of
    assert kind.trusted_proxies == ("127.0.0.1",)


def test_what_is_particular_of_the_official_image() -> None:
    kind = find_kind("official")
    assert (kind.auth, kind.port, kind.uid, kind.init) == (ApiAuth.BEARER, 18789, 1000, False)
    assert kind.mirrors == ("openclaw/openclaw",)
    assert kind.needs_one_of == ()


def test_references() -> None:
    kind = find_kind("official")
    assert image_reference(kind) == "ghcr.io/openclaw/openclaw:latest"
    assert image_reference(kind, version="2026.9.6-slim") == "ghcr.io/openclaw/openclaw:2026.9.6-slim"
    assert image_reference(kind, image="localhost:5000/a/b") == "localhost:5000/a/b:latest"
    assert check_reference(f"a/b:1@{DIGEST}") == f"a/b:1@{DIGEST}"
    for image, version, field in (
        ("a", "1", "version"),
        ("A B", "", "image"),
        ("", "a b", "version"),
        ("-x", "", "image"),
    ):
        with pytest.raises(BadRequest) as refused:
            image_reference(kind, image, version)
        assert refused.value.field == field
    with pytest.raises(BadRequest):
        check_reference("a" * 600)


def test_what_stays_the_same_behind_its_name() -> None:
    assert is_pinned(f"a/b@{DIGEST}")
    assert is_pinned("ghcr.io/openclaw/openclaw:2026.9.6")
    assert not is_pinned("ghcr.io/openclaw/openclaw:latest")
    assert not is_pinned("localhost:5000/openclaw")
    assert version_of("openclaw-gateway:2026.9.6-0123456789ab") == "2026.9.6"
    assert version_of("openclaw/openclaw:latest") == version_of(f"a@{DIGEST}") == ""


@pytest.mark.parametrize("version", ["latest", "1.2.3; rm -rf /", "2026.9", "2025.1.1", "2026.5.30", "^2026.9.6"])
def test_versions_that_are_none(version: str) -> None:
    with pytest.raises(BadRequest) as refused:
        gateway_recipe(version)
    assert refused.value.field == "version"


def test_the_tag_follows_everything_that_is_in_the_image_and_nothing_else() -> None:
    assert check_version("2026.9.6-beta.1") == "2026.9.6-beta.1"
    recipe = gateway_recipe("2026.8.2")
    assert {"Dockerfile", "healthcheck.mjs", "node.txt"} <= set(recipe.files)
    plain = image_build(recipe, {}).name
    assert plain.startswith("openclaw-gateway:2026.8.2-")
    assert image_build(recipe, {"npmrc": b"registry=x", "pip.conf": b"x"}).name == plain, "for the build only"
    others = [
        image_build(recipe, {"extra.crt": b"CA"}).name,
        image_build(gateway_recipe("2026.9.6"), {}).name.replace("2026.9.6", "2026.8.2"),
        image_build(gateway_recipe("2026.8.2", "linux/arm64"), {}).name,
    ]
    assert len({plain, *others}) == 4
    build = image_build(recipe, {})
    assert build.arguments == {"OPENCLAW_VERSION": "2026.8.2"}
    assert build.titles[0].startswith("FROM debian:bookworm-slim")


async def test_an_image_is_built_pulled_or_there_already() -> None:
    engine = FakeEngine()
    cells, official = FakeCells("hub", engine), find_kind("official")
    built = await have_image(cells, find_kind("npm"), no_progress, version="2026.9.6")
    assert (built.fetched, version_of(built.reference)) == (True, "2026.9.6")
    assert not (await have_image(cells, find_kind("npm"), no_progress, version="2026.9.6")).fetched
    with pytest.raises(NotFound):
        await have_image(cells, official, no_progress)
    engine.offer("ghcr.io/openclaw/openclaw:latest")
    pulled = await have_image(cells, official, no_progress)
    assert pulled.fetched
    assert pulled.pinned.startswith("ghcr.io/openclaw/openclaw@sha256:")
    assert not (await have_image(cells, official, no_progress)).fetched
    engine.offer("ghcr.io/openclaw/openclaw:latest")
    newer = await have_image(cells, official, no_progress, again=True)
    assert newer.seen.id != pulled.seen.id


async def test_a_registry_that_is_away_does_not_matter_where_the_image_is_there() -> None:
    engine = FakeEngine()
    cells, kind, reference = FakeCells("hub", engine), find_kind("official"), "ghcr.io/openclaw/openclaw:2026.9.6"
    engine.offer(reference, local=True)
    engine.pull_errors[reference] = DriverFailed("the registry is away", code="image_transfer_failed")
    lines: list[str] = []
    found = await have_image(
        cells, kind, lambda _done, text: lines.append(text), version="2026.9.6", again=True
    )  # fmt: skip
    assert not found.fetched
    assert "as it is here is used" in lines[-1]
    engine.pull_errors["ghcr.io/openclaw/openclaw:2026.8.2"] = DriverFailed("the registry is away")
    with pytest.raises(DriverFailed):
        await have_image(cells, kind, no_progress, version="2026.8.2")
