"""What a container really mounts, against what a sync was told and needs."""

from __future__ import annotations

from pathlib import Path

import pytest

from profiles.sync.mounts import Mount, container_path
from profiles.sync.mounts_seen import Judged, SeenMount, judge_mounts

ROOT, CONFIG = Path("/srv/oc/agents"), Path("/srv/oc/openclaw.json")


def bind(source: str, destination: str, *, writable: bool = True) -> SeenMount:
    return SeenMount(source=source, destination=destination, writable=writable)


def volume(name: str, destination: str) -> SeenMount:
    return SeenMount(source=f"/var/lib/docker/volumes/{name}/_data", destination=destination, volume=name)


def judged(*seen: SeenMount, given: tuple[tuple[str, str], ...] = (), reads: str = "") -> Judged:
    mounts = [Mount(host=host, container=container) for host, container in given]
    return judge_mounts("gw", ROOT, CONFIG, mounts, seen, reads)


def said(found: Judged, *, harmless: bool = False) -> list[str]:
    return [str(one) for one in found.findings if one.harmless is harmless]


@pytest.mark.parametrize("given", [(), (("/srv/oc", "/data"),), (("/srv/oc/agents", "/data/agents"),)])
def test_right_mounts_are_taken_from_the_container(given: tuple[tuple[str, str], ...]) -> None:
    found = judged(bind("/srv/oc", "/data"), volume("cache", "/cache"), given=given, reads="/data/openclaw.json")
    assert (found.findings, found.sees_root, found.config) == ((), True, "/data/openclaw.json")
    assert container_path(ROOT / "ann", found.mounts) == "/data/agents/ann"


def test_a_missing_mount_is_named_with_its_setting_and_what_to_do() -> None:
    found = judged(bind("/srv/other", "/data"), volume("oc_state", "/home/node/.openclaw"))
    assert (found.sees_root, found.config) == (False, None)
    assert said(found) == [
        "workspaceRoot: the container gw does not see the workspaces /srv/oc/agents: it has /srv/other at /data, "
        "the named volume oc_state at /home/node/.openclaw",
        "configPath: the container gw does not see /srv/oc/openclaw.json: it has /srv/other at /data, "
        "the named volume oc_state at /home/node/.openclaw",
    ]
    assert "-v /srv/oc/agents:" in found.findings[0].hint
    assert "/var/lib/docker/volumes/oc_state/_data" in found.findings[0].hint
    assert said(judged())[0].endswith("it mounts nothing")


def test_a_wrong_destination_that_was_named_is_not_believed() -> None:
    found = judged(bind("/srv/oc", "/data"), given=(("/srv/oc", "/home/node/.openclaw"),))
    assert said(found) == [
        "mounts[0]: the container gw mounts nothing at /home/node/.openclaw, not /srv/oc at /home/node/.openclaw; "
        "it has that at /data"
    ]
    assert "Say /data" in found.findings[0].hint
    assert container_path(ROOT, found.mounts) == "/data/agents"


@pytest.mark.parametrize(
    ("seen", "has"),
    [
        (bind("/srv/else", "/data"), "has /srv/else at /data"),
        (volume("v", "/data"), "has the named volume v at /data"),
        (SeenMount(source="", destination="/data"), "has something of its own at /data"),
    ],
)
def test_another_thing_at_a_named_place(seen: SeenMount, has: str) -> None:
    found = judged(seen, given=(("/srv/oc", "/data"),))
    assert f"mounts[0]: the container gw {has}, not /srv/oc at /data" in said(found)
    assert "-v /srv/oc:/data" in found.findings[0].hint
    # Where the engine knows nothing of it, what was named is all there is.
    assert (found.sees_root, container_path(ROOT, found.mounts)) == (True, "/data/agents")


def test_a_gateway_that_reads_another_file_is_told() -> None:
    found = judged(bind("/srv/oc", "/data"), reads="/home/node/.openclaw/openclaw.json")
    assert said(found) == [
        "configPath: /srv/oc/openclaw.json is /data/openclaw.json in the container gw, and its gateway reads "
        "/home/node/.openclaw/openclaw.json"
    ]
    assert "OPENCLAW_CONFIG_PATH=/data/openclaw.json" in found.findings[0].hint


def test_a_file_mounted_by_itself_does_not_see_the_rename() -> None:
    found = judged(bind("/srv/oc/agents", "/agents"), bind("/srv/oc/openclaw.json", "/etc/openclaw.json"))
    (told,) = said(found)
    assert told.startswith("configPath: the container gw mounts the file /srv/oc/openclaw.json itself")
    assert "rename" in told
    assert "-v /srv/oc:/etc" in found.findings[0].hint


def test_read_only_workspaces_are_a_problem_and_a_read_only_config_is_none() -> None:
    found = judged(bind("/srv/oc", "/data", writable=False))
    assert said(found) == [
        "workspaceRoot: the container gw has /srv/oc at /data read-only: its agents cannot write their memory"
    ]
    assert found.findings[0].hint == "Mount it without :ro."
    (note,) = said(found, harmless=True)
    assert note.startswith("configPath: the container gw has /srv/oc at /data read-only")


def test_a_named_volume_is_used_and_noted() -> None:
    place = Path("/var/lib/docker/volumes/v/_data")
    found = judge_mounts("gw", place / "agents", place / "openclaw.json", (), [volume("v", "/data")])
    assert (said(found), container_path(place / "agents", found.mounts)) == ([], "/data/agents")
    assert [note.partition(":")[0] for note in said(found, harmless=True)] == ["workspaceRoot", "configPath"]
    assert "the named volume v at /data" in said(found, harmless=True)[0]


def test_something_that_lies_over_the_workspaces_hides_them() -> None:
    over = SeenMount(source="", destination="/data/agents")
    found = judged(bind("/srv/oc", "/data"), over)
    assert found.sees_root is False
    assert said(found)[0].startswith("workspaceRoot: the container gw does not see the workspaces")
    assert found.config == "/data/openclaw.json"
