"""`profile migrate --check` on the command line: rows as they come, results in the reports, the exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from clawtui.migration_check.report import BEGIN, END
from hub.errors import DriverFailed
from tests.clawtui.conftest import CommandLine
from tests.clawtui.migration_check.checked_hub import CheckedHub


@pytest.fixture
def hub(cli: CommandLine) -> CheckedHub:
    """A hub on which checks pass."""
    made = CheckedHub(log=("companion_started pid=7",))
    cli.control = made
    return made


@pytest.fixture
def profiles(tmp_path: Path) -> Path:
    """Two VM profiles in a folder."""
    folder = tmp_path / "vm"
    folder.mkdir()
    raw = {"cpu": 1, "memory": "1G", "packages": ["git", "cloud-init"]}
    for name in ("one", "two"):
        (folder / f"{name}.json").write_text(json.dumps(raw | {"name": name}))
    return folder


@pytest.mark.usefixtures("hub")
def test_every_row_is_shown_and_kept_in_the_report(cli: CommandLine, profiles: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    called = cli("profile", "migrate", str(profiles), "--out", str(out), "--check")
    assert called.code == 0, called.stderr
    assert "one                   passed   package       git" in called.out
    assert "checking two" in called.stderr
    assert "two: passed (" in called.stderr
    report = (out / "one.report.md").read_text()
    assert (report.count(BEGIN), report.count(END), "| package | git | passed |" in report) == (1, 1, True)
    again = cli("profile", "migrate", str(profiles), "--out", str(out), "--check")
    assert again.code == 0, "a result is no difference that somebody must be asked about"
    assert (out / "one.report.md").read_text().count(BEGIN) == 1


def test_one_that_fails_ends_with_1_and_the_next_is_checked(cli: CommandLine, profiles: Path, tmp_path: Path) -> None:
    cli.control = CheckedHub(failing={"build_profile": DriverFailed("no engine answers")})
    called = cli("--plain", "profile", "migrate", str(profiles), "--out", str(tmp_path / "out"), "--check")
    assert called.code == 1
    rows = [line.split("\t") for line in called.out.splitlines()]
    failed = [row for row in rows if row[3:4] == ["failed"]]
    assert [(row[0], row[1], row[4]) for row in failed] == [
        ("one", "image", "no engine answers"),
        ("two", "image", "no engine answers"),
    ]
    assert "Failed at" in (tmp_path / "out/two.report.md").read_text()


@pytest.mark.usefixtures("hub")
def test_as_data_the_checks_stand_beside_the_profiles(cli: CommandLine, profiles: Path, tmp_path: Path) -> None:
    called = cli("--json", "profile", "migrate", str(profiles), "--out", str(tmp_path / "out"), "--check")
    body = json.loads(called.out)
    assert [(one["profile"], one["passed"]) for one in body["checks"]] == [("one", True), ("two", True)]
    assert {"step", "subject", "outcome", "detail", "field", "seconds"} == set(body["checks"][0]["rows"][0])
    assert len(body["profiles"]) == 2
    assert called.stderr == ""


@pytest.mark.usefixtures("hub")
def test_a_report_that_cannot_be_written_is_said(cli: CommandLine, profiles: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert cli("profile", "migrate", str(profiles), "--out", str(out)).code == 0
    (out / ".one.report.md.new").mkdir()
    called = cli("profile", "migrate", str(profiles), "--out", str(out), "--check")
    assert (called.code, "one.report.md cannot be written" in called.stderr) == (1, True)
    assert BEGIN in (out / "two.report.md").read_text(), "the other one is checked all the same"
