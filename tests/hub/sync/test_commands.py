"""Programs that the sync starts: they end, they say why, and no shell reads them."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from hub.sync.commands import Validator, refusing, run_command, sha256_of
from tests.end_to_end.harness import eventually


def program(path: Path, text: str) -> Path:
    """A program in Python at `path`."""
    path.write_text(f"#!{sys.executable}\n{text}")
    path.chmod(0o755)
    return path


async def test_a_program_is_run_without_a_shell(tmp_path: Path) -> None:
    outcome = await run_command([sys.executable, "-c", "import sys; print(sys.argv[1])", "$HOME; `id`"])
    assert (outcome.ok, outcome.said) == (True, "$HOME; `id`")


async def test_a_failure_says_its_code_and_its_last_words() -> None:
    script = "import sys; print('x' * 9999); print('no such\\x1b[31m container', file=sys.stderr); sys.exit(3)"
    outcome = await run_command([sys.executable, "-c", script])
    assert (outcome.code, outcome.ok) == (3, False)
    assert outcome.said.endswith("no such [31m container")
    assert len(outcome.said) <= 2000


@pytest.mark.parametrize("argv", [["/nonexistent/restart"], ["/"], ["a\0b"]])
async def test_what_cannot_be_started_is_told(argv: list[str]) -> None:
    outcome = await run_command(argv)
    assert outcome.code is None
    assert "cannot be started" in outcome.said


async def test_one_that_does_not_end_is_ended_with_its_children(tmp_path: Path) -> None:
    child = tmp_path / "child"
    script = (
        "import subprocess, sys, time; print('waiting', flush=True);"
        f"p = subprocess.Popen(['sleep', '600']); open({str(child)!r}, 'w').write(str(p.pid)); time.sleep(600)"
    )
    outcome = await run_command([sys.executable, "-c", script], seconds=1.0)
    assert (outcome.code, outcome.said) == (None, "it did not end within 1 s: waiting")
    pid = int(child.read_text())

    async def ended() -> bool:
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
        except FileNotFoundError:
            return True

    await eventually(ended, seconds=10, what="the child is gone")


async def test_what_a_program_leaves_running_is_not_waited_for() -> None:
    script = "import subprocess; print(subprocess.Popen(['sleep', '3']).pid)"
    began = time.monotonic()
    outcome = await run_command([sys.executable, "-c", script])
    assert outcome.ok
    assert time.monotonic() - began < 2.5
    os.kill(int(outcome.said), 9)


# --- validation

SAYS = """
import json, os, sys
print("[plugins] loading")
text = open(os.environ["OPENCLAW_CONFIG_PATH"]).read()
assert sys.argv[1:] == ["config", "validate", "--json"]
issues = [{"path": f"agents.{word}", "message": "Unrecognized key"} for word in text.split()]
print(json.dumps({"valid": not issues, "issues": issues, "warnings": []}))
sys.exit(bool(issues))
"""


def test_what_a_new_config_adds_is_a_problem_and_what_was_there_is_not(tmp_path: Path) -> None:
    validator = Validator(str(program(tmp_path / "openclaw", SAYS)))
    present, new = tmp_path / "openclaw.json", tmp_path / "new"
    new.write_text("bad worse")
    check = validator.for_config(present)
    assert check(new) == ("agents.bad: Unrecognized key", "agents.worse: Unrecognized key")
    present.write_text("bad")
    assert check(new) == ("agents.worse: Unrecognized key",)
    new.write_text("")
    assert check(new) == ()
    assert validator.silence == ""


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("import time; time.sleep(60)", "did not answer within 0.5 s"),
        ("print('Error: unknown command')", "without an answer"),
        ("print('{\"valid\": 7}')", "without an answer"),
        ("import sys; sys.exit(78)", "ended with 78"),
    ],
)
def test_a_program_that_cannot_say_objects_to_nothing(tmp_path: Path, text: str, says: str) -> None:
    validator = Validator(str(program(tmp_path / "openclaw", text)), seconds=0.5)
    (tmp_path / "new").write_text("bad")
    assert validator.for_config(tmp_path / "present")(tmp_path / "new") == ()
    assert says in validator.silence
    assert says in validator.note


def test_no_program_is_no_objection(tmp_path: Path) -> None:
    validator = Validator("", environ={"PATH": str(tmp_path)})
    assert validator.for_config(tmp_path / "x")(tmp_path / "y") == ()
    assert (validator.silence, validator.note) == ("openclaw is not in PATH", "")
    program(tmp_path / "openclaw", "print('{\"valid\": false}')")
    assert validator.for_config(tmp_path / "x")(tmp_path / "y") == ("it is not valid",)


def test_what_was_refused_once_is_refused_without_asking_and_another_text_is_not(tmp_path: Path) -> None:
    config = tmp_path / "openclaw.json"
    config.write_text("refused")
    check = refusing("it did not come back", sha256_of(config), lambda path: (f"asked about {path.read_text()}",))
    assert check(config) == ("it did not come back",)
    config.write_text("mended")
    assert check(config) == ("asked about mended",)
