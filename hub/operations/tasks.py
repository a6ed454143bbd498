"""Operations on tasks and dispatches."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, TypeVar

import msgspec
from msgspec.structs import replace

from hub.audit import names_only
from hub.contract import (
    DispatchRequest,
    DispatchView,
    OutputChunk,
    OutputQuery,
    Submitted,
    TaskList,
    TaskQuery,
    TaskView,
)
from hub.core.effects import Effect, Save
from hub.core.model import (
    TERMINAL,
    AgentId,
    Dispatch,
    DispatchId,
    IdempotencyKey,
    Rollout,
    Task,
    TaskId,
    TaskState,
    attempt_id,
)
from hub.core.selector import parse_selector, selects
from hub.core.view import dispatch_view, task_view
from hub.errors import BadRequest, Conflict, NotFound, QueueFull
from hub.operations.base import Operations, check_limit, check_wait
from hub.output.reading import OutputPiece
from hub.submission import Submission, parse_submission
from runtime.wire import AttemptId

MAX_KEY_CHARACTERS = 200
READ_BYTES = 256 * 1024
NOT_SUCCEEDED = TERMINAL - {TaskState.SUCCEEDED}

A = TypeVar("A")


class TaskOperations(Operations):
    """See `hub.control.Control`."""

    # --- submitting

    async def submit(self, agent_id: str, task: dict[str, Any], idempotency_key: str | None = None) -> Submitted:
        submission = parse_submission(task)

        async def decide(keep: Callable[[Any], list[Effect]]) -> Submitted:
            return await self._submit(agent_id, submission, keep)

        return await self._once(idempotency_key, [agent_id, task], Submitted, decide)

    async def _submit(
        self,
        agent_id: str,
        submission: Submission,
        keep: Callable[[Any], list[Effect]],
        *,
        retry_of: TaskId | None = None,
    ) -> Submitted:
        kernel = self._kernel
        kernel.check_writable()
        agent = kernel.fleet.agent(agent_id)
        task_id = TaskId(kernel.clock.new_id("t"))
        task = submission.task(task_id, agent, kernel.now(), self._who, retry_of=retry_of)
        effects = kernel.fleet.dispatcher.submit(task, kernel.now(), expires_in_ms=submission.options.expires_in_ms)
        offered = kernel.fleet.dispatcher.book.tasks[task_id].state is not TaskState.QUEUED
        answer = Submitted(task_id=task_id, status="sent" if offered else "queued")
        audit = kernel.audited(self._who, f"task.{submission.type}", agent.id, detail=_told(submission))
        await kernel.commit([*effects, *keep(answer), audit])
        return answer

    async def dispatch(self, request: DispatchRequest, idempotency_key: str | None = None) -> DispatchView:
        submission = parse_submission(request.task)
        rollout = _rollout(request)

        async def decide(keep: Callable[[Any], list[Effect]]) -> DispatchView:
            # Here and not before: a repetition is answered also when the fleet has changed since.
            targets = self._targets(request)
            dispatch = self._new_dispatch(submission, rollout, request.selector or "")
            return await self._dispatch(submission, dict.fromkeys(targets), dispatch, keep)

        digested = msgspec.to_builtins(request)
        return await self._once(idempotency_key, digested, DispatchView, decide)

    async def _dispatch(
        self,
        submission: Submission,
        targets: Mapping[AgentId, TaskId | None],
        dispatch: Dispatch,
        keep: Callable[[Any], list[Effect]],
    ) -> DispatchView:
        """Send a task to `targets`; the value names the task that is repeated there."""
        kernel = self._kernel
        kernel.check_writable()
        now = kernel.now()
        tasks = [
            submission.task(
                TaskId(kernel.clock.new_id("t")),
                kernel.fleet.agent(agent_id),
                now,
                self._who,
                dispatch_id=dispatch.id,
                retry_of=retried,
            )
            for agent_id, retried in targets.items()
        ]
        dispatch = replace(dispatch, tasks=tuple(task.id for task in tasks))
        effects = kernel.fleet.dispatcher.submit_all(
            dispatch, tasks, now, expires_in_ms=submission.options.expires_in_ms
        )
        book = kernel.fleet.dispatcher.book.tasks
        answer = dispatch_view(dispatch, [book.get(task.id, task) for task in tasks])
        audit = kernel.audited(self._who, "task.dispatch", f"{len(tasks)} agents", detail=_told(submission))
        await kernel.commit([*effects, *keep(answer), audit])
        return answer

    def _new_dispatch(
        self, submission: Submission, rollout: Rollout, selector: str, retry_of: DispatchId | None = None
    ) -> Dispatch:
        return Dispatch(
            id=DispatchId(self._kernel.clock.new_id("d")),
            created_at=self._kernel.now().wall_ms,
            spec=submission.spec,
            rollout=rollout,
            tasks=(),
            selector=selector,
            by=self._who,
            retry_of=retry_of,
        )

    def _targets(self, request: DispatchRequest) -> list[AgentId]:
        """The agents of a dispatch, by name or by selector, in a stable order."""
        fleet = self._kernel.fleet
        if (request.selector is None) == (request.agents is None):
            raise BadRequest("give either a selector or a list of agents", field="selector")
        if request.agents is not None:
            named = [fleet.agent(agent_id).id for agent_id in dict.fromkeys(request.agents)]
        else:
            terms = parse_selector(request.selector or "")
            # Without terms everybody fits, and nobody's view needs to be made.
            named = sorted(one for one in fleet.agents if not terms or selects(terms, fleet.view(one)))
        if not named:
            raise NotFound("no agent fits", code="no_agents", hint="clawtui list shows all")
        most = self._kernel.config.limits.dispatch_agents
        if len(named) > most:
            raise QueueFull(f"a dispatch goes to at most {most} agents, this one to {len(named)}")
        return named

    # --- reading

    async def tasks(self, query: TaskQuery) -> TaskList:
        check_limit(query.limit)
        tasks, following = await self._kernel.registry.tasks(query)
        return TaskList(tasks=[task_view(task) for task in tasks], next=following)

    async def get_task(self, task_id: str, wait_seconds: float = 0.0) -> TaskView:
        if wait_seconds:
            await self._kernel.wait_task_ended(task_id, check_wait(wait_seconds))
        return task_view(await self._kernel.read_task(task_id))

    async def dispatch_status(self, dispatch_id: str) -> DispatchView:
        dispatch = await self._read_dispatch(dispatch_id)
        return dispatch_view(dispatch, await self._kernel.registry.dispatch_tasks(dispatch_id))

    async def task_output(self, task_id: str, query: OutputQuery) -> AsyncIterator[OutputChunk]:
        """The output of the present attempt from an offset on, or its end; with `follow` until the task's end."""
        _check_range(query)
        task = await self._kernel.read_task(task_id)
        offset = query.offset
        if query.tail is not None:
            for piece in await self._kernel.output.read_back(
                attempt_id(task.id, task.attempt), query.before, query.tail
            ):
                yield _chunk(piece.offset, piece.data, piece.stream, piece.skipped)
                offset = piece.end
            if not query.follow:
                return
        while True:
            attempt = attempt_id(task.id, task.attempt)
            ended = not self._kernel.is_open(task_id)
            async for piece in self._pieces(attempt, offset):
                yield _chunk(piece.offset, piece.data, piece.stream, piece.skipped)
                offset = piece.end
            if not query.follow or (ended and await self._is_over(task_id)):
                break
            await self._wait_more(task, offset)
            current = await self._kernel.read_task(task_id)
            if current.attempt != task.attempt:
                # A new attempt has an output of its own, from its beginning.
                offset = 0
            task = current
        if ended:
            await self._kernel.settle()
            yield OutputChunk(offset=offset, end=True)

    async def _pieces(self, attempt: AttemptId, offset: int) -> AsyncIterator[OutputPiece]:
        """All that is there from `offset` on."""
        while pieces := await self._kernel.output.read(attempt, offset, READ_BYTES):
            for piece in pieces:
                yield piece
            offset = pieces[-1].end

    async def _is_over(self, task_id: str) -> bool:
        """Wait until the decided end is committed; False when it could not be kept, and the task goes on."""
        await self._kernel.wait_settled()
        return not self._kernel.is_open(task_id)

    async def _wait_more(self, task: Task, offset: int) -> None:
        """Wait for output beyond `offset` of this attempt, or for the attempt's end.

        Every end that is committed wakes (`Kernel._carry_out`). One that was decided before we wait has to be
        looked for here, with no `await` in between; what is decided later wakes later.
        """
        present = self._kernel.fleet.dispatcher.book.tasks.get(task.id)
        if not self._kernel.is_open(task.id):
            return
        if present is not None and present.attempt != task.attempt:
            await self._kernel.wait_settled()
            return
        await self._kernel.output.wait_more(task.attempt_id, offset)

    # --- changing

    async def cancel_task(self, task_id: str) -> TaskView:
        kernel = self._kernel
        kernel.check_writable()
        try:
            effects = kernel.fleet.dispatcher.cancel(TaskId(task_id), kernel.now())
        except NotFound:
            task = await kernel.read_task(task_id)
            raise Conflict(f"task {task_id} has ended: {task.state}", code="task_ended") from None
        await kernel.commit([*effects, kernel.audited(self._who, "task.cancel", task_id)])
        return task_view(await kernel.read_task(task_id))

    async def retry_task(self, task_id: str) -> Submitted:
        """Submit an ended task again, as a new task."""
        task = await self._kernel.read_task(task_id)
        if task.state not in TERMINAL:
            raise Conflict(f"task {task_id} has not ended: {task.state}", code="task_open")
        return await self._submit(task.agent_id, _again(task), lambda _: [], retry_of=task.id)

    async def retry_dispatch(self, dispatch_id: str) -> DispatchView:
        """Send the task again to the agents on which it did not succeed and which are still there."""
        dispatch = await self._read_dispatch(dispatch_id)
        tasks = await self._kernel.registry.dispatch_tasks(dispatch_id)
        if any(task.state not in TERMINAL for task in tasks):
            raise Conflict(f"dispatch {dispatch_id} has not ended", code="dispatch_open")
        failed = {task.agent_id: task.id for task in tasks if task.state in NOT_SUCCEEDED}
        if not failed:
            raise Conflict(f"every task of {dispatch_id} succeeded", code="nothing_to_retry")
        present = {agent_id: task_id for agent_id, task_id in failed.items() if agent_id in self._kernel.fleet.agents}
        if not present:
            raise NotFound(f"the agents on which {dispatch_id} did not succeed are gone", code="no_agents")
        submission = _again(tasks[0])
        again = self._new_dispatch(submission, dispatch.rollout, dispatch.selector, dispatch.id)
        return await self._dispatch(submission, present, again, lambda _: [])

    async def _read_dispatch(self, dispatch_id: str) -> Dispatch:
        dispatch = await self._kernel.registry.dispatch(dispatch_id)
        if dispatch is None:
            raise NotFound(f"there is no dispatch {dispatch_id[:64]}")
        return dispatch

    # --- once only

    async def _once(
        self,
        key: str | None,
        body: Any,
        kind: type[A],
        decide: Callable[[Callable[[Any], list[Effect]]], Awaitable[A]],
    ) -> A:
        """Answer a repeated request with what the first one was answered.

        Raises:
            Conflict: the key was used for another body.
        """
        if key is None:
            return await decide(lambda _: [])
        if not 1 <= len(key) <= MAX_KEY_CHARACTERS or not key.isprintable():
            raise BadRequest(
                f"an Idempotency-Key has 1 to {MAX_KEY_CHARACTERS} printable characters",
                field="Idempotency-Key",
            )
        digest = hashlib.sha256(msgspec.json.encode(body, order="sorted")).hexdigest()
        who = self._principal.token_id or self._principal.name
        async with self._inside.keys.hold((who, key)):
            known = await self._kernel.registry.idempotency(who, key)
            if known is not None:
                if known.digest != digest:
                    raise Conflict(
                        "this Idempotency-Key was used for another request",
                        code="idempotency_key_reused",
                        hint="use a new key for a new request",
                    )
                return msgspec.json.decode(known.answer, type=kind)

            def keep(answer: Any) -> list[Effect]:
                raw = msgspec.Raw(msgspec.json.encode(answer))
                at = self._kernel.now().wall_ms
                record = IdempotencyKey(who=who, key=key, digest=digest, answer=raw, created_at=at)
                return [Save(record)]

            return await decide(keep)


