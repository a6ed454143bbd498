"""jobs, policy, token, audit."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from hub.contract import AuditList, AuditView, CreateToken, PageQuery, PolicyList, PolicyView
from hub.core.model import JobState, Role
from runtime.wire import TaskError
from tests.clawtui.conftest import CommandLine
from tests.hub.api.scripted import JOB, WHEN

Answers = Callable[..., None]


def test_jobs_are_listed_shown_and_cancelled(cli: CommandLine) -> None:
    assert "j-1" in cli("jobs", "list", "-n", "3", "--cursor", "c").out
    assert cli.last("jobs") == (PageQuery(limit=3, cursor="c"),)
    assert cli("jobs", "show", "j-1", "--json").json["id"] == "j-1"
    assert cli("jobs", "cancel", "j-1").code == 0
    assert cli.last("cancel_job") == ("j-1",)


def test_waiting_for_a_job_that_fails_is_an_error(cli: CommandLine, answers: Answers) -> None:
    answers(job=[JOB, replace(JOB, state=JobState.FAILED, finished_at=WHEN, error=TaskError("c", "the reason"))])
    called = cli("jobs", "show", "j-1", "--wait")
    assert called.code == 1
    assert "error: the reason" in called.stderr


def test_policies(cli: CommandLine, answers: Answers) -> None:
    answers(policies=PolicyList(policies=[PolicyView(sender="a", receiver="b")]))
    assert cli("policy", "list", "--plain").out == "a\tb\n"
    assert "may send" in cli("policy", "allow", "a", "b").stderr
    assert "may not send" in cli("policy", "disallow", "a", "b").stderr
    assert (cli.last("allow"), cli.last("disallow")) == (("a", "b"), ("a", "b"))


def test_tokens(cli: CommandLine) -> None:
    called = cli("token", "create", "ci", "--role", "operator", "--expires", "60", "--plain")
    assert called.out.splitlines()[0] == "SECRET\tctu_new"
    assert cli.last("create_token") == (CreateToken(name="ci", role=Role.OPERATOR, expires_in_seconds=60),)
    cli("token", "create", "--join", "a-1")
    assert cli.last("create_token") == (CreateToken(kind="join", agent="a-1"),)
    assert "ctu_" not in cli("token", "list").out
    assert cli("token", "revoke", "k-1").code == 0
    assert cli.last("revoke_token") == ("k-1",)


def test_the_audit(cli: CommandLine, answers: Answers) -> None:
    entry = AuditView(seq=7, at=WHEN, who="user:me", what="task.exec", target="a-1", outcome="ok")
    answers(audit=AuditList(audit=[entry]))
    assert cli("audit", "--plain").out == f"7\t{WHEN}\tuser:me\ttask.exec\ta-1\tok\t\n"
