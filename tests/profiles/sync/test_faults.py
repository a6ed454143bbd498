"""What stands in the way of a sync: links, pipes, other people's folders, disks that are full or read-only. Nothing
outside the workspace is written, nothing is half, the error names the path and says what to do, and when the fault is
gone the next sync is as if it had never been."""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from profiles.sync.beneath import Tree, is_temporary, no_hook
from profiles.sync.errors import SyncError, WorkspaceProblem
from profiles.sync.files import Stamp, digest
from profiles.sync.mounts import Mount
from profiles.sync.once import Report, difference
from tests.profiles.sync.place import Place, by_slug, contents, persona, states

ADA, BOB = persona("ada"), persona("bob")
NEW = msgspec.structs.replace(ADA, soul="I am new.\n" * 2_000)
TRIAGE_PATH = "ada/skills/triage/SKILL.md"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    place.sync([ADA, BOB])
    return place


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder of somebody else with a file."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "SOUL.md").write_text("secret")
    (folder / "SKILL.md").write_text("secret")
    return folder


def failed(report: Report, slug: str = "ada") -> tuple[str, str]:
    assert states(report)[slug] == "failed", by_slug(report)[slug]
    return by_slug(report)[slug].reason, by_slug(report)[slug].hint


# --- things that were planted in a workspace ---------------------------------------------------------


def swap_file(place: Place, path: str, plant: Callable[[Path], object]) -> None:
    place.file(path).unlink()
    plant(place.file(path))


def a_link(outside: Path) -> Callable[[Path], object]:
    return lambda path: path.symlink_to(outside / "SOUL.md")


def a_hard_link(outside: Path) -> Callable[[Path], object]:
    return lambda path: path.hardlink_to(outside / "SOUL.md")


def a_dangling_link(outside: Path) -> Callable[[Path], object]:
    return lambda path: path.symlink_to(outside / "new.md")


def a_pipe(outside: Path) -> Callable[[Path], object]:
    return os.mkfifo


def a_folder(outside: Path) -> Callable[[Path], object]:
    return Path.mkdir


@pytest.mark.parametrize("path", ["ada/SOUL.md", "ada/MEMORY.md", "ada/memory/WORKING.md", TRIAGE_PATH])
@pytest.mark.parametrize(
    ("plant", "words"),
    [
        (a_link, "is a symbolic link"),
        (a_dangling_link, "is a symbolic link"),
        (a_hard_link, "has 2 names (hard links)"),
        (a_pipe, "is a pipe"),
        (a_folder, "is a folder where a file belongs"),
    ],
)
def test_what_is_no_file_of_its_own_is_not_written(
    place: Place, outside: Path, path: str, plant: Callable[[Path], Callable[[Path], object]], words: str
) -> None:
    swap_file(place, path, plant(outside))
    before = contents(outside)
    reason, hint = failed(place.sync([NEW, BOB]))
    assert str(place.file(path)) in reason
    assert words in reason
    assert "remove it" in hint
    assert contents(outside) == before
    assert place.read("ada/AGENTS.md"), "the rest of it is as it was"
    with pytest.raises(SyncError, match="ada"):
        difference(place.target, [NEW], "ada")
    if plant is a_folder:
        place.file(path).rmdir()
    else:
        place.file(path).unlink()
    assert states(place.sync([NEW, BOB]))["ada"] == "pending"
    assert states(place.sync([NEW, BOB]))["ada"] == "in-step"


@pytest.mark.parametrize("path", ["ada", "ada/skills", "ada/skills/triage", "ada/memory", "ada/deliverables"])
@pytest.mark.parametrize("kind", ["link", "file", "pipe"])
def test_a_folder_that_is_none_is_not_entered(place: Place, outside: Path, path: str, kind: str) -> None:
    place.file(path).rename(place.root.parent / "away")
    if kind == "link":
        place.file(path).symlink_to(outside)
    elif kind == "file":
        place.file(path).write_text("a file")
    else:
        os.mkfifo(place.file(path))
    before = contents(outside)
    reason, hint = failed(place.sync([NEW, BOB]))
    assert str(place.file(path)) in reason
    assert "where a folder belongs" in reason
    assert hint
    assert contents(outside) == before
    place.file(path).unlink()
    (place.root.parent / "away").rename(place.file(path))
    assert states(place.sync([NEW, BOB]))["ada"] == "pending"


