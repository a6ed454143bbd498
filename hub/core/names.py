"""What may be the name of an agent: the same rule for the hub and for who asks for a name."""

from __future__ import annotations

import re
from collections.abc import Collection

from hub.core.model import AGENT_ID_PATTERN, RESERVED_IDS, AgentId
from hub.errors import BadRequest


def check_agent_id(name: str, field: str = "name", taken: Collection[str] = ()) -> AgentId:
    """Return the name as an agent id; `taken` are those that others have. Raises BadRequest."""
    if re.fullmatch(AGENT_ID_PATTERN, name) is None:
        raise BadRequest(
            f"{name[:60]!r} is not a name for an agent",
            field=field,
            hint="1 to 40 characters: a-z, 0-9 and -, not starting with -",
        )
    if name in RESERVED_IDS:
        raise BadRequest(f"{name!r} is a reserved name", field=field, hint="choose another name")
    if name in taken:
        raise BadRequest(f"there is an agent {name} already", field=field, hint="choose another name")
    return AgentId(name)
