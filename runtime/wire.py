"""Messages between hub and agents, and their codec; the only module that both sides import.

Every frame is one JSON text: an envelope `{id, from, to, type, timestamp, payload}`. A frame is
decoded in two steps: the envelope first, with the payload kept as raw bytes, then the payload by
the envelope's `type`. Unknown fields are ignored, so that older and newer versions can meet;
an unknown type is a `WireError` with code `unknown_type` that the receiver answers with `error`.
"""

from __future__ import annotations

import enum
from typing import Any, Final, NewType

import msgspec

AttemptId = NewType("AttemptId", str)
"""`"<taskId>:<n>"`: the n-th attempt of a task, n counted from 1."""

PROTOCOL_MIN: Final = 1
PROTOCOL_MAX: Final = 1
SUBPROTOCOL: Final = "clawtui.v1"
"""WebSocket subprotocol of full agents; a client without it is a basic agent."""
CREDENTIAL_HEADER: Final = "X-Clawtui-Credential-SHA256"
HUB_ADDRESS: Final = "hub"
"""Reserved address (and agent id) of the hub in `from` and `to`."""
MAX_FRAME_BYTES: Final = 1024 * 1024
"""Largest frame a receiver accepts; a larger one closes the connection with 1009."""
MAX_SENT_FRAME_BYTES: Final = 512 * 1024
"""Largest frame a sender makes, measured after encoding: escapes can multiply text by six."""
MAX_LOG_CHUNK_BYTES: Final = 32 * 1024
"""Raw bytes of output in one `log` message."""
OUTPUT_WINDOW_BYTES: Final = 1024 * 1024
"""Raw output an agent sends ahead of the hub's acknowledgement, over all its attempts."""
MAX_TAIL_BYTES: Final = 64 * 1024
"""Encoded size of each of `stdout` and `stderr` in a `response`."""
MAX_TASK_OUTPUT_BYTES: Final = 16 * 1024 * 1024
"""Output kept per attempt: the first half and the last half, with the cut marked."""
MAX_SUBMISSION_BYTES: Final = 448 * 1024
"""Encoded task submission; leaves room for the envelope inside `MAX_SENT_FRAME_BYTES`."""
MAX_FILE_READ_BYTES: Final = 16 * 1024 * 1024
"""`file:read` of more fails with `file_too_large`."""
MAX_INLINE_FILE_BYTES: Final = 64 * 1024
"""`file:read` of more returns its bytes through the output, not in `result`."""
DEFAULT_TIMEOUT_MS: Final = 3_600_000
NO_RESULT: Final = msgspec.Raw(b"null")
"""A task without a result: JSON null. (`Raw | None` would decode nothing but null.)"""


class WireError(Exception):
    """A frame that cannot be understood. `code` is a stable word, `message` is for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Message(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Base of every payload."""


# --- tasks -------------------------------------------------------------------------------------


class Interpreter(enum.StrEnum):
    NODE = "node"
    PYTHON = "python"
    BASH = "bash"


class Encoding(enum.StrEnum):
    UTF8 = "utf-8"
    BASE64 = "base64"


class TaskSpec(Message, frozen=True, tag_field="type", kw_only=True):
    """Base of the task types. Relative paths are relative to the workspace."""


class Ping(TaskSpec, frozen=True, tag="ping"):
    """Do nothing and succeed: measures the path."""


class Exec(TaskSpec, frozen=True, tag="exec"):
    """Run `command` with `/bin/sh -c`."""

    command: str
    cwd: str | None = None
    sudo: bool = False
    env: dict[str, str] = {}


class Script(TaskSpec, frozen=True, tag="script"):
    """Run the text `script` with an interpreter."""

    script: str
    args: list[str] = []
    cwd: str | None = None
    interpreter: Interpreter = Interpreter.NODE
    env: dict[str, str] = {}


class FileRead(TaskSpec, frozen=True, tag="file:read"):
    file_path: str
    encoding: Encoding = Encoding.UTF8