def test_a_link_that_is_planted_between_the_look_and_the_write_is_not_followed(place: Place, outside: Path) -> None:
    """An agent works in its workspace while it is synced."""

    def plant(step: str) -> None:
        if step == f"begin {place.file('ada/SOUL.md')}":
            swap_file(place, "ada/SOUL.md", a_link(outside))

    before = contents(outside)
    reason, _ = failed(place.sync([NEW, BOB], hook=plant))
    assert "symbolic link" in reason
    assert contents(outside) == before
    assert not [path for path in contents(place.root) if is_temporary(Path(path).name)]


def test_a_folder_that_becomes_a_link_between_the_look_and_the_write_is_not_followed(
    place: Place, outside: Path
) -> None:
    def plant(step: str) -> None:
        if step == f"begin {place.file('ada/AGENTS.md')}":
            place.file("ada/skills/triage").rename(place.file("ada/moved"))
            place.file("ada/skills/triage").symlink_to(outside)

    before = contents(outside)
    new = msgspec.structs.replace(ADA, skills=(msgspec.structs.replace(ADA.skills[0], body="Other", name="Other"),))
    reason, _ = failed(place.sync([new, BOB], hook=plant))
    assert "where a folder belongs" in reason
    assert contents(outside) == before


def test_an_edit_between_the_look_and_the_write_is_not_lost(place: Place) -> None:
    def edit(step: str) -> None:
        if step == f"begin {place.file('ada/SOUL.md')}":
            place.file("ada/SOUL.md").write_text("A human was faster.")

    reason, hint = failed(place.sync([NEW, BOB], hook=edit))
    assert "was changed just now" in reason
    assert "next sync" in hint
    assert place.read("ada/SOUL.md") == "A human was faster."
    assert states(place.sync([NEW, BOB])) == {"ada": "conflict", "bob": "in-step"}


def test_a_temporary_file_that_is_a_link_is_replaced_and_not_written_through(place: Place, outside: Path) -> None:
    place.file("ada/.SOUL.md.clawtui-new").symlink_to(outside / "SOUL.md")
    assert states(place.sync([NEW, BOB]))["ada"] == "pending"
    assert (outside / "SOUL.md").read_text() == "secret"
    assert place.read("ada/SOUL.md") == NEW.soul


def test_a_workspace_that_vanished_from_the_source_and_is_a_link_is_not_archived(place: Place, outside: Path) -> None:
    place.file("ada").rename(place.root.parent / "away")
    place.file("ada").symlink_to(outside)
    report = place.sync([BOB])
    reason, _ = failed(report)
    assert "not archived" in reason
    assert place.file("ada").is_symlink()
    assert sorted(contents(outside)) == ["SKILL.md", "SOUL.md"]


def test_an_archive_that_is_a_link_is_not_used(place: Place, outside: Path) -> None:
    place.file(".archive").symlink_to(outside)
    reason, _ = failed(place.sync([BOB]))
    assert "cannot be archived" in reason
    assert sorted(contents(outside)) == ["SKILL.md", "SOUL.md"]
    place.file(".archive").unlink()
    assert place.sync([BOB]).archived == ("ada",)


@pytest.mark.parametrize("name", [".clawtui-sync.json", ".clawtui-sync.lock"])
def test_our_own_files_of_the_root_are_no_links(place: Place, outside: Path, name: str) -> None:
    place.file(name).unlink()
    place.file(name).symlink_to(outside / "SOUL.md")
    with pytest.raises(SyncError, match="is a symbolic link") as caught:
        place.sync([NEW, BOB])
    assert "remove it" in caught.value.hint.lower()
    assert (outside / "SOUL.md").read_text() == "secret"


