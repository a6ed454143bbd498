"""list, status, logs."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from hub.contract import AgentList, AgentQuery, Event, LogEntry, LogQuery
from hub.core.model import AgentStatus
from hub.errors import NotFound
from runtime.wire import Cpu, Disk, Health, Memory
from tests.clawtui.conftest import CommandLine
from tests.hub.api.scripted import AGENT, WHEN, Stream

Answers = Callable[..., None]

HEALTHY = replace(
    AGENT,
    type="builder",
    driver="process",
    last_seen_at=WHEN,
    capabilities=["build", "docker"],
    labels={"team": "red"},
    running=["t-1:1"],
    queued=3,
    health=Health(cpu=Cpu(cores=1.5, limit=2), memory=Memory(used=1 << 30, limit=4 << 30), disk=Disk(used=1, total=2)),
)


def test_list_shows_what_matters_of_every_agent(cli: CommandLine, answers: Answers) -> None:
    answers(agents=AgentList(agents=[HEALTHY]))
    header, row = cli("list").out.splitlines()
    assert header.split() == [
        "NAME",
        "STATUS",
        "TYPE",
        "DRIVER",
        "CPU",
        "MEMORY",
        "QUEUED",
        "RUNNING",
        "SEEN",
        "REASON",
    ]
    assert row.split() == ["a-1", "online", "builder", "process", "1.50/2", "1.0G/4.0G", "3", "1", "1m00s"]


def test_list_filters_and_follows_pages(cli: CommandLine, answers: Answers) -> None:
    answers(agents=[AgentList(agents=[AGENT], next="more"), AgentList(agents=[replace(AGENT, id="b-1")])])
    called = cli("list", "--status", "online", "--type", "b", "--label", "k=v", "--json")
    assert [agent["id"] for agent in called.json["agents"]] == ["a-1", "b-1"]
    first, second = (query for (query,) in cli.given("agents"))
    assert first == AgentQuery(status=AgentStatus.ONLINE, type="b", label="k=v", limit=500)
    assert second == replace(first, cursor="more")


def test_plain_list_is_made_for_scripts(cli: CommandLine, answers: Answers) -> None:
    answers(agents=AgentList(agents=[HEALTHY]))
    assert cli("list", "--plain").out == f"a-1\tonline\tbuilder\tprocess\t3\t1\t{WHEN}\t\n"


def test_an_empty_fleet_says_how_to_begin_and_prints_no_data(cli: CommandLine, answers: Answers) -> None:
    answers(agents=AgentList(agents=[]))
    called = cli("list")
    assert (called.code, called.out) == (0, "")
    assert "clawtui create" in called.stderr


def test_status_shows_one_agent_as_the_api_does(cli: CommandLine, answers: Answers) -> None:
    answers(agent=HEALTHY)
    assert cli("status", "a-1", "--json").json["agent"]["id"] == "a-1"
    shown = dict(line.split(maxsplit=1) for line in cli("status", "a-1").out.splitlines())
    assert (shown["STATUS"], shown["CAPABILITIES"], shown["LABELS"]) == ("online", "build,docker", "team=red")
    assert "EXIT" not in shown


def test_status_of_nobody_is_an_error(cli: CommandLine, answers: Answers) -> None:
    answers(agent=NotFound("there is no agent a-1"))
    assert cli("status", "a-1").code == 1


def test_watching_draws_again_with_every_change_of_this_agent_until_it_is_gone(
    cli: CommandLine, answers: Answers
) -> None:
    events = [
        Event(seq=1, run="r", kind="agent", id="other"),
        Event(seq=2, run="r", kind="task", id="a-1"),
        Event(seq=3, run="r", kind="health", id="a-1"),
        Event(seq=4, run="r", kind="gap"),
        Event(seq=5, run="r", kind="agent", id="a-1", gone=True),
    ]
    answers(agent=[AGENT, replace(AGENT, queued=1), replace(AGENT, queued=2)], events=Stream(events, ends=True))
    called = cli("status", "a-1", "--watch", "--plain")
    assert called.code == 0
    queued = [line.split("\t")[1] for line in called.out.splitlines() if line.startswith("QUEUED")]
    assert queued == ["0", "1", "2"]
    assert "a-1 is gone" in called.stderr


def test_logs_pass_on_what_is_asked_for(cli: CommandLine, answers: Answers) -> None:
    answers(
        agent_logs=Stream(
            [LogEntry(text="one", source="runtime", at=WHEN), LogEntry(text="two", source="x")], ends=True
        )
    )
    called = cli("logs", "a-1", "-n", "5", "--since", "10m", "--source", "runtime")
    assert called.out == f"{WHEN} one\ntwo\n"
    assert cli.last("agent_logs") == ("a-1", LogQuery(source="runtime", since="10m", lines=5, follow=False))


def test_logs_in_other_forms(cli: CommandLine, answers: Answers) -> None:
    entries = [LogEntry(text="one", source="runtime")]
    answers(agent_logs=Stream(entries, ends=True))
    assert cli("logs", "a-1", "--plain").out == "\tone\n"
    answers(agent_logs=Stream(entries, ends=True))
    assert cli("logs", "a-1", "--json", "-n", "0", "-f").json["text"] == "one"
    assert cli.last("agent_logs")[1] == LogQuery(lines=None, follow=True)
