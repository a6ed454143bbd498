"""Gateways and personas of the scripted fleet, and the part of the scripted hub that answers for them. All data."""

from __future__ import annotations

from typing import Any, Final

from msgspec.structs import replace

from hub.contract import (
    FileDifference,
    GatewayList,
    GatewayState,
    GatewayView,
    PersonaDifference,
    PersonaSync,
    ResolveSync,
    SyncReport,
    SyncReports,
    SyncRun,
    SyncSettings,
    SyncState,
    SyncStatus,
    SyncStep,
    SyncTarget,
)
from hub.errors import NotFound
from tests.tui.office_script import ago

_S = SyncState
ROOT: Final = "/srv/openclaw/agents"
# Gateway, slug, name, state, seconds since, model, files that wait, reason.
_PERSONAS: Final[tuple[tuple[str, str, str, SyncState, float, str, tuple[str, ...], str], ...]] = (
    ("main", "engineer", "Engineer", _S.DRIFTED, 840, "anthropic/claude-opus-4-6", ("SOUL.md", "USER.md"),
     "somebody changed SOUL.md and USER.md since the last sync"),
    ("main", "researcher", "Researcher", _S.IN_STEP, 86_400, "anthropic/claude-opus-4-6", (), ""),
    ("main", "reviewer", "Reviewer", _S.CONFLICT, 120, "", ("SOUL.md",),
     "SOUL.md was changed on the disk and in the source"),
    ("main", "support", "Ärztlicher Support", _S.PENDING, 4, "openai/gpt-5.2", (),
     "written; the gateway has not shown that it took it"),
    ("main", "writer", "Writer", _S.IN_STEP, 86_400, "", (), ""),
    ("edge", "greeter", "Greeter", _S.IN_STEP, 7_200, "", (), ""),
    ("edge", "porter", "Porter", _S.FAILED, 33, "", (),
     "its workspace cannot be written: [Errno 30] Read-only file system (mount it writable)"),
)  # fmt: skip
SETTINGS: Final = SyncSettings(
    source="folder", folder="/srv/personas", workspace_root=ROOT, config_path="/srv/openclaw/openclaw.json"
)
SOUL: Final = "# Engineer\n\nYou build things.\nYou test what you build.\n"
CHANGED_SOUL: Final = "# Engineer\n\nYou build things, and you build them twice.\nYou test what you build.\n"


def personas() -> list[PersonaSync]:
    return [
        PersonaSync(
            gateway=gateway, slug=slug, name=name, state=state, at=ago(age), model=model, files=list(files),
            reason=reason, hash="9f2c41d07ab3", workspace=f"{ROOT}/{slug}",
        )
        for gateway, slug, name, state, age, model, files, reason in _PERSONAS
    ]  # fmt: skip


def targets() -> list[SyncTarget]:
    main = SyncTarget(
        gateway="main", source="folder /srv/personas", workspace_root=ROOT, config_path="/srv/openclaw/openclaw.json",
        last_run_at=ago(4), last_ok_at=ago(4), next_run_at=ago(-56), verified_at=ago(64),
        proof="its roster was read back", counts={"in-step": 2, "drifted": 1, "conflict": 1, "pending": 1},
        archived=["intern-20260301-101500"],
    )  # fmt: skip
    edge = SyncTarget(
        gateway="edge", source="convex https://personas.example", workspace_root="/srv/edge/agents",
        config_path="/srv/edge/openclaw.json", last_run_at=ago(33), last_ok_at=ago(7_200), next_run_at=ago(-27),
        problem="Convex answered 503 three times", hint="look whether https://personas.example is up; it tries again",
        counts={"in-step": 1, "failed": 1},
    )  # fmt: skip
    return [main, edge]


def status() -> SyncStatus:
    return SyncStatus(enabled=True, targets=targets(), personas=personas())


