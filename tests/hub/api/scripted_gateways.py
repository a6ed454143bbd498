"""The part of the scripted hub that answers for OpenClaw gateways and messages to their personas."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator
from typing import Any, Final

from hub.contract import (
    AddGateway,
    GatewayFigures,
    GatewayHealthList,
    GatewayHealthQuery,
    GatewayList,
    GatewayState,
    GatewayView,
    MessageChunk,
    MountMapping,
    SendMessage,
    SyncSettings,
)

AT: Final = "2026-01-02T03:04:05.000Z"
SYNC: Final = SyncSettings(
    workspace_root="/srv/agents",
    config_path="/srv/openclaw.json",
    mounts=[MountMapping(host="/srv", container="/data")],
)
GATEWAY: Final = GatewayView(
    name="main", url="http://127.0.0.1:18789", state=GatewayState.READY, version="2026.9.6", response_ms=12.4,
    checked_at=AT, ready_at=AT, roster=["engineer", "qa"], token_file="/srv/token", sync=SYNC,
)  # fmt: skip
ANSWER: Final = [
    MessageChunk(session_key="agent:qa:clawtui"),
    MessageChunk(text="Hello", session_key="agent:qa:clawtui"),
    MessageChunk(text=" there", session_key="agent:qa:clawtui"),
    MessageChunk(end=True, status="completed", response_id="resp_1", usage={"total_tokens": 18}),
]


def gateway_answers(answer: AsyncIterable[MessageChunk]) -> dict[str, Any]:
    return {
        "gateways": GatewayList(gateways=[GATEWAY]),
        "gateway": GATEWAY,
        "gateway_health": GatewayHealthList(gateways=[], fleet=GatewayFigures()),
        "add_gateway": GATEWAY,
        "remove_gateway": None,
        "set_gateway_sync": GATEWAY,
        "message": answer,
    }


class ScriptedGateways:
    """Answers out of `gateway_answers`, and keeps what it was called with."""

    def _note(self, method: str, *given: Any) -> Any:
        raise NotImplementedError

    async def gateways(self) -> GatewayList:
        return self._note("gateways")

    async def gateway(self, name: str) -> GatewayView:
        return self._note("gateway", name)

    async def gateway_health(self, query: GatewayHealthQuery) -> GatewayHealthList:
        return self._note("gateway_health", query)

    async def add_gateway(self, request: AddGateway) -> GatewayView:
        return self._note("add_gateway", request)

    async def remove_gateway(self, name: str) -> None:
        return self._note("remove_gateway", name)

    async def set_gateway_sync(self, name: str, settings: SyncSettings | None) -> GatewayView:
        return self._note("set_gateway_sync", name, settings)

    def message(self, request: SendMessage) -> AsyncIterator[MessageChunk]:
        return aiter(self._note("message", request))
