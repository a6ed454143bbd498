"""What answers of a gateway mean for its state. Pure.

A status of 200 alone says nothing: OpenClaw answers unknown paths with its web interface, and a proxy in front may
answer for it. An answer counts when it is 200 and JSON and has the field that its path promises.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import msgspec

from hub.contract import GatewayState

MODEL_PREFIX: Final = "openclaw/"
NO_AGENT: Final = frozenset({"default"})
"""What follows the prefix in `GET /v1/models` without being an agent."""
OLDER: Final = "2026.7"
"""Stands for every version that has no `/startupz`; the first that has it is 2026.8."""
WEDGED_MS: Final = 180_000
"""A start takes 15 s; what lives and is not ready for so much longer does not come to itself."""
TOKEN_HINT: Final = (
    "check the token file; a token in the gateway's own config (gateway.auth.token) wins over OPENCLAW_GATEWAY_TOKEN"
)
PROXY_HINT: Final = (
    "list the proxy's address in gateway.trustedProxies of its openclaw.json, or name an address that goes around it"
)
ENDPOINT_HINT: Final = "set gateway.http.endpoints.responses.enabled to true in its openclaw.json"


class Reply(NamedTuple):
    """An HTTP answer. `body` may be cut."""

    status: int
    content_type: str
    body: bytes

    @property
    def is_html(self) -> bool:
        return "html" in self.content_type.lower()

    def fields(self) -> dict[str, Any] | None:
        """The JSON object of the answer; None where its type or its text is another one."""
        if "json" not in self.content_type.lower():
            return None
        try:
            value = msgspec.json.decode(self.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        return value if isinstance(value, dict) else None


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What one look found. `reason`: why it is not ready, or what a person should know although it is.

    `draining`: it is stopping and lets what runs come to its end.
    `before_2026_8`: it is older than the first version that tells its version to everybody. `roster`: the slugs it
    answers for, None where it did not tell. `response_ms`: until the first answer, None where there was none.
    """

    state: GatewayState = GatewayState.UNKNOWN
    reason: str = ""
    draining: bool = False
    version: str = ""
    before_2026_8: bool = False
    response_ms: float | None = None
    roster: tuple[str, ...] | None = None

    @property
    def ready(self) -> bool:
        return self.state is GatewayState.READY

    @property
    def answers(self) -> bool:
        """It is a gateway that speaks, whatever it says."""
        return self.response_ms is not None and self.state not in (GatewayState.DOWN, GatewayState.UNKNOWN)

    @property
    def shape_version(self) -> str | None:
        """The version by which the shape of its config is chosen; None where nothing tells."""
        return self.version or (OLDER if self.before_2026_8 else None)


class Finding(NamedTuple):
    state: GatewayState
    reason: str = ""
    draining: bool = False


def refusal(reply: Reply) -> Finding | None:
    """What any path may answer instead of what it was asked: who we are, or how we come, does not suit."""
    if reply.status == 401:
        return Finding(GatewayState.REFUSED, f"it does not take the token (HTTP 401): {TOKEN_HINT}")
    if reply.status == 403:
        if b"proxy_attribution_required" in reply.body:
            return Finding(
                GatewayState.REFUSED, f"it refuses what comes through a proxy that it does not trust: {PROXY_HINT}"
            )
        return Finding(GatewayState.REFUSED, f"it refuses us (HTTP 403){_said(reply)}")
    return None


def readiness(reply: Reply) -> Finding | None:
    """What `/readyz` says; None where this is not an answer of OpenClaw's, so that another path may be asked."""
    if (refused := refusal(reply)) is not None:
        return refused
    told = reply.fields()
    if told is None or not isinstance(told.get("ready"), bool):
        return None
    if reply.status == 200 and told["ready"]:
        return Finding(GatewayState.READY)
    failing = [str(one)[:80] for one in told.get("failing") or ()] if isinstance(told.get("failing"), list) else []
    if "gateway-draining" in failing:
        return Finding(GatewayState.NOT_READY, "it is stopping: it finishes what runs and takes nothing new", True)
    if any(one.startswith("startup") for one in failing):
        return Finding(GatewayState.STARTING, f"it is starting ({', '.join(failing[:5])})")
    return Finding(GatewayState.NOT_READY, f"it is not ready ({', '.join(failing[:5]) or f'HTTP {reply.status}'})")