def test_a_file_larger_than_all_of_ours_is_not_read(place: Place) -> None:
    with place.file("ada/SOUL.md").open("ab") as file:
        file.truncate(1 << 34)
    reason, _ = failed(place.sync([NEW, BOB]))
    assert "larger than 16 MiB" in reason


# --- leftovers ---------------------------------------------------------------------------------------


def test_leftovers_of_a_killed_run_are_removed(place: Place) -> None:
    left = ["..clawtui-sync.json.clawtui-new"]
    left += ["ada/.SOUL.md.clawtui-new", "ada/skills/triage/.SKILL.md.clawtui-new", "ada/memory/.W.clawtui-new"]
    for path in left:
        place.file(path).write_text("half")
    place.config.with_name(".openclaw.clawtui-new.json").write_text("half")
    assert states(place.sync([ADA, BOB])) == {"ada": "in-step", "bob": "in-step"}
    assert not [path for path in contents(place.root.parent) if "clawtui-new" in path]


def test_a_manifest_that_cannot_be_read_stops_the_sync(place: Place) -> None:
    before = contents(place.root)
    manifest = place.file(".clawtui-sync.json")
    for content, words in ((b"{", "cannot be read"), (b'{"format":9}', "another version")):
        manifest.write_bytes(content)
        with pytest.raises(SyncError, match=words) as caught:
            place.sync([NEW, BOB])
        assert caught.value.hint
    manifest.unlink()
    report = place.sync([ADA, BOB])
    assert states(report) == {"ada": "pending", "bob": "pending"}, "files that are as the source says are known again"
    after = contents(place.root)
    assert after.pop(".clawtui-sync.json")
    assert after == {path: content for path, content in before.items() if path != ".clawtui-sync.json"}


# --- folders and disks -------------------------------------------------------------------------------


def test_a_root_whose_folder_is_missing_is_a_mount_that_is_not_there(tmp_path: Path) -> None:
    place = Place(tmp_path / "mnt")
    with pytest.raises(SyncError, match="does not exist") as caught:
        place.sync([ADA])
    assert "mounted" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_a_root_that_is_missing_alone_is_made(tmp_path: Path) -> None:
    place = Place(tmp_path)
    assert states(place.sync([ADA])) == {"ada": "pending"}


@pytest.mark.parametrize(("kind", "words"), [("file", "is not a folder"), ("link", "is a symbolic link")])
def test_a_root_that_is_no_folder(tmp_path: Path, kind: str, words: str) -> None:
    place = Place(tmp_path)
    if kind == "file":
        place.root.write_text("a file")
    else:
        (tmp_path / "real").mkdir()
        place.root.symlink_to(tmp_path / "real")
    with pytest.raises(SyncError, match=words) as caught:
        place.sync([ADA])
    assert caught.value.hint
    assert not place.config.exists()