class FileWrite(TaskSpec, frozen=True, tag="file:write"):
    """Write `content` atomically. `mode` is octal text such as `"0644"`."""

    file_path: str
    content: str
    encoding: Encoding = Encoding.UTF8
    mode: str | None = None


class GitClone(TaskSpec, frozen=True, tag="git:clone"):
    repo: str
    destination: str | None = None
    branch: str | None = None


class GitPull(TaskSpec, frozen=True, tag="git:pull"):
    repo_path: str = "."


class GitPush(TaskSpec, frozen=True, tag="git:push"):
    repo_path: str = "."
    remote: str = "origin"
    branch: str | None = None


class Build(TaskSpec, frozen=True, tag="build"):
    command: str
    cwd: str | None = None
    env: dict[str, str] = {}


class Test(TaskSpec, frozen=True, tag="test"):
    """Like `build`; the closing summary of common test runners is read into `result`."""

    __test__ = False  # not a pytest class
    command: str
    cwd: str | None = None
    env: dict[str, str] = {}


AnyTaskSpec = Ping | Exec | Script | FileRead | FileWrite | GitClone | GitPull | GitPush | Build | Test


class OnDisconnect(enum.StrEnum):
    """What an agent does with an attempt when it has had no hub for a whole lease."""

    CONTINUE = "continue"
    STOP = "stop"


class TaskFrame(Message, frozen=True, kw_only=True, omit_defaults=False):
    """hub -> agent `task`: the delivery part; the task's own fields stand beside these."""

    task_id: str
    attempt_id: AttemptId
    timeout_ms: int = DEFAULT_TIMEOUT_MS
    on_disconnect: OnDisconnect = OnDisconnect.CONTINUE


# --- agent -> hub ------------------------------------------------------------------------------


class ProtocolRange(Message, frozen=True):
    min: int
    max: int


class AttemptState(enum.StrEnum):
    """What the agent's attempt log says of an attempt that the hub has not yet let go."""

    RUNNING = "running"
    FINISHED = "finished"


class HeldAttempt(Message, frozen=True):
    attempt_id: AttemptId
    state: AttemptState
    output_offset: int = 0


class Hello(Message, frozen=True, kw_only=True):
    """First message of a full agent. `instance` is new for every process start."""

    protocol: ProtocolRange
    instance: str
    version: str = ""
    platform: str = ""
    capabilities: list[str] = []
    concurrency: int = 1
    attempts: list[HeldAttempt] = []


class Accepted(Message, frozen=True):
    attempt_id: AttemptId


class Stream(enum.StrEnum):
    STDOUT = "stdout"
    STDERR = "stderr"
    AGENT = "agent"


class Log(Message, frozen=True, kw_only=True):
    """A piece of output. `offset` counts raw bytes in the attempt's one interleaved output.

    `skipped` bytes were cut directly before `offset`. Without `attempt_id` it is a line of the
    agent's own log. `data` is base64 when the raw bytes are not UTF-8.
    """

    data: str
    attempt_id: AttemptId | None = None
    stream: Stream = Stream.STDOUT
    offset: int = 0
    encoding: Encoding = Encoding.UTF8
    skipped: int = 0
    level: str | None = None


class ResponseStatus(enum.StrEnum):
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed_out"
    REJECTED = "rejected"


class TaskError(Message, frozen=True):
    """Why a task did not succeed. `code` is stable, e.g. `exit_code`, `interrupted`."""

    code: str
    message: str = ""


class Response(Message, frozen=True, kw_only=True):
    """The end of an attempt. Full agents name `attempt_id`, basic agents `task_id`.

    Times are ms since the epoch by the agent's clock. `result` is any JSON value.
    """

    status: ResponseStatus
    attempt_id: AttemptId | None = None
    task_id: str | None = None
    exit_code: int | None = None
    stdout: str | None = None
    stderr: str | None = None
    result: msgspec.Raw = NO_RESULT
    error: TaskError | None = None
    started_at: int | None = None
    finished_at: int | None = None
    truncated: bool = False


