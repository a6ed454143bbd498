"""backup, settings, version, completion, doctor."""

from __future__ import annotations

import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from clawtui import __version__
from clawtui.errors import NoHub
from clawtui.settings import SPECS
from hub.contract import GatewayFinding, GatewayInspection
from hub.errors import NotFound
from tests.clawtui.conftest import CommandLine

Answers = Callable[..., None]


def test_a_backup_goes_where_this_process_means(
    cli: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "PATH\t/backup.db" in cli("backup", "x.db", "--plain").out
    assert cli.last("backup") == (str(tmp_path / "x.db"),)
    cli("backup")
    assert cli.last("backup") == ("",)
    cli("backup", "/far/x.db", "--hub", "https://h")
    assert cli.last("backup") == ("/far/x.db",)


def test_a_restore_asks_first_and_changes_nothing_with_a_file_that_is_no_registry(
    cli: CommandLine, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.db"
    with sqlite3.connect(bad) as connection:
        connection.execute("CREATE TABLE t (x)")
    connection.close()
    assert cli("backup", "restore", str(bad)).code == 2
    assert cli("backup", "restore", str(bad), stdin="n\n", terminal=True).code == 1
    called = cli("backup", "restore", str(bad), "--force")
    assert called.code == 2
    assert str(bad) in called.stderr
    assert not (tmp_path / "registry.db").exists()


def test_settings_say_where_each_value_comes_from(cli: CommandLine) -> None:
    cli.config.write_text("queue_tasks = 7\n")
    environ = {"CLAWTUI_TOKEN": "ctu_secret", "CLAWTUI_PORT_API": "0"}
    called = cli("settings", "--hub", "http://h", "--json", environ=environ)
    rows = {row["name"]: row for row in called.json["settings"]}
    assert set(rows) == set(SPECS)
    assert (rows["queue_tasks"]["value"], rows["queue_tasks"]["origin"]) == ("7", str(cli.config))
    assert (rows["port_api"]["value"], rows["port_api"]["origin"]) == ("0", "CLAWTUI_PORT_API")
    assert rows["hub"]["origin"] == "command line"
    assert "ctu_secret" not in called.out
    assert rows["token"]["value"] == "(hidden)"


def test_version_asks_the_hub_but_needs_none(cli: CommandLine, answers: Answers) -> None:
    assert cli("version", "--json").json == {"version": __version__, "hubVersion": "1.2.3", "hubId": "hub-1"}
    answers(health=NoHub("no hub is running"))
    called = cli("version")
    assert called.code == 0
    assert __version__ in called.out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_knows_the_verbs(cli: CommandLine, shell: str, tmp_path: Path) -> None:
    called = cli("completion", shell)
    assert called.code == 0
    for verb in ("create", "destroy", "--token-file"):
        assert verb.lstrip("-") in called.out
    if shell == "bash":
        script = tmp_path / "completion.bash"
        script.write_text(called.out)
        assert subprocess.run(["bash", "-n", str(script)], check=False).returncode == 0


def test_doctor_says_what_works(cli: CommandLine) -> None:
    called = cli("doctor", "--json", environ={"CLAWTUI_DRIVERS": "process"})
    names = {check["name"]: check["state"] for check in called.json["checks"]}
    assert names["python"] == "ok"
    assert "driver process" in names
    assert called.json["usable"] is (called.code == 0)


def test_doctor_shows_gateways_with_what_to_do(cli: CommandLine, answers: Answers) -> None:
    finding = GatewayFinding(gateway="acme", check="files", found="others may use .env", remedy="chmod go= .env")
    answers(inspect_gateways=GatewayInspection(gateways=["acme", "good"], findings=[finding]))
    called = cli("doctor", "--json", environ={"CLAWTUI_DRIVERS": "process"})
    found = {check["name"]: check for check in called.json["checks"] if check["name"].startswith("gateway")}
    assert (found["gateway acme"]["state"], found["gateway acme"]["remedy"]) == ("warn", "chmod go= .env")
    assert found["gateway good"]["state"] == "ok"
    assert called.json["usable"] is (called.code == 0)


def test_doctor_needs_no_hub_and_says_when_one_does_not_answer(cli: CommandLine, answers: Answers) -> None:
    def gateways() -> list[dict[str, str]]:
        checks = cli("doctor", "--json", environ={"CLAWTUI_DRIVERS": "process"}).json["checks"]
        return [check for check in checks if check["name"].startswith("gateway")]

    answers(inspect_gateways=NoHub("no hub is running"))
    assert gateways() == []
    answers(inspect_gateways=NotFound("no such path"))
    (told,) = gateways()
    assert (told["state"], told["found"]) == ("missing", "not looked at: no such path")


def test_doctor_does_not_install_without_being_asked_twice(cli: CommandLine) -> None:
    """Whatever this machine is: nothing is installed when nobody can agree."""
    assert "[1/" not in cli("doctor", "--install-docker").stderr
