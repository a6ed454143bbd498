"""The Celery application of the comparison: the same two tasks, with the durability that Celery offers.

`acks_late`: a message is acknowledged after its task has ended, so a killed worker loses none. The
broker syncs its append-only file at every write.
"""

import os
import subprocess

from celery import Celery

SOCKET = os.environ["BENCH_REDIS_SOCKET"]

app = Celery(
    "bench",
    broker=f"redis+socket://{SOCKET}?virtual_host=0",
    backend=f"redis+socket://{SOCKET}?virtual_host=1",
)
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_send_task_events=False,
    broker_connection_retry_on_startup=True,
    result_expires=3600,
)


@app.task
def noop():
    return None


@app.task
def exec_true():
    """What our agent does for `exec`: a shell that runs the command, its output and its exit code."""
    done = subprocess.run(["/bin/sh", "-c", "true"], stdin=subprocess.DEVNULL, capture_output=True, check=False)
    return {"exitCode": done.returncode, "stdout": done.stdout.decode(), "stderr": done.stderr.decode()}