class Cpu(Message, frozen=True):
    """`cores`: cores busy (1.0 = one core); `limit`: cores this agent may use."""

    cores: float = 0.0
    limit: float | None = None


class Memory(Message, frozen=True):
    used: int = 0
    limit: int | None = None


class Disk(Message, frozen=True):
    used: int = 0
    total: int = 0


class Network(Message, frozen=True):
    """Bytes received and sent since the agent's start."""

    rx: int = 0
    tx: int = 0


class Gpu(Message, frozen=True, kw_only=True):
    """One GPU: `utilisation` 0..1, memory in bytes."""

    name: str = ""
    utilisation: float = 0.0
    memory_used: int = 0
    memory_total: int = 0


class Health(Message, frozen=True, kw_only=True):
    """How the agent is. Sizes in bytes. `running` lists the attempts it executes now."""

    cpu: Cpu | None = None
    memory: Memory | None = None
    disk: Disk | None = None
    network: Network | None = None
    load: float | None = None
    processes: int | None = None
    uptime_seconds: float | None = None
    running: list[AttemptId] = []
    gpu: list[Gpu] | None = None


class Bye(Message, frozen=True):
    """The agent leaves on purpose; a close without it is unclean unless the close code says so."""

    reason: str = ""


# --- hub -> agent ------------------------------------------------------------------------------


class Resend(Message, frozen=True):
    """Send the attempt's output again from `offset` on."""

    attempt_id: AttemptId
    offset: int


class Plan(Message, frozen=True, omit_defaults=False):
    """What to do with each held attempt. `kill`: end it, its result is not wanted."""

    keep: list[AttemptId] = []
    kill: list[AttemptId] = []
    resend: list[Resend] = []
    forget: list[AttemptId] = []


class Welcome(Message, frozen=True, kw_only=True, omit_defaults=False):
    protocol: int = PROTOCOL_MAX
    health_interval_seconds: float = 30.0
    lease_seconds: float = 60.0
    reconnect_spread_seconds: float = 1.0
    plan: Plan = Plan()


class Cancel(Message, frozen=True):
    """End an attempt: TERM, `grace_ms` later KILL."""

    attempt_id: AttemptId
    grace_ms: int = 10_000


class Ack(Message, frozen=True):
    """What the other side now holds: output up to an offset, responses, application messages.

    `messages` are envelope ids and the only field that agents send.
    """

    output: dict[AttemptId, int] = {}
    responses: list[AttemptId] = []
    messages: list[str] = []


class Watch(Message, frozen=True):
    """Report health every `interval_seconds` for `ttl_seconds`, because somebody looks."""

    interval_seconds: float = 1.0
    ttl_seconds: float = 15.0


class GoawayReason(enum.StrEnum):
    DRAINING = "draining"
    SUPERSEDED = "superseded"
    OVERLOADED = "overloaded"


class Goaway(Message, frozen=True):
    retry_after_ms: int
    reason: GoawayReason


# --- both directions ---------------------------------------------------------------------------


class Error(Message, frozen=True):
    """A frame was refused; never answered itself. `reply_to` is the envelope id refused."""

    code: str
    message: str = ""
    reply_to: str | None = None


class ShellOp(enum.StrEnum):
    OPEN = "open"
    DATA = "data"
    RESIZE = "resize"
    CLOSE = "close"
    EXIT = "exit"


class Shell(Message, frozen=True, kw_only=True):
    """One step of a terminal. `data` is base64; `exit` carries `exit_code` and `message`."""

    op: ShellOp
    shell_id: str
    data: str | None = None
    cols: int | None = None
    rows: int | None = None
    exit_code: int | None = None
    message: str | None = None