def gateways() -> list[GatewayView]:
    return [
        GatewayView(
            name="main", url="http://127.0.0.1:18789", state=GatewayState.READY, version="2026.9.6", response_ms=12.4,
            checked_at=ago(6), roster=["engineer", "researcher", "reviewer", "writer"], sync=SETTINGS,
            token_file="/srv/openclaw/token",
        ),
        GatewayView(
            name="edge", url="https://edge.example", state=GatewayState.REFUSED, version="2026.7.35",
            response_ms=1_840.0, checked_at=ago(9), reason="it does not take our token (401)", origin="environment",
        ),
        GatewayView(name="lab", url="http://lab.example:18789", state=GatewayState.DOWN, checked_at=ago(2),
                    reason="nothing listens there: connection refused"),
    ]  # fmt: skip


def difference(gateway: str, slug: str) -> PersonaDifference:
    persona = next((one for one in personas() if (one.gateway, one.slug) == (gateway, slug)), None)
    if persona is None:
        raise NotFound(f"there is no persona {gateway}/{slug}", hint="clawtui sync status lists them")
    files = [
        FileDifference(
            path="SOUL.md", action="drift", reason="changed on the disk since the last sync", on_disk=CHANGED_SOUL,
            wanted=SOUL, can_adopt=True,
        ),
        FileDifference(
            path="USER.md", action="drift", reason="changed on the disk since the last sync", on_disk="Ask for Ada.\n",
            wanted="Ask for Grace.\n", why_not="the folder's profile has no user part to put it into",
        ),
        FileDifference(path="TOOLS.md", action="write", reason="the source changed", on_disk="a\n", wanted="b\n"),
        FileDifference(path="skills/draw/icon.png", action="conflict", reason="no file of ours", binary=True),
    ]  # fmt: skip
    return PersonaDifference(persona=persona, files=files if persona.files else [])


ANSWER: Final = (
    "Two of 412 fail:\n\n",
    "  tests/api/test_tokens.py::test_a_revoked_token_is_refused\n  tests/web/test_login.py::test_logout\n\n",
    "Both wait for the same thing: a token that is revoked is kept in the cache for a minute. I will clear the cache "
    "where the token is revoked, run the two again, then all of them, and then the linter",
)
"""Pieces of an answer, as they come."""
STEPS: Final = [
    SyncStep(slug="support", path="SOUL.md", action="create", reason="the persona is new"),
    SyncStep(slug="writer", path="TOOLS.md", action="write", reason="a skill was added"),
    SyncStep(slug="engineer", path="SOUL.md", action="drift", reason="changed on the disk since the last sync"),
]


def run(request: SyncRun) -> SyncReports:
    report = SyncReport(
        gateway=request.gateway or "main", dry_run=request.dry_run, steps=STEPS, archived=["intern"],
        config_changed=True, seconds=0.4,
    )  # fmt: skip
    return SyncReports(reports=[report])


def resolved(gateway: str, slug: str, request: ResolveSync) -> PersonaSync:
    return replace(difference(gateway, slug).persona, state=SyncState.IN_STEP, files=[], reason="")


def sync_answers() -> dict[str, Any]:
    """A hub with no gateway."""
    return {
        "gateways": GatewayList(gateways=[]), "gateway": NotFound("there is no gateway"),
        "add_gateway": lambda request: GatewayView(
            name=request.name, url=request.url, token_file=request.token_file, sync=request.sync,
            state=GatewayState.READY, version="2026.9.6", roster=[],
        ),
        "remove_gateway": None, "set_gateway_sync": NotFound("there is no gateway"),
        "message": NotFound("there is no gateway"),
        "sync_status": SyncStatus(enabled=True, targets=[], personas=[]), "sync_run": SyncReports(reports=[]),
        "sync_diff": difference, "sync_resolve": resolved,
    }  # fmt: skip


def gateway_answers() -> dict[str, Any]:
    """A hub with all of this."""
    known = {one.name: one for one in gateways()}

    def one(name: str) -> GatewayView | NotFound:
        return known.get(name) or NotFound(f"there is no gateway {name!r}")

    return {
        "gateways": lambda: GatewayList(gateways=list(known.values())), "gateway": one, "sync_status": status(),
        "sync_run": run, "sync_diff": difference, "sync_resolve": resolved,
        "remove_gateway": lambda name: known.pop(name) and None,
        "set_gateway_sync": lambda name, sync: known.setdefault(name, replace(known[name], sync=sync)),
    }  # fmt: skip
