"""From a submission's JSON to a task record: pure checks with the place of every mistake."""

from __future__ import annotations

from functools import cache
from typing import Any, Final, get_args

import msgspec

from hub.contract import TaskOptions
from hub.core.model import Agent, DispatchId, Now, Task, TaskId
from hub.errors import BadRequest, TooLarge
from runtime.wire import (
    DEFAULT_TIMEOUT_MS,
    MAX_SUBMISSION_BYTES,
    AnyTaskSpec,
    Message,
    WireError,
    decode_task_spec,
)

MAX_TIMEOUT_MS: Final = 7 * 24 * 3_600_000
MAX_ATTEMPTS: Final = 100
MAX_PRIORITY: Final = 1_000_000
MAX_LABELS: Final = 64
MAX_LABEL_CHARACTERS: Final = 256

TASK_TYPES: Final = tuple(str(kind.__struct_config__.tag) for kind in get_args(AnyTaskSpec))
KNOWN_TYPES: Final = f"task types: {', '.join(TASK_TYPES)}"
_OPTION_NAMES: Final = {field.encode_name for field in msgspec.structs.fields(TaskOptions)}


class Submission(msgspec.Struct, frozen=True):
    """A checked task: its own fields as canonical JSON, and its options."""

    type: str
    spec: msgspec.Raw
    options: TaskOptions

    def task(
        self,
        task_id: TaskId,
        agent: Agent,
        now: Now,
        by: str,
        *,
        dispatch_id: DispatchId | None = None,
        retry_of: TaskId | None = None,
    ) -> Task:
        """Return the new task's record."""
        options = self.options
        expires = options.expires_in_ms
        return Task(
            id=task_id,
            agent_id=agent.id,
            agent_uid=agent.uid,
            type=self.type,
            spec=self.spec,
            created_at=now.wall_ms,
            seq=0,
            priority=options.priority,
            max_attempts=options.max_attempts,
            retry_on=frozenset(options.retry_on),
            timeout_ms=options.timeout_ms or options.timeout or DEFAULT_TIMEOUT_MS,
            expires_at=None if expires is None else now.wall_ms + expires,
            on_disconnect=options.on_disconnect,
            labels=options.labels,
            by=by,
            dispatch_id=dispatch_id,
            retry_of=retry_of,
        )


def parse_submission(body: dict[str, Any]) -> Submission:
    """Check a submission's body: the task's own fields and `TaskOptions` side by side.

    Raises:
        BadRequest: with `field`.
        TooLarge: over 448 KiB encoded.
    """
    try:
        encoded = msgspec.json.encode(body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError, TypeError) as exc:
        raise BadRequest(f"the task is not plain JSON: {exc}") from exc
    if len(encoded) > MAX_SUBMISSION_BYTES:
        raise TooLarge(
            f"a task may have {MAX_SUBMISSION_BYTES} bytes of JSON, this one has {len(encoded)}",
            hint="put large data into a file and pass its path",
        )
    spec = _spec(body, encoded)
    own = _own_names(type(spec))
    for name in body:
        if name not in own and name not in _OPTION_NAMES:
            raise BadRequest(f"a {body['type']} task has no field {name[:64]!r}", field=name[:64])
    try:
        options = msgspec.convert({name: value for name, value in body.items() if name in _OPTION_NAMES}, TaskOptions)
    except msgspec.ValidationError as exc:
        raise BadRequest(str(exc), field=field_of(exc)) from exc
    _check_options(options)
    return Submission(str(body["type"]), msgspec.Raw(_canonical(spec)), options)


def field_of(error: msgspec.ValidationError) -> str | None:
    """Return the field path out of a validation error's text, as its library writes it."""
    _, found, path = str(error).partition(" - at `$.")
    return path.rstrip("`") if found else None


def _spec(body: dict[str, Any], encoded: bytes) -> AnyTaskSpec:
    if not isinstance(body.get("type"), str):
        raise BadRequest("a task needs a `type`, for instance exec", field="type", hint=KNOWN_TYPES)
    if body["type"] not in TASK_TYPES:
        raise BadRequest(
            f"there is no task type {body['type'][:40]!r}", code="bad_task", field="type", hint=KNOWN_TYPES
        )
    try:
        return decode_task_spec(encoded)
    except WireError as exc:
        cause = exc.__cause__
        field = field_of(cause) if isinstance(cause, msgspec.ValidationError) else None
        raise BadRequest(exc.message, code="bad_task", field=field) from exc


@cache
def _own_names(kind: type[AnyTaskSpec]) -> frozenset[str]:
    """The names of a task type's own fields, as they are written."""
    return frozenset({"type", *(field.encode_name for field in msgspec.structs.fields(kind))})


def _canonical(spec: Message) -> bytes:
    return msgspec.json.encode(spec)


def _check_options(options: TaskOptions) -> None:
    both = options.timeout is not None and options.timeout_ms is not None
    if both and options.timeout != options.timeout_ms:
        raise BadRequest("timeout and timeoutMs differ; give one of them", field="timeoutMs")
    _in_range("timeout", options.timeout, 1, MAX_TIMEOUT_MS)
    _in_range("timeoutMs", options.timeout_ms, 1, MAX_TIMEOUT_MS)
    _in_range("expiresInMs", options.expires_in_ms, 1, MAX_TIMEOUT_MS)
    _in_range("priority", options.priority, -MAX_PRIORITY, MAX_PRIORITY)
    _in_range("maxAttempts", options.max_attempts, 1, MAX_ATTEMPTS)
    check_labels(options.labels)


def _in_range(field: str, value: int | None, least: int, most: int) -> None:
    if value is not None and not least <= value <= most:
        raise BadRequest(f"{field} must be between {least} and {most}", field=field)


def check_labels(labels: dict[str, str]) -> None:
    """Raises BadRequest when there are too many labels or one is too long."""
    if len(labels) > MAX_LABELS:
        raise BadRequest(f"at most {MAX_LABELS} labels", field="labels")
    for name, value in labels.items():
        if not name or len(name) > MAX_LABEL_CHARACTERS or len(value) > MAX_LABEL_CHARACTERS:
            raise BadRequest(
                f"a label's name and value have 1 to {MAX_LABEL_CHARACTERS} characters",
                field="labels",
            )