def _rollout(request: DispatchRequest) -> Rollout:
    rollout = request.rollout
    for field in ("canary", "concurrency", "stop_on_failures"):
        if getattr(rollout, field) < 0:
            raise BadRequest(f"{field} must not be negative", field=f"rollout.{field}")
    return Rollout(
        canary=rollout.canary,
        concurrency=rollout.concurrency,
        stop_on_failures=rollout.stop_on_failures,
    )


def _again(task: Task) -> Submission:
    """The submission that a task came from."""
    options = {
        "timeoutMs": task.timeout_ms,
        "priority": task.priority,
        "maxAttempts": task.max_attempts,
        "retryOn": sorted(task.retry_on),
        "onDisconnect": task.on_disconnect,
        "labels": task.labels,
    }
    return parse_submission(msgspec.json.decode(task.spec) | options)


def _told(submission: Submission) -> str:
    """What the audit keeps of a task: its own fields, later redacted and cut; of an environment the names only."""
    raw = bytes(submission.spec)
    # Most tasks have none, and some hold whole files.
    if b'"env"' in raw:
        raw = msgspec.json.encode(names_only(msgspec.json.decode(raw)))
    return raw.decode()


def _check_range(query: OutputQuery) -> None:
    """Raises BadRequest."""
    for name in ("offset", "tail", "before"):
        if (getattr(query, name) or 0) < 0:
            raise BadRequest(f"{name} must not be negative", field=name)
    if query.tail is not None and query.offset:
        raise BadRequest("tail counts from the end: it takes no offset", field="tail")
    if query.before is not None and (query.tail is None or query.follow):
        raise BadRequest("before says where a tail ends, which is not followed", field="before")


def _chunk(offset: int, data: bytes, stream: str, skipped: int) -> OutputChunk:
    try:
        text, encoding = data.decode(), "utf-8"
    except UnicodeDecodeError:
        text, encoding = base64.b64encode(data).decode(), "base64"
    return OutputChunk(offset=offset, data=text, stream=stream, encoding=encoding, skipped=skipped)
