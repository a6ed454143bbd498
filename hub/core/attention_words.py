"""What each kind of need is called, and what to do about it: one table for every front end."""

from __future__ import annotations

from typing import Final, NamedTuple


class Words(NamedTuple):
    """`title` says what it is in a few words, `todo` what a person does about it in one sentence."""

    title: str
    todo: str


WORDS: Final[dict[str, Words]] = {
    "registry_read_only": Words("Hub cannot save", "Read why; mostly its disk is full. It goes on by itself."),
    "hub_disk": Words("Hub's disk is full", "Make room on the hub's machine before it cannot save."),
    "driver_gone": Words("Driver is away", "Bring its service back; clawtui doctor names the cause."),
    "quarantined": Words("Shut out", "Find out who uses its identity twice, then release it."),
    "crash_loop": Words("Crashes again and again", "Read its log, mend the cause, then start it."),
    "given_up": Words("Restarts given up", "Read its log and its health check, mend the cause, then restart it."),
    "unhealthy": Words("Unhealthy", "Read its log; the hub restarts it when it is not busy."),
    "out_of_memory": Words("Out of memory", "Give it more memory, or its tasks less to do at once."),
    "agent_crashed": Words("Crashed", "Read its log, then start it, or destroy it when nothing is left of it."),
    "unsupported_protocol": Words("Wrong version", "Give the agent a runtime that fits this hub."),
    "agent_silent": Words("Silent agent", "Read its log; restart it when it does not come back."),
    "agent_disk": Words("Agent's disk is full", "Make room on its disk, for instance through a shell."),
    "gateway_given_up": Words("Gateway given up", "Read its log, mend the cause, then start it."),
    "gateway_refused": Words("Gateway refuses us", "Read why; mostly its token file holds another token."),
    "gateway_down": Words("Gateway is away", "Start it, or name the address under which it answers."),
    "gateway_wedged": Words("Gateway hangs", "Read its log, then start it again; the hub restarts those that it runs."),
    "gateway_not_ready": Words("Gateway is not ready", "Read its log; start it again when it does not come to itself."),
    "ingress_away": Words("Proxy is away", "Read why, and start it; gateways are not reached under their names."),
    "ingress_refused": Words("Proxy refuses", "Read its words, mend it, then apply the ingress again."),
    "ingress_route": Words(
        "Not reached by name", "Read why; the gateway itself is well, the way through the proxy is not."
    ),
    "sync_failed": Words("Sync failed", "Read why, mend it; the next run goes on by itself."),
    "sync_waits": Words("Somebody changed files", "Look at the difference, then keep, apply or adopt it."),
    "sync_pending": Words("Gateway did not take it", "Read why; mostly it is down, or nobody restarts it."),
    "job_failed": Words("Act failed", "Read why in the job, mend it, and do the act again."),
    "tasks_lost": Words("Tasks lost", "Look whether they did their work, then submit them again."),
    "tasks_failed": Words("Tasks failed", "Read the output of the last one, then submit them again."),
    "hub_problem": Words("Hub has a problem", "Read what is wrong; clawtui doctor helps."),
}
"""By kind; a kind without words would be shown as it is called inside."""
