"""What every call has in common: options before and after the verb, exit codes, errors without tracebacks."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from clawtui import __version__
from clawtui.cli.app import VERBS, docker_agent, main, make_app, vm_agent
from clawtui.cli.world import World
from clawtui.errors import NoHub
from hub.errors import Conflict, DriverFailed, Forbidden, HubError, NotFound, StorageFull, Unauthorized
from tests.clawtui.conftest import CommandLine

Answers = Callable[..., None]

DOCUMENTED_VERBS = """
create list status exec task tasks message logs snapshot snapshots restore fork start stop restart pause resume upgrade
destroy shell network image profile sync gateway compose monitoring disk prune repair attention journal policy doctor
token backup adopt release help demo
"""


def test_every_documented_verb_exists() -> None:
    assert set(DOCUMENTED_VERBS.split()) <= {*VERBS, "help"}


def test_every_verb_can_be_loaded_and_has_help(capsys: pytest.CaptureFixture[str]) -> None:
    app = make_app(World(environ={}))
    for verb in VERBS:
        assert app[verb].help, verb
    assert main.__module__ == docker_agent.__module__ == vm_agent.__module__


@pytest.mark.parametrize("words", [("--port-web", "1")])
def test_an_option_of_a_later_version_says_so(cli: CommandLine, words: tuple[str, ...]) -> None:
    called = cli(*words)
    assert called.code == 1
    assert "not available in this version" in called.stderr


@pytest.mark.parametrize("words", [("--json", "list"), ("list", "--json"), ("list", "--hub", "http://h", "--json")])
def test_options_of_every_verb_stand_before_or_after_it(cli: CommandLine, words: tuple[str, ...]) -> None:
    called = cli(*words)
    assert called.code == 0
    assert called.json["agents"][0]["id"] == "a-1"


def test_a_call_knows_its_hub_and_token(cli: CommandLine, tmp_path: Path) -> None:
    cli(
        "list",
        "--hub",
        "https://h:1",
        "--token-file",
        str(tmp_path / "t"),
        "--home",
        "/x",
        environ={"CLAWTUI_HUB": "w"},
    )
    assert cli.settings is not None
    assert (cli.settings.hub, cli.settings.token_file, cli.settings.home) == (
        "https://h:1",
        tmp_path / "t",
        Path("/x"),
    )


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (NoHub("no hub is running", hint="start one: clawtui --serve"), 3),
        (Unauthorized("who are you"), 4),
        (Forbidden("not you"), 4),
        (NotFound("no such agent"), 1),
        (Conflict("it exists"), 1),
        (DriverFailed("docker broke"), 1),
        (StorageFull("disk full"), 1),
        (HubError("a bug"), 1),
    ],
)
def test_an_error_has_a_message_a_hint_and_its_exit_code(
    cli: CommandLine, answers: Answers, error: HubError, code: int
) -> None:
    answers(agents=error)
    called = cli("list")
    assert (called.code, called.out) == (code, "")
    assert called.stderr.splitlines()[0] == f"error: {error.message}"
    assert [f"hint: {error.hint}"] == called.stderr.splitlines()[1:] or not error.hint
    assert "Traceback" not in called.stderr


def test_exec_keeps_low_codes_for_the_command(cli: CommandLine, answers: Answers) -> None:
    for error in (NoHub("none"), Forbidden("no"), NotFound("no agent")):
        answers(submit=error)
        assert cli("exec", "a", "true").code == 125


def test_who_has_no_token_is_told_how_to_name_one(cli: CommandLine, answers: Answers) -> None:
    answers(agents=Unauthorized("a token is needed"))
    assert "--token-file" in cli("list").stderr


def test_control_characters_of_a_message_do_not_reach_the_terminal(cli: CommandLine, answers: Answers) -> None:
    answers(agents=NotFound("evil\x1b[2J\nerror: fake"))
    called = cli("list")
    assert "\x1b" not in called.stderr
    # A second line is indented: nobody takes it for one of ours.
    assert called.stderr.splitlines() == ["error: evil [2J", "    error: fake"]


def test_a_mistake_of_ours_is_a_path_to_a_file_and_no_traceback(
    cli: CommandLine, answers: Answers, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CLAWTUI_HOME", str(tmp_path))
    answers(agents=ZeroDivisionError("oops"))
    called = cli("list")
    assert called.code == 1
    assert "Traceback" not in called.stderr
    log = tmp_path / "logs" / "command-line-errors.log"
    assert str(log) in called.stderr
    assert "ZeroDivisionError: oops" in log.read_text()
    assert log.stat().st_mode & 0o777 == 0o600


def test_several_errors_at_once_are_one(cli: CommandLine, answers: Answers) -> None:
    answers(agents=ExceptionGroup("several", [NotFound("first"), ExceptionGroup("", [Conflict("second")])]))
    called = cli("list")
    assert (called.code, called.stderr) == (1, "error: first\n")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("lsit",), "did you mean 'list'?"),
        (("snapshto", "x"), "did you mean 'snapshot'?"),
        (("xyzzy",), "there is no verb 'xyzzy'"),
        (("tasks", "shwo"), 'Did you mean "show"?'),
        (("list", "--statsu", "x"), "--statsu"),
        (("list", "--status", "happy"), "happy"),
        (("status",), "NAME"),
        (("list", "--json", "--plain"), "exclude each other"),
        (("--attach", "http://127.0.0.1:1", "--port-api", "1"), "--attach needs none of them"),
        (("list", "--config", "/none.toml"), "does not exist"),
    ],
)
def test_a_call_that_cannot_be_meant_ends_with_2_and_a_suggestion(
    cli: CommandLine, words: tuple[str, ...], says: str
) -> None:
    called = cli(*words)
    assert called.code == 2
    assert says in called.stderr
    assert called.out == ""
    assert cli.control.calls == []


def test_without_a_verb_and_a_terminal_it_shows_in_plain_text_what_it_does(cli: CommandLine, tmp_path: Path) -> None:
    called = cli("--home", str(tmp_path), "--port-agents", "0", "--port-api", "0")
    assert called.code == 0
    assert "no terminal for the screen" in called.stderr
    assert "rolled out" in called.out


def test_the_vm_driver_is_not_there_yet_and_docker_is_preset(cli: CommandLine) -> None:
    called = cli("create", "a-1", program="vm-agent", preset_driver="multipass")
    assert called.code == 1
    assert "not available in this version" in called.stderr
    assert cli("create", "a-1", "--no-wait", program="docker-agent", preset_driver="docker").code == 0
    assert cli.last("create_agent")[0].driver == "docker"


def test_version_and_help_are_there(capsys: pytest.CaptureFixture[str]) -> None:
    for words, says in (("--version", __version__), ("--help", "create"), ("help exec", "--timeout")):
        run = subprocess.run(
            [sys.executable, "-m", "clawtui", *words.split()], capture_output=True, text=True, check=False
        )
        assert run.returncode == 0, run.stderr
        assert says in run.stdout


def test_listing_loads_no_library_that_it_does_not_need(tmp_path: Path) -> None:
    """What a fresh process imports decides how soon `clawtui list` answers."""
    script = (
        "import sys; sys.argv = ['clawtui', '--home', sys.argv[1], 'list', '--json']\n"
        "from clawtui.cli.app import main; code = main()\n"
        "heavy = {'httpx', 'aiohttp', 'textual', 'structlog', 'websockets', 'hub.service', 'docker', 'anyio'}\n"
        "print(code, *sorted(heavy & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=False)
    assert run.stdout.split() == ["3"], run.stdout + run.stderr


def test_a_reader_that_leaves_is_no_mistake() -> None:
    """As in `clawtui help | head -1`."""
    script = f"{sys.executable} -m clawtui settings --plain | head -1; exit ${{PIPESTATUS[0]}}"
    run = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
    assert "Traceback" not in run.stderr
    assert "Exception" not in run.stderr
