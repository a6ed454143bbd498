"""Paths of this machine and of a gateway's container."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiles.sync.errors import SyncError
from profiles.sync.mounts import Mount, check_mounts, container_path, host_path


def mounts(*pairs: str) -> tuple[Mount, ...]:
    return tuple(Mount(host=pair.split("=")[0], container=pair.split("=")[1]) for pair in pairs)


@pytest.mark.parametrize(
    ("path", "pairs", "seen"),
    [
        ("/srv/agents/a", (), "/srv/agents/a"),
        ("/srv/agents/a", ("/srv=/data",), "/data/agents/a"),
        ("/srv/agents/a", ("/srv/=/data/",), "/data/agents/a"),
        ("/srv/agents/a", ("/srv/agents/a=/w",), "/w"),
        ("/srv/agents/a", ("/srv=/data", "/srv/agents=/w"), "/w/a"),
        ("/srv/agents/a", ("/srv/agents=/w", "/srv=/data"), "/w/a"),
        ("/srv/agents/a", ("/=/host",), "/host/srv/agents/a"),
        ("/srv/agents/a", ("/srv/agents=/", "/x=/y"), "/a"),
        ("/srv/x/../agents/a", ("/srv/agents=/w",), "/w/a"),
        ("/srv/agents/a", ("//srv//agents=/w",), "/w/a"),
    ],
)
def test_a_path_as_the_gateway_sees_it_and_back(path: str, pairs: tuple[str, ...], seen: str) -> None:
    assert container_path(Path(path), mounts(*pairs)) == seen
    assert host_path(seen, mounts(*pairs)) == Path("/srv/agents/a")


def test_a_mount_that_is_missing_is_named() -> None:
    with pytest.raises(SyncError) as caught:
        container_path(Path("/srv/agents/a"), mounts("/srv/agent=/w", "/opt=/o"))
    assert caught.value.message == "the gateway does not see /srv/agents/a: it has /srv/agent at /w, /opt at /o"
    assert "mount" in caught.value.hint
    assert caught.value.field == "mounts"


@pytest.mark.parametrize(
    "pairs", [("/srv=/data", "/other=/data/agents"), ("/srv=/data", "/other=/data"), ("/srv/agents=/w", "/b=/w/a")]
)
def test_a_mount_that_lies_over_another_is_named(pairs: tuple[str, ...]) -> None:
    with pytest.raises(SyncError) as caught:
        container_path(Path("/srv/agents/a"), mounts(*pairs))
    assert pairs[1].split("=")[0] in caught.value.message
    assert "different places" in caught.value.hint


def test_what_is_the_containers_own_has_no_path_here() -> None:
    assert host_path("/tmp/x", mounts("/srv=/data")) is None
    assert host_path("/tmp/x", ()) == Path("/tmp/x")


def test_all_that_is_wrong_about_mounts() -> None:
    root, config = Path("/srv/agents"), Path("/srv/openclaw.json")
    assert check_mounts(root, config, ()) == ()
    assert check_mounts(root, config, mounts("/srv=/data")) == ()
    assert check_mounts(root, config, mounts("/srv/agents=/w")) == (
        "no mount holds /srv/openclaw.json: where the gateway reads that file, name its mount too",
    )
    assert check_mounts(root, config, mounts("/x=/w", "/srv/openclaw.json=/o"))[1].startswith(
        "the gateway does not see"
    )
    alone = check_mounts(root, config, mounts("/srv/agents=/w", "/srv/openclaw.json=/c/openclaw.json"))
    assert any("/srv/openclaw.json is a mount of its own" in problem for problem in alone)
    relative = check_mounts(root, config, mounts("srv=/data", "/srv=data"))
    assert [problem for problem in relative if "not absolute" in problem] == [
        "the mount srv at /data has a host path that is not absolute",
        "the mount /srv at data has a container path that is not absolute",
    ]


_PATHS = st.lists(st.sampled_from(["a", "b", "c"]), max_size=4).map(lambda parts: "/" + "/".join(parts))


@given(st.lists(st.builds(Mount, host=_PATHS, container=_PATHS), min_size=1, max_size=4), _PATHS)
def test_a_path_that_is_seen_is_that_path(given_mounts: list[Mount], path: str) -> None:
    try:
        seen = container_path(Path(path), given_mounts)
    except SyncError as error:
        seen = ""
        found = error.message
    else:
        found = ""
    assert bool(seen) != bool(found)
    assert not seen or host_path(seen, given_mounts) == Path(path)
