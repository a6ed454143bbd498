"""`python -P -m runtime.send TO JSON`: send a message to another agent, from inside a task.

The agent keeps it until the hub has taken it; whether it may pass is the hub's policy.
"""

from __future__ import annotations

import json
import os
import sys

from runtime.healthcheck import ask


def main(arguments: list[str]) -> int:
    if len(arguments) != 2:
        sys.stderr.write("usage: python -P -m runtime.send TO JSON\n")
        return 2
    to, text = arguments
    try:
        payload: object = json.loads(text)
    except ValueError as exc:
        sys.stderr.write(f"not JSON: {exc}\n")
        return 2
    state_dir = os.environ.get("AGENT_STATE_DIR") or "/var/lib/clawtui"
    try:
        answer = ask(state_dir, {"op": "send", "to": to, "payload": payload})
    except (OSError, ValueError) as exc:
        sys.stderr.write(f"the agent does not answer: {exc}\n")
        return 1
    if answer.get("ok") is not True:
        sys.stderr.write(f"{answer.get('error')}\n")
        return 1
    sys.stdout.write(f"{answer.get('id')}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