FROM_AGENT: Final[dict[str, type[Message]]] = {
    "hello": Hello,
    "accepted": Accepted,
    "log": Log,
    "response": Response,
    "health": Health,
    "bye": Bye,
    "ack": Ack,
    "error": Error,
    "shell": Shell,
}
"""Payload types an agent may send; `message` is apart, because its payload is free JSON."""

FROM_HUB: Final[dict[str, type[Message]]] = {
    "welcome": Welcome,
    "task": TaskFrame,
    "cancel": Cancel,
    "ack": Ack,
    "watch": Watch,
    "goaway": Goaway,
    "error": Error,
    "shell": Shell,
}

_NAMES: Final = {kind: name for name, kind in (FROM_AGENT | FROM_HUB).items()}


# --- codec -------------------------------------------------------------------------------------


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """The outer form of every frame. `timestamp` is ms since the epoch by the sender's clock."""

    type: str
    payload: msgspec.Raw = msgspec.Raw(b"{}")
    id: str = ""
    sender: str = msgspec.field(default="", name="from")
    to: str = HUB_ADDRESS
    timestamp: int = 0


_envelopes = msgspec.json.Decoder(Envelope)
_payloads = {kind: msgspec.json.Decoder(kind) for kind in {*FROM_AGENT.values(), *FROM_HUB.values()}}
_specs: msgspec.json.Decoder[AnyTaskSpec] = msgspec.json.Decoder(AnyTaskSpec)
_encoder = msgspec.json.Encoder()


def decode_envelope(frame: str | bytes) -> Envelope:
    """Return the envelope of one frame.

    Raises:
        WireError: `too_large`, `malformed` (not JSON, not an envelope, nested too deep).
    """
    if len(frame) > MAX_FRAME_BYTES:
        raise WireError("too_large", f"a frame may have {MAX_FRAME_BYTES} bytes")
    try:
        return _envelopes.decode(frame)
    except (msgspec.MsgspecError, UnicodeError, RecursionError, ValueError) as exc:
        raise WireError("malformed", f"not a message envelope: {exc}") from exc


def decode_payload(envelope: Envelope, known: dict[str, type[Message]]) -> Message:
    """Return the typed payload of `envelope`; `known` is `FROM_AGENT` or `FROM_HUB`.

    Raises:
        WireError: `unknown_type`, or `malformed` with the path of the wrong field.
    """
    kind = known.get(envelope.type)
    if kind is None:
        raise WireError("unknown_type", f"message type {envelope.type[:64]!r} is not known")
    try:
        return _payloads[kind].decode(envelope.payload)
    except (msgspec.MsgspecError, UnicodeError, RecursionError, ValueError) as exc:
        raise WireError("malformed", f"bad {envelope.type} payload: {exc}") from exc


def decode_task_spec(raw: bytes | msgspec.Raw) -> AnyTaskSpec:
    """Return the task's own fields out of a `task` payload or a submission body.

    Raises:
        WireError: `bad_task` with the path of the wrong field.
    """
    try:
        return _specs.decode(raw)
    except (msgspec.MsgspecError, UnicodeError, RecursionError, ValueError) as exc:
        raise WireError("bad_task", str(exc)) from exc


def encode(
    payload: Message | msgspec.Raw | dict[str, Any],
    *,
    sender: str,
    to: str,
    message_id: str,
    timestamp_ms: int,
    kind: str | None = None,
) -> str:
    """Return one frame. `kind` is needed only where the payload's type does not name it.

    Raises:
        WireError: `too_large` when the encoded frame passes `MAX_SENT_FRAME_BYTES`.
    """
    name = kind if kind is not None else _NAMES[type(payload)]  # pyright: ignore[reportArgumentType]
    frame = _encoder.encode(
        {
            "id": message_id,
            "from": sender,
            "to": to,
            "type": name,
            "timestamp": timestamp_ms,
            "payload": payload,
        }
    )
    if len(frame) > MAX_SENT_FRAME_BYTES:
        raise WireError("too_large", f"a {name} message would have {len(frame)} bytes")
    return frame.decode()
