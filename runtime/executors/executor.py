"""Starts, stops and watches the executions of an agent."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

import msgspec

from runtime.effects import Outcome
from runtime.executors.commands import Commands, CommandSpec
from runtime.executors.errors import TaskFailure, failure_of
from runtime.executors.files import read_file, write_file
from runtime.executors.paths import Paths
from runtime.executors.process import Lingering, Run, Tail
from runtime.executors.summary import read_summary
from runtime.executors.tree import TreeEnder, signal_directly
from runtime.reaper import Reaper
from runtime.streaming import OutputSender
from runtime.wire import (
    NO_RESULT,
    AnyTaskSpec,
    AttemptId,
    Exec,
    FileRead,
    FileWrite,
    GitClone,
    Ping,
    ResponseStatus,
    Stream,
    TaskError,
    Test,
)

SUMMARY_BYTES: Final = 1024 * 1024
"""Combined output that is kept to look for a test runner's summary in."""
REMNANT_GRACE_SECONDS: Final = 2.0
"""TERM to KILL for what a killed agent left running."""
EXIT_NEWS_SECONDS: Final = 2.0
"""How long the exit code of a process that is known to be dead may take."""
FLOOD_BYTES: Final = 1024 * 1024
FLOOD_PAUSE_SECONDS: Final = 0.02
"""A process that has filled the kept head of its output is read at no more than FLOOD_BYTES per
FLOOD_PAUSE_SECONDS (50 MB/s), so that a flood does not take the core from everybody else."""

Finished = Callable[[AttemptId, Outcome], None]


@dataclass(slots=True)
class _Execution:
    spec: CommandSpec
    stdout: Tail
    stderr: Tail
    combined: Tail | None
    run: Run | None = None
    ender: TreeEnder | None = None
    exit_code: int | None = None
    since_pause_bytes: int = 0
    exited: asyncio.Event = field(default_factory=asyncio.Event)


