"""`python -P -m runtime.send [--wait SECONDS] TO JSON`: send a message to another agent, from inside a task.

The agent keeps it until the hub has taken it; whether it may pass is the hub's policy. The id goes to
stdout, all else to stderr. Exit 0: the hub has taken it, or has not answered within SECONDS (10 without
`--wait`) and the agent keeps it; 1: it was refused, or no agent answers; 2: wrong usage; 4: no policy
allows it.
"""

from __future__ import annotations

import json
import os
import sys

from runtime.healthcheck import ANSWER_SECONDS, ask

USAGE = "usage: python -P -m runtime.send [--wait SECONDS] TO JSON"
WAIT_SECONDS = 10.0
MAX_WAIT_SECONDS = 3600.0
REFUSED, WRONG_USAGE, NOT_PERMITTED = 1, 2, 4
POLICY_CODE = "not_allowed"
"""What the hub says when no policy lets this agent write to that one."""


def main(arguments: list[str]) -> int:
    try:
        seconds, to, payload = read(arguments)
    except ValueError as exc:
        sys.stderr.write(f"{exc}\n")
        return WRONG_USAGE
    state_dir = os.environ.get("AGENT_STATE_DIR") or "/var/lib/clawtui"
    request = {"op": "send", "to": to, "payload": payload, "wait_seconds": seconds}
    try:
        answer = ask(state_dir, request, seconds + ANSWER_SECONDS)
    except (OSError, ValueError) as exc:
        sys.stderr.write(f"the agent does not answer: {exc}\n")
        return REFUSED
    if answer.get("ok") is not True:
        sys.stderr.write(f"not sent: {answer.get('error')}\n")
        return NOT_PERMITTED if answer.get("code") == POLICY_CODE else REFUSED
    if answer.get("taken") is not True:
        sys.stderr.write("kept: the hub has not answered yet; the agent sends it as soon as the hub does\n")
    sys.stdout.write(f"{answer.get('id')}\n")
    return 0


def read(arguments: list[str]) -> tuple[float, str, object]:
    """Return how long to wait, the receiver and the payload. Raises ValueError, with what to say."""
    seconds = WAIT_SECONDS
    if arguments[:1] == ["--wait"] and len(arguments) > 1:
        try:
            seconds = float(arguments[1])
        except ValueError as exc:
            raise ValueError(USAGE) from exc
        arguments = arguments[2:]
    if len(arguments) != 2 or not 0 <= seconds <= MAX_WAIT_SECONDS:
        raise ValueError(USAGE)
    try:
        return seconds, arguments[0], json.loads(arguments[1])
    except ValueError as exc:
        raise ValueError(f"not JSON: {exc}") from exc


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
