"""Measures `docker exec` and prints JSON: `python -m tests.bench.peers.docker_peer COUNT`.

Two ways: the command `docker exec CONTAINER true`, and docker-py's create, start, read, inspect on
one kept connection, which spares the start of a program.
"""

import json
import shutil
import subprocess
import sys
import time

IMAGE = "debian:bookworm-slim"


def missing():
    if shutil.which("docker") is None:
        return "no docker command here"
    try:
        found = subprocess.run(["docker", "image", "inspect", IMAGE], capture_output=True, text=True, timeout=20)
    except subprocess.TimeoutExpired:
        return "the Docker engine did not answer within 20 s"
    if found.returncode:
        return f"no Docker engine that answers, or no {IMAGE} (make engine)"
    return None


def times(count, call):
    found = []
    for number in range(count + 3):
        started = time.perf_counter()
        call()
        if number >= 3:
            found.append(time.perf_counter() - started)
    return found


def by_command(container, count):
    def call():
        subprocess.run(["docker", "exec", container, "true"], stdin=subprocess.DEVNULL, check=True)

    return times(count, call)


def by_library(container, count):
    import docker

    client = docker.APIClient(version="auto")

    def call():
        made = client.exec_create(container, ["true"])["Id"]
        client.exec_start(made)
        if client.exec_inspect(made)["ExitCode"] != 0:
            raise RuntimeError("docker exec true failed")

    try:
        return times(count, call)
    finally:
        client.close()


def measure(count):
    run = ["docker", "run", "--detach", "--rm", "--network", "none", "--label", "clawtui.bench=1", IMAGE]
    started = subprocess.run([*run, "sleep", "3600"], capture_output=True, text=True, check=True)
    container = started.stdout.strip()
    try:
        version = subprocess.run(
            ["docker", "version", "--format", "{{.Server.Version}}"], capture_output=True, text=True, check=True
        )
        return {
            "docker": version.stdout.strip(),
            "command": by_command(container, count),
            "library": by_library(container, count),
        }
    finally:
        subprocess.run(["docker", "rm", "--force", container], capture_output=True, check=True)


def main():
    reason = missing()
    json.dump({"missing": reason} if reason else measure(int(sys.argv[1])), sys.stdout)


if __name__ == "__main__":
    main()
