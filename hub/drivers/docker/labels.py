"""Names and labels: how an object on the engine is recognised as ours, and whose it is.

Nothing without these labels is ever changed or removed, whatever its name. Objects shared by hubs
(networks, images) carry the owner only.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from hub.core.model import AGENT_ID_PATTERN, AgentId, AgentUid

OWNER: Final = "clawtui.owner"
OWNER_NAME: Final = "clawtui"
HUB: Final = "clawtui.hub-id"
AGENT: Final = "clawtui.agent-id"
UID: Final = "clawtui.agent-uid"
PLAN: Final = "clawtui.plan-hash"
HELPER: Final = "clawtui.helper"
"""On containers that only carry an archive from or to a volume: what for."""
SNAPSHOT: Final = "clawtui.snapshot"
"""On the image of a snapshot and on containers made from it: its id."""
BASE_IMAGE: Final = "clawtui.base-image"
"""On the image of a snapshot: the plain image that all of it is built on."""
GENERATION: Final = "clawtui.generation"
"""On a container that a restore made: which generation of the workspace it has."""
CELL: Final = "clawtui.instance"
"""On everything of a gateway that a hub runs: the instance's name; such objects have no agent."""
CELL_UID: Final = "clawtui.instance-uid"
USER_PREFIX: Final = "clawtui.label."
"""Before the labels that the operator gave."""

PREFIX: Final = "openclaw-agent-"
SHARED_NETWORK: Final = "openclaw-agents"
ISOLATED_NETWORK: Final = "openclaw-agents-isolated"
IMAGE: Final = "openclaw-agent-base"

SNAPSHOT_IMAGE: Final = "openclaw-agent-snapshot"

SHARED: Final = {OWNER: OWNER_NAME}


def container_name(agent_id: AgentId) -> str:
    return f"{PREFIX}{agent_id}"


def workspace_volume(agent_id: AgentId) -> str:
    return f"{PREFIX}{agent_id}"


def state_volume(agent_id: AgentId) -> str:
    """The dot cannot occur in an agent's name, so this is nobody's workspace."""
    return f"{PREFIX}{agent_id}.state"


def generation_volume(agent_id: AgentId, generation: int) -> str:
    """The workspace of a generation; volumes cannot be renamed, so each has a name of its own."""
    return workspace_volume(agent_id) + (f".r{generation}" if generation else "")


def aside_name(agent_id: AgentId, generation: int) -> str:
    """The container of a generation that is not active."""
    return f"{container_name(agent_id)}.g{generation}"


def snapshot_image(snapshot_id: str) -> str:
    return f"{SNAPSHOT_IMAGE}:{snapshot_id}"


def is_shared_ours(labels: Mapping[str, str] | None) -> bool:
    return (labels or {}).get(OWNER) == OWNER_NAME


@dataclass(frozen=True, slots=True)
class Identity:
    """One incarnation of an agent of one hub."""

    hub_id: str
    agent_id: AgentId
    uid: AgentUid

    def labels(self) -> dict[str, str]:
        return {OWNER: OWNER_NAME, HUB: self.hub_id, AGENT: self.agent_id, UID: self.uid}

    def owns(self, labels: Mapping[str, str] | None) -> bool:
        return identity_of(labels) == self


def identity_of(labels: Mapping[str, str] | None) -> Identity | None:
    """Return whose object this is, or None when no hub made it."""
    found = labels or {}
    if found.get(OWNER) != OWNER_NAME:
        return None
    agent_id, uid, hub_id = found.get(AGENT, ""), found.get(UID, ""), found.get(HUB, "")
    if not re.fullmatch(AGENT_ID_PATTERN, agent_id) or not uid or not hub_id:
        return None
    return Identity(hub_id, AgentId(agent_id), AgentUid(uid))


def label_filter(labels: Mapping[str, str]) -> str:
    """Return the engine's filter for objects with all these labels."""
    return filters(label=[f"{name}={value}" for name, value in labels.items()])


def filters(**conditions: list[str]) -> str:
    return json.dumps(conditions)