def says_why(reply: Reply) -> bool:
    """Whether an answer of `/readyz` tells what is failing: to callers from another machine, which is what those of a
    container's bridge are, a gateway does so only when they show the token."""
    return isinstance((reply.fields() or {}).get("failing"), list)


def liveness(reply: Reply, before: Reply) -> Finding:
    """What `/healthz` says, asked because `/readyz` gave `before`, which is no answer of OpenClaw's."""
    if (refused := refusal(reply)) is not None:
        return refused
    told = reply.fields()
    if reply.status == 200 and told is not None and told.get("ok") is True:
        if told.get("status") == "live":
            return Finding(GatewayState.NOT_READY, f"it lives, but /readyz {_odd(before)}")
        # What a proxy says for a gateway behind it that does not answer.
        return Finding(GatewayState.STARTING, "what answers for it says that it is starting; nothing tells more")
    return Finding(GatewayState.DOWN, f"/readyz {_odd(before)}")


def unready(seen: Seen) -> bool:
    """It lives, and is not ready (yet)."""
    return seen.state in (GatewayState.STARTING, GatewayState.NOT_READY)


def too_long(seen: Seen, since_ms: int, now_ms: int) -> Seen:
    """Return what a look means for a gateway that has lived without being ready since a moment (ms since the epoch):
    it is wedged when no start and no trouble that passes takes so long. A drain ends by itself, and has its time."""
    if not unready(seen) or seen.draining or now_ms - since_ms < WEDGED_MS:
        return seen
    reason = f"it has lived for over {WEDGED_MS // 1000} s without being ready: {seen.reason}"
    return msgspec.structs.replace(seen, state=GatewayState.WEDGED, reason=reason)


def startup(reply: Reply) -> tuple[str, bool]:
    """What `/startupz` of a ready gateway says: its version, and whether it is too old to have that path."""
    told = reply.fields()
    if reply.status == 200 and told is not None and told.get("ok") is True:
        version = told.get("version")
        return (version[:40] if isinstance(version, str) and version.isprintable() else ""), False
    return "", reply.status == 200 and reply.is_html


def interface_version(reply: Reply) -> str:
    """What `/control-ui-config.json` says, which a gateway's web interface reads, also where there is no `/startupz`.
    Empty where that interface is switched off."""
    told = reply.fields()
    version = told.get("serverVersion") if reply.status == 200 and told is not None else None
    return version[:40] if isinstance(version, str) and version.isprintable() else ""


def roster(reply: Reply) -> tuple[tuple[str, ...] | None, Finding | None]:
    """What `/v1/models` says: the slugs, and what is to be said where it does not tell; only a refusal changes the
    state."""
    if (refused := refusal(reply)) is not None:
        return None, refused
    told = reply.fields()
    models = told.get("data") if told is not None else None
    if reply.status == 200 and isinstance(models, list):
        ids = [str(model.get("id")) for model in models if isinstance(model, dict)]
        slugs = [one.removeprefix(MODEL_PREFIX) for one in ids if one.startswith(MODEL_PREFIX)]
        return tuple(slug for slug in dict.fromkeys(slugs) if slug not in NO_AGENT), None
    if reply.status == 404 or (reply.status == 200 and reply.is_html):
        return None, Finding(GatewayState.READY, f"it does not tell its agents: {ENDPOINT_HINT}")
    return None, Finding(GatewayState.READY, f"it does not tell its agents: /v1/models {_odd(reply)}")


def _odd(reply: Reply) -> str:
    if reply.status == 200 and reply.is_html:
        return "answers with a page: this is the web interface of something, not a health answer"
    if 300 <= reply.status < 400:
        return f"sends us elsewhere (HTTP {reply.status}); name the address that answers itself"
    if reply.status != 200:
        return f"answers HTTP {reply.status}{_said(reply)}"
    return f"answers with something else ({reply.content_type[:60] or 'no content type'})"


def _said(reply: Reply) -> str:
    """What the answer says of itself, for people; empty where it is no error of OpenClaw's."""
    told = (reply.fields() or {}).get("error")
    message = told.get("message") if isinstance(told, dict) else told
    text = "".join(letter if letter.isprintable() else " " for letter in message) if isinstance(message, str) else ""
    return f": {text[:200]}" if text else ""
