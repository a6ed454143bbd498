"""`python -P -m runtime.healthcheck`: is the agent of this state folder well?

Exit 0 when its loop answers and it is connected or dialling on schedule: an absent hub never makes
an agent unhealthy. Exit 1 otherwise. One line on stdout says why.
"""

from __future__ import annotations

import json
import os
import socket
import sys

from runtime.localpath import local_socket_path

ANSWER_SECONDS = 5.0


def ask(state_dir: str, request: dict[str, object], seconds: float = ANSWER_SECONDS) -> dict[str, object]:
    """Send one request to the agent's local socket and return its answer.

    Raises:
        OSError: nobody answers in time.
        ValueError: the answer is not what an agent says.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as local:
        local.settimeout(seconds)
        local.connect(local_socket_path(state_dir))
        local.sendall(json.dumps(request).encode() + b"\n")
        with local.makefile("rb") as answers:
            answer: object = json.loads(answers.readline())
    if not isinstance(answer, dict):
        raise ValueError("the answer is not an object")
    return answer  # pyright: ignore[reportUnknownVariableType]


def main() -> int:
    state_dir = os.environ.get("AGENT_STATE_DIR") or "/var/lib/clawtui"
    try:
        answer = ask(state_dir, {"op": "health"})
    except (OSError, ValueError) as exc:
        sys.stdout.write(f"unhealthy: the agent does not answer: {exc}\n")
        return 1
    healthy = answer.get("healthy") is True
    verdict = "healthy" if healthy else "unhealthy"
    sys.stdout.write(f"{verdict}: {answer.get('connection')} {answer.get('reason') or ''}\n")
    return 0 if healthy else 1


if __name__ == "__main__":
    sys.exit(main())
