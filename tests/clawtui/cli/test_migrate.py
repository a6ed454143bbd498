"""profile migrate: reading, showing, comparing and writing."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.clawtui.conftest import CommandLine

WEB: dict[str, Any] = {
    "name": "web",
    "resources": {"cpu": 2, "memory": "2G"},
    "packages": ["nginx", "postgresql-14"],
    "setup_tasks": [{"command": "sudo -u postgres createdb app"}, {"command": "systemctl enable myservice"}],
}
FILES = {"web.json", "web.Dockerfile", "web.compose.yml", "web.compose/postgres/10-setup.sh", "web.report.md"}


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A folder with a VM profile, a Docker profile, and a file that is neither."""
    folder = tmp_path / "old"
    folder.mkdir()
    (folder / "web.json").write_text(json.dumps(WEB))
    (folder / "done.yaml").write_text("# mine\nresources: {cpus: '1'}\n")
    (folder / "broken.json").write_text('{"packages": "git"}')
    (folder / "other.compose.yml").write_text("services: {}\n")
    (folder / "notes.txt").write_text("nothing")
    return folder


def tree(folder: Path) -> dict[str, tuple[int, int]]:
    """Every file with what changes when it is written again."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): (path.stat().st_ino, path.stat().st_mtime_ns) for path in found}


def test_the_report_is_shown_and_nothing_is_written(cli: CommandLine, old: Path) -> None:
    before = tree(old)
    called = cli("profile", "migrate", str(old / "web.json"))
    assert called.code == 0
    assert "web, needs you" in called.out
    assert "nested virtualization  ok" in called.out
    assert "needs you: setup_tasks[1].command: starting myservice is left out" in called.out
    assert "with --out DIR: DIR/web.Dockerfile" in called.stderr
    assert tree(old) == before


def test_one_wrong_file_never_stops_the_others(cli: CommandLine, old: Path, tmp_path: Path) -> None:
    out = tmp_path / "new"
    called = cli("profile", "migrate", str(old), "--out", str(out))
    assert called.code == 1
    assert "broken.json: packages: 'git' is not a list" in called.stderr
    assert "done, unchanged: it is a Docker profile already" in called.out
    assert set(tree(out)) == {*FILES, "done.yaml", "done.report.md"}
    assert (out / "done.yaml").read_text() == "# mine\nresources: {cpus: '1'}\n"
    assert json.loads((out / "web.json").read_text())["resources"] == {"cpus": "2", "memory": "2g", "disk": "20g"}


def test_a_second_run_writes_nothing(cli: CommandLine, old: Path, tmp_path: Path) -> None:
    arguments = ("profile", "migrate", str(old / "web.json"), "--out", str(tmp_path / "new"))
    assert cli(*arguments).code == 0
    before = tree(tmp_path / "new")
    again = cli(*arguments)
    assert again.code == 0
    assert "web: unchanged in" in again.stderr
    assert tree(tmp_path / "new") == before


def test_the_result_of_a_check_stays_in_the_report(cli: CommandLine, old: Path, tmp_path: Path) -> None:
    from clawtui.migration_check.report import BEGIN, END

    arguments = ("profile", "migrate", str(old / "web.json"), "--out", str(tmp_path / "new"))
    cli(*arguments)
    report = tmp_path / "new" / "web.report.md"
    report.write_text(f"{report.read_text()}\n{BEGIN}\n## Check\n{END}\n")
    before = tree(tmp_path / "new")
    assert "unchanged" in cli(*arguments).stderr
    assert tree(tmp_path / "new") == before
    (old / "web.json").write_text(json.dumps({**WEB, "packages": ["git"]}))
    assert cli(*arguments, "--yes").code == 0
    assert "nginx" not in report.read_text()
    assert report.read_text().endswith(f"{BEGIN}\n## Check\n{END}\n")


def test_what_differs_is_shown_and_stays_without_a_yes(cli: CommandLine, old: Path, tmp_path: Path) -> None:
    out = tmp_path / "new"
    out.mkdir()
    (out / "web.json").write_text('{\n  "name": "web"\n}\n')
    arguments = ("profile", "migrate", str(old / "web.json"), "--out", str(out))
    called = cli(*arguments)
    assert called.code == 1
    assert '+  "name": "web",' in called.stderr
    assert "web.json would change: --yes replaces what is there" in called.stderr
    assert set(tree(out)) == {"web.json"}
    assert (out / "web.json").read_text() == '{\n  "name": "web"\n}\n'


def test_a_person_is_asked(cli: CommandLine, old: Path, tmp_path: Path) -> None:
    out = tmp_path / "new"
    out.mkdir()
    (out / "web.json").write_text("{}\n")
    arguments = ("profile", "migrate", str(old / "web.json"), "--out", str(out))
    refused = cli(*arguments, stdin="n\n", terminal=True)
    assert refused.code == 1
    assert "Replace web.json in" in refused.stderr
    assert set(tree(out)) == {"web.json"}
    assert cli(*arguments, stdin="y\n", terminal=True).code == 0
    assert set(tree(out)) == FILES


@pytest.mark.parametrize("word", ["--yes", "--force"])
def test_scripts_say_yes_and_see_the_difference(cli: CommandLine, old: Path, tmp_path: Path, word: str) -> None:
    out = tmp_path / "new"
    out.mkdir()
    (out / "web.Dockerfile").write_bytes(b"\xff\xfe")
    called = cli("profile", "migrate", str(old / "web.json"), "--out", str(out), word)
    assert called.code == 0
    assert "web.Dockerfile: 2 bytes become" in called.stderr
    assert set(tree(out)) == FILES


def test_a_dockerfile_that_is_not_needed_any_more_goes_and_somebody_elses_stays(
    cli: CommandLine, old: Path, tmp_path: Path
) -> None:
    out = tmp_path / "new"
    arguments = ("profile", "migrate", str(old / "web.json"), "--out", str(out), "--yes")
    cli(*arguments)
    (old / "web.json").write_text(json.dumps({"name": "web", "resources": {"cpu": 1}, "packages": ["git"]}))
    called = cli(*arguments, "--json")
    assert called.json["profiles"][0]["removed"] == ["web.Dockerfile", "web.compose.yml"]
    assert not (out / "web.Dockerfile").exists()
    (out / "web.Dockerfile").write_text("FROM openclaw-agent-base\n")
    assert cli(*arguments).code == 0
    assert (out / "web.Dockerfile").read_text() == "FROM openclaw-agent-base\n"


def test_json_has_everything(cli: CommandLine, old: Path, tmp_path: Path) -> None:
    called = cli("profile", "migrate", str(old), "--out", str(tmp_path / "new"), "--json")
    by_path = {Path(one["path"]).name: one for one in called.json["profiles"]}
    assert set(by_path) == {"broken.json", "done.yaml", "web.json"}
    assert by_path["broken.json"]["problems"] == [
        {"field": "packages", "message": "'git' is not a list", "hint": "Write a list: [ … ]."}
    ]
    assert by_path["done.yaml"]["unchanged"] is True
    web = by_path["web.json"]
    assert web["verdict"] == "needs-you"
    assert [row["area"] for row in web["areas"]][:2] == ["packages", "environment"]
    assert web["sidecars"] == [{"name": "postgres", "image": "postgres:14", "port": 5432}]
    assert set(web["written"]) == FILES
    assert web["refused"] == ""


def test_plain_has_a_line_for_every_finding(cli: CommandLine, old: Path) -> None:
    called = cli("profile", "migrate", str(old / "web.json"), "--plain")
    cells = [line.split("\t") for line in called.out.splitlines()]
    assert all(len(row) == 7 for row in cells)
    assert ["web", "needs-you", "systemd", "setup_tasks[1].command"] in [row[:4] for row in cells]


def test_two_files_with_one_name_are_told(cli: CommandLine, old: Path) -> None:
    (old / "web2.json").write_text(json.dumps(WEB))
    called = cli("profile", "migrate", str(old))
    assert called.code == 1
    assert "web2.json: name:" in called.stderr
    assert "web.json is called web too" in called.stderr


@pytest.mark.parametrize(("words", "problem"), [
    ((), "name files or folders"),
    (("notes.txt",), "is no profile by its name"),
    (("empty",), "has no profiles"),
    (("web.json", "--check"), "--check writes its result into the reports"),
])  # fmt: skip
def test_calls_that_cannot_be_meant(cli: CommandLine, old: Path, words: tuple[str, ...], problem: str) -> None:
    (old / "empty").mkdir()
    called = cli("profile", "migrate", *(str(old / word) if not word.startswith("-") else word for word in words))
    assert called.code == 2
    assert problem in called.stderr


def test_files_that_cannot_be_read_are_told(cli: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "bytes.json").write_bytes(b"\xff\xff")
    called = cli("profile", "migrate", str(tmp_path / "bytes.json"), str(tmp_path / "missing.json"))
    assert called.code == 1
    assert "bytes.json: is not UTF-8 text" in called.stderr
    assert "missing.json: cannot be read: No such file" in called.stderr


@pytest.mark.parametrize("kind", ["folder", "link"])
def test_what_is_no_file_is_never_replaced(cli: CommandLine, old: Path, tmp_path: Path, kind: str) -> None:
    out = tmp_path / "new"
    out.mkdir()
    if kind == "folder":
        (out / "web.json").mkdir()
    else:
        (tmp_path / "target").write_text("kept")
        (out / "web.json").symlink_to(tmp_path / "target")
    called = cli("profile", "migrate", str(old / "web.json"), "--out", str(out), "--yes")
    assert called.code == 1
    assert "web.json is no regular file" in called.stderr
    assert set(os.listdir(out)) == {"web.json"}


def test_a_profile_is_said_by_one_file_only(cli: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "web.yaml").write_text("packages: [nginx]\n")
    (tmp_path / "done.yml").write_text("resources: {cpus: '1'}\n")
    called = cli("profile", "migrate", str(tmp_path / "web.yaml"), "--out", str(tmp_path))
    assert called.code == 1
    assert "web.yaml says what web is too" in called.stderr
    assert cli("profile", "migrate", str(tmp_path / "done.yml"), "--out", str(tmp_path)).code == 0
    assert {"done.yml", "done.report.md"} < set(os.listdir(tmp_path))
    assert "done.yaml" not in os.listdir(tmp_path)


def test_a_place_that_cannot_be_written_is_told(cli: CommandLine, old: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    called = cli("profile", "migrate", str(old / "web.json"), "--out", str(tmp_path / "file" / "new"))
    assert called.code == 1
    assert "Not a directory" in called.stderr