def test_a_root_that_the_gateway_does_not_see(place: Place) -> None:
    target = msgspec.structs.replace(place.target, mounts=(Mount(host="/srv/other", container="/data"),))
    with pytest.raises(SyncError, match="does not see"):
        place.sync([NEW], target=target)
    assert place.read("ada/SOUL.md") == "I am ada.\n"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 256 KiB."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("a small file system can only be mounted by root on Linux")
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)]
    made = subprocess.run(mount, capture_output=True, text=True, check=False)
    if made.returncode != 0:
        pytest.skip(f"this machine does not let root mount a tmpfs: {made.stderr.strip()}")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def fill(disk: Path) -> Path:
    """Take every page that is left."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(b"x" * 4096):
            pass
    return ballast


def test_a_full_disk_changes_nothing_and_the_next_sync_goes_on(small_disk: Path) -> None:
    place = Place(small_disk)
    place.sync([ADA, BOB])
    before = contents(place.root)
    large = [msgspec.structs.replace(ADA, soul="x" * 300_000), msgspec.structs.replace(BOB, role="Other")]
    report = place.sync(large)
    reason, hint = failed(report)
    assert "No space left" in reason
    assert "Make room" in hint
    assert states(report)["bob"] == "pending", "there is room for the other one"
    after = contents(place.root)
    assert {path: after[path] for path in after if path.startswith("ada")} == {
        path: before[path] for path in before if path.startswith("ada")
    }
    subprocess.run(["mount", "-o", "remount,size=4m", str(small_disk)], check=True)
    assert states(place.sync(large)) == {"ada": "pending", "bob": "in-step"}
    assert place.read("ada/SOUL.md") == "x" * 300_000 + "\n"


def test_a_disk_without_room_for_anything_stops_the_sync(small_disk: Path) -> None:
    place = Place(small_disk)
    place.sync([ADA, BOB])
    before = contents(small_disk)
    ballast = fill(small_disk)
    with pytest.raises(SyncError, match=r"\.clawtui-sync\.json cannot be written: No space left"):
        place.sync([NEW, BOB])
    ballast.unlink()
    assert contents(small_disk) == before
    assert states(place.sync([NEW, BOB])) == {"ada": "pending", "bob": "in-step"}


def test_a_disk_that_is_full_for_the_configuration_leaves_the_old_one(small_disk: Path, tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.config = small_disk / "openclaw.json"
    place.target = msgspec.structs.replace(place.target, config=place.config)
    place.sync([ADA])
    before = place.config.read_bytes()
    ballast = fill(small_disk)
    report = place.sync([ADA, BOB])
    assert "No space left" in report.config_problem
    assert "Make room" in report.config_hint
    assert place.config.read_bytes() == before
    ballast.unlink()
    assert sorted(path.name for path in small_disk.iterdir()) == ["openclaw.json"]
    assert place.sync([ADA, BOB]).config_changed


@pytest.mark.parametrize("what", ["root", "config"])
def test_a_read_only_disk_is_named(small_disk: Path, tmp_path: Path, what: str) -> None:
    place = Place(small_disk if what == "root" else tmp_path)
    if what == "config":
        place.target = msgspec.structs.replace(place.target, config=small_disk / "openclaw.json")
    place.sync([ADA])
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    if what == "root":
        with pytest.raises(SyncError, match="Read-only file system") as caught:
            place.sync([ADA, BOB])
        assert "writable" in caught.value.hint
        assert states(place.sync([ADA], dry_run=True)) == {"ada": "in-step"}, "looking needs no writing"
    else:
        report = place.sync([ADA, BOB])
        assert "Read-only file system" in report.config_problem
        assert "writable" in report.config_hint
        assert states(report) == {"ada": "pending", "bob": "pending"}


def test_a_folder_without_permission_is_named(tmp_path: Path) -> None:
    """Root may do everything, so the sync runs as somebody else."""
    if os.geteuid() != 0:
        pytest.skip("only root becomes somebody else")
    place = Place(tmp_path)
    place.sync([ADA, BOB])
    for path in (tmp_path, *tmp_path.parents):
        if path.name.startswith(("pytest-", "popen-")) or path == tmp_path:
            path.chmod(0o755)
    for path in [place.root, *place.root.rglob("*"), place.config]:
        os.chown(path, 65534, 65534)
    place.file("ada").chmod(0o555)
    script = f"""
