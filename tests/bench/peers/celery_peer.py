"""Measures Celery with Redis and prints JSON: `python -m tests.bench.peers.celery_peer FOLDER LATENCY THROUGHPUT`.

Redis: a server of its own on a Unix socket, `appendonly yes`, `appendfsync always`. One worker with
as many processes as the machine has cores.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

WAIT_SECONDS = 60.0
THROUGHPUT_RUNS = 3


def missing():
    if shutil.which("redis-server") is None:
        return "no redis-server here"
    try:
        import celery
        import redis
    except ImportError as error:
        return f"not installed: {error.name} (pip install '.[bench]')"
    return None if celery and redis else "not installed"


def start_redis(folder, socket):
    log = (folder / "redis.log").open("ab")
    options = {
        "port": "0",
        "unixsocket": str(socket),
        "dir": str(folder),
        "appendonly": "yes",
        "appendfsync": "always",
        "save": "",
    }
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    return subprocess.Popen(["redis-server", *words], stdin=subprocess.DEVNULL, stdout=log, stderr=log)


def start_worker(folder):
    log = (folder / "worker.log").open("ab")
    command = [sys.executable, "-m", "celery", "-A", "tests.bench.peers.celery_app", "worker"]
    # No heartbeat, gossip or mingle: nothing but tasks.
    options = [f"--concurrency={os.cpu_count()}", "--loglevel=WARNING", "--without-gossip", "--without-mingle"]
    return subprocess.Popen(
        [*command, *options, "--without-heartbeat"], stdin=subprocess.DEVNULL, stdout=log, stderr=log
    )


def wait_redis(socket):
    import redis

    client = redis.Redis(unix_socket_path=str(socket))
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            client.ping()
            return client.info("server")["redis_version"]
        except redis.exceptions.ConnectionError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def latencies(task, count):
    found = []
    for number in range(count + 20):
        started = time.perf_counter()
        task.delay().get(timeout=WAIT_SECONDS)
        if number >= 20:
            found.append(time.perf_counter() - started)
    return found


def per_second(task, count):
    """Publish all, collect all; results come while later tasks are still being published."""
    from celery import group

    started = time.perf_counter()
    results = group(task.s() for _ in range(count)).apply_async()
    results.join_native(timeout=300, interval=0.005)
    return count / (time.perf_counter() - started)


def measure(folder, latency_count, throughput_count):
    socket = folder / "redis.sock"
    os.environ["BENCH_REDIS_SOCKET"] = str(socket)
    processes = [start_redis(folder, socket)]
    try:
        redis_version = wait_redis(socket)
        processes.append(start_worker(folder))
        import celery

        from tests.bench.peers.celery_app import exec_true, noop

        found = {"celery": celery.__version__, "redis": redis_version, "noop": {}, "exec": {}}
        noop.delay().get(timeout=WAIT_SECONDS)
        for name, task in (("noop", noop), ("exec", exec_true)):
            found[name]["latencies"] = latencies(task, latency_count)
            per_second(task, max(throughput_count // 5, 1))
            found[name]["perSecond"] = [per_second(task, throughput_count) for _ in range(THROUGHPUT_RUNS)]
        return found
    finally:
        for process in reversed(processes):
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def main():
    reason = missing()
    if reason is not None:
        json.dump({"missing": reason}, sys.stdout)
        return
    json.dump(measure(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])), sys.stdout)


if __name__ == "__main__":
    main()