class Executor:
    """Executes attempts. All methods belong to the event loop's thread.

    Args:
        tasks: the owner of background work.
        finished: called once per started attempt, also after `stop`.
    """

    def __init__(
        self,
        tasks: asyncio.TaskGroup,
        commands: Commands,
        paths: Paths,
        reaper: Reaper,
        output: OutputSender,
        finished: Finished,
    ) -> None:
        self._tasks = tasks
        self._commands = commands
        self._paths = paths
        self._reaper = reaper
        self._output = output
        self._finished = finished
        self._lingering = Lingering()
        self._executions: dict[AttemptId, _Execution] = {}
        self._stopped_early: set[AttemptId] = set()
        self._files = ThreadPoolExecutor(max_workers=2, thread_name_prefix="files")

    def start(self, attempt_id: AttemptId, spec: AnyTaskSpec) -> None:
        """Begin; a failure to begin is an outcome like any other."""
        if attempt_id in self._stopped_early:
            self._stopped_early.discard(attempt_id)
            self._finished(attempt_id, Outcome(status=ResponseStatus.FAILED))
            return
        match spec:
            case Ping():
                self._finished(attempt_id, Outcome(status=ResponseStatus.SUCCEEDED))
            case FileRead() | FileWrite():
                self._tasks.create_task(self._run_file(attempt_id, spec), name=f"file {attempt_id}")
            case _:
                self._start_command(attempt_id, spec)

    def stop(self, attempt_id: AttemptId, grace_ms: int) -> None:
        """End the attempt's processes; before its start, keep it from starting."""
        execution = self._executions.get(attempt_id)
        grace_seconds = max(grace_ms, 0) / 1000
        if execution is None:
            self._stopped_early.add(attempt_id)
        elif execution.ender is not None:
            execution.ender.hurry(grace_seconds)
        elif execution.run is not None and execution.exit_code is None:
            sudo = isinstance(execution.spec, Exec) and execution.spec.sudo
            family = self._commands.marks.family(attempt_id, execution.run.pid)
            send = self._signal_with_sudo if sudo else signal_directly
            execution.ender = TreeEnder(family, send, grace_seconds)
            self._tasks.create_task(self._end_tree(attempt_id, execution), name=f"end {attempt_id}")

    def end_remnants(self, attempt_id: AttemptId) -> None:
        """End what an earlier agent process left of the attempt, then report it."""
        self._tasks.create_task(self._end_remnants(attempt_id), name=f"remnants {attempt_id}")

    def close(self) -> None:
        self._lingering.close()
        self._files.shutdown(wait=False, cancel_futures=True)

    # --- commands ---

    def _start_command(self, attempt_id: AttemptId, spec: CommandSpec) -> None:
        combined = Tail(SUMMARY_BYTES) if isinstance(spec, Test) else None
        execution = _Execution(spec, Tail(), Tail(), combined)
        try:
            command = self._commands.make(attempt_id, spec)
            execution.run = Run(
                command,
                self._reaper,
                self._lingering,
                lambda stream, data: self._take_output(attempt_id, execution, stream, data),
                lambda exit_code: self._command_ended(attempt_id, execution, exit_code),
                self._commands.marks.of(attempt_id),
            )
        except TaskFailure as failure:
            self._finished(attempt_id, failure.outcome())
        except OSError as exc:
            self._finished(attempt_id, failure_of(exc).outcome())
        except ValueError as exc:
            self._finished(attempt_id, TaskFailure("bad_command", str(exc)).outcome())
        else:
            self._executions[attempt_id] = execution

    def _take_output(self, attempt_id: AttemptId, execution: _Execution, stream: Stream, data: bytes) -> None:
        tail = execution.stdout if stream is Stream.STDOUT else execution.stderr
        tail.add(data)
        if execution.combined is not None:
            execution.combined.add(data)
        self._output.write(attempt_id, stream, data)
        if self._output.beyond_head(attempt_id):
            execution.since_pause_bytes += len(data)
            if execution.since_pause_bytes >= FLOOD_BYTES and execution.run is not None:
                execution.since_pause_bytes = 0
                execution.run.pause(FLOOD_PAUSE_SECONDS)

    def _command_ended(self, attempt_id: AttemptId, execution: _Execution, exit_code: int) -> None:
        execution.exit_code = exit_code
        execution.exited.set()
        if execution.ender is None:
            self._conclude(attempt_id, execution, ())

    async def _end_tree(self, attempt_id: AttemptId, execution: _Execution) -> None:
        assert execution.ender is not None
        survivors = await execution.ender.wait_ended()
        if not survivors:
            # Its last output and its exit code come through the loop a moment after its death.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(EXIT_NEWS_SECONDS):
                    await execution.exited.wait()
        self._conclude(attempt_id, execution, survivors)

    def _conclude(self, attempt_id: AttemptId, execution: _Execution, survivors: tuple[str, ...]) -> None:
        self._executions.pop(attempt_id, None)
        complete = self._output.finish(attempt_id)
        stdout, stdout_cut = execution.stdout.fitting()
        stderr, stderr_cut = execution.stderr.fitting()
        code = execution.exit_code
        error = None
        if code != 0:
            error = TaskError("exit_code", _describe_exit(code))
        outcome = Outcome(
            status=ResponseStatus.SUCCEEDED if code == 0 else ResponseStatus.FAILED,
            exit_code=code,
            stdout=stdout,
            stderr=stderr,
            result=self._result(execution),
            error=error,
            truncated=stdout_cut or stderr_cut or not complete,
            survivors=survivors,
        )
        self._finished(attempt_id, outcome)

    def _result(self, execution: _Execution) -> msgspec.Raw:
        match execution.spec:
            case Test() if execution.combined is not None:
                summary = read_summary(execution.combined.text())
                return NO_RESULT if summary is None else msgspec.Raw(msgspec.json.encode(summary))
            case GitClone() if execution.exit_code == 0:
                path = self._commands.clone_destination(execution.spec)
                return msgspec.Raw(msgspec.json.encode({"path": str(path)}))
            case _:
                return NO_RESULT

    def _signal_with_sudo(self, pids: Iterable[int], number: signal.Signals) -> None:
        """Signal processes of another user the way they were started."""
        targets = [str(pid) for pid in pids]
        if not targets:
            return
        signal_directly([int(pid) for pid in targets], number)
        try:
            process = subprocess.Popen(
                ["sudo", "-n", "--", "kill", f"-{number.name.removeprefix('SIG')}", *targets],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
            )
        except OSError:
            return  # the next look shows who is still there

        def ended(exit_code: int) -> None:
            process.returncode = exit_code

        self._reaper.watch(process.pid, ended)

    async def _end_remnants(self, attempt_id: AttemptId) -> None:
        family = self._commands.marks.family(attempt_id, None)
        survivors = await TreeEnder(family, signal_directly, REMNANT_GRACE_SECONDS).wait_ended()
        self._stopped_early.discard(attempt_id)
        self._finished(attempt_id, Outcome(status=ResponseStatus.FAILED, survivors=survivors))

    # --- files ---

    async def _run_file(self, attempt_id: AttemptId, spec: FileRead | FileWrite) -> None:
        loop = asyncio.get_running_loop()
        result: msgspec.Raw
        try:
            if isinstance(spec, FileWrite):
                result = await loop.run_in_executor(self._files, write_file, self._paths, spec)
            else:
                found = await loop.run_in_executor(self._files, read_file, self._paths, spec)
                result = found.result
                for start in range(0, len(found.streamed), FLOOD_BYTES):
                    self._output.write(attempt_id, Stream.STDOUT, found.streamed[start : start + FLOOD_BYTES])
                    await asyncio.sleep(0)
        except TaskFailure as failure:
            self._stopped_early.discard(attempt_id)
            self._finished(attempt_id, failure.outcome())
            return
        self._stopped_early.discard(attempt_id)
        complete = self._output.finish(attempt_id)
        self._finished(attempt_id, Outcome(status=ResponseStatus.SUCCEEDED, result=result, truncated=not complete))


def _describe_exit(code: int | None) -> str:
    if code is None:
        return "the process could not be ended"
    if code > 128:
        try:
            return f"the command ended with code {code} ({signal.Signals(code - 128).name})"
        except ValueError:
            pass
    return f"the command ended with code {code}"