import os
from pathlib import Path
from tests.profiles.sync.place import Place, persona, by_slug
os.setgid(65534); os.setuid(65534)
place = Place(Path({str(tmp_path)!r}))
report = by_slug(place.sync([persona("ada", soul="new"), persona("bob", soul="new")]))
print(report["ada"].state.value, report["ada"].reason, report["ada"].hint, report["bob"].state.value, sep="|")
"""
    run = subprocess.run(
        [sys.executable, "-c", script], cwd=Path(__file__).parents[3], capture_output=True, text=True, check=True
    )
    state, reason, hint, other = run.stdout.strip().split("|")
    assert (state, other) == ("failed", "pending")
    assert f"{place.root}/ada cannot be written: Permission denied" in reason
    assert "user that the hub runs as" in hint


def test_a_limit_on_the_size_of_files_is_named(place: Place) -> None:
    before = contents(place.file("ada"))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64_000, hard))
    try:
        report = place.sync([msgspec.structs.replace(ADA, soul="x" * 100_000), BOB])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    reason, hint = failed(report)
    assert "File too large" in reason
    assert "ulimit" in hint
    assert contents(place.file("ada")) == before


# --- the configuration -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("plant", "words"),
    [(a_link, "is a symbolic link"), (a_hard_link, "2 names"), (a_pipe, "is not a file"), (a_folder, "is not a file")],
)
def test_a_configuration_that_is_no_file_of_its_own_is_left(
    place: Place, outside: Path, plant: Callable[[Path], Callable[[Path], object]], words: str
) -> None:
    place.config.unlink()
    plant(outside)(place.config)
    before = contents(outside)
    report = place.sync([ADA, BOB, persona("cleo")])
    assert words in report.config_problem
    assert str(place.config) in report.config_problem
    assert report.config_hint
    assert contents(outside) == before
    assert place.file("cleo/SOUL.md").exists()


def test_a_configuration_that_is_no_text_is_left(place: Place) -> None:
    place.config.write_bytes(b"\xff\xfe{")
    assert "not UTF-8" in place.sync([ADA, BOB]).config_problem
    assert place.config.read_bytes() == b"\xff\xfe{"


def test_a_configuration_whose_folder_is_missing(place: Place, tmp_path: Path) -> None:
    target = msgspec.structs.replace(place.target, config=tmp_path / "none" / "openclaw.json")
    report = place.sync([ADA], target=target)
    assert f"the folder {tmp_path}/none cannot be opened" in report.config_problem
    assert "mount" in report.config_hint
    assert report.archived == (), "the configuration may still name who is gone"


def test_a_configuration_that_changes_during_the_sync_is_not_overwritten(place: Place) -> None:
    text = place.config.read_text()

    def edit(step: str) -> None:
        if step.startswith("begin") and "openclaw" in step:
            place.config.write_text(text.replace("{", "{ // mine", 1))

    report = place.sync([ADA, BOB, persona("cleo")], hook=edit)
    assert "was changed just now" in report.config_problem
    assert "// mine" in place.config.read_text()
    report = place.sync([ADA, BOB, persona("cleo")])
    assert (report.config_problem, "// mine" in place.config.read_text()) == ("", True)


@pytest.mark.parametrize(
    "workspaces", [{"../outside": {}}, {"ada": {"../../outside/SOUL.md": {}}}, {"ada": {"/etc/passwd": {}}}, {"": {}}]
)
def test_a_manifest_that_leads_elsewhere_is_not_followed(
    place: Place, outside: Path, workspaces: dict[str, dict[str, dict[str, str]]]
) -> None:
    """Agents work beside it."""
    mark = {"source": digest(b"secret"), "disk": digest(b"secret")}
    told = {slug: dict.fromkeys(paths, mark) for slug, paths in workspaces.items()}
    place.file(".clawtui-sync.json").write_bytes(msgspec.json.encode({"workspaces": told}))
    with pytest.raises(SyncError, match="is in no workspace"):
        place.sync([ADA, BOB])
    assert sorted(contents(outside)) == ["SKILL.md", "SOUL.md"]


@pytest.mark.parametrize("path", ["../x", "a/../b", "/etc/x", "a//b", "./a", "", "a\0b"])
def test_no_path_leads_out_of_a_workspace(place: Place, path: str) -> None:
    root = os.open(place.root, os.O_RDONLY)
    try:
        with Tree(root, place.root, "ada") as tree:
            for act in (
                lambda: tree.look(path),
                lambda: tree.put(path, b"", Stamp(), no_hook),
                lambda: tree.remove(path, no_hook),
                lambda: tree.folder(path),
            ):
                with pytest.raises(WorkspaceProblem, match="leads out"):
                    act()
        with pytest.raises(WorkspaceProblem, match="leads out"):
            Tree(root, place.root, path)
    finally:
        os.close(root)
