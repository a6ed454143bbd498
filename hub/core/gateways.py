"""OpenClaw gateways: what the registry keeps of one, and which names, addresses and session keys are right.

The rules of slugs and session keys are those of OpenClaw itself: the key, and not the model that is named,
decides which agent answers, and only the full form `agent:SLUG:REST` is safe.
"""

from __future__ import annotations

import re
from typing import Final

from hub.contract import SyncSettings
from hub.core.model import AGENT_ID_PATTERN, Record
from hub.errors import BadRequest

SLUG_PATTERN: Final = r"[a-z0-9_][a-z0-9_-]{0,63}"
SESSION_PATTERN: Final = r"[a-z0-9_][a-z0-9_.@+-]{0,63}(?::[a-z0-9_.@+-]{1,64}){0,3}"
"""Of a conversation's name: parts with `:` between them, as in `task:42`."""
REFUSED_NAMESPACES: Final = frozenset({"agent", "cron", "subagent", "acp"})
"""First parts of a session that the gateway keeps for itself, or that would read as another agent's key."""


class StoredGateway(Record, frozen=True):
    """A gateway that somebody named. `added_at`: ms since the epoch; `token_file`: empty where it wants no token.

    The token itself is never part of it. `instance`: the hub runs it; `user`: where it wants HTTP Basic.
    """

    name: str
    url: str
    token_file: str = ""
    sync: SyncSettings | None = None
    added_at: int = 0
    instance: bool = False
    user: str = ""


def check_gateway_name(name: str, field: str = "name") -> str:
    """Return the name of a gateway. Raises BadRequest."""
    if re.fullmatch(AGENT_ID_PATTERN, name) is None:
        raise BadRequest(
            f"{name[:60]!r} is not a name for a gateway",
            field=field,
            hint="1 to 40 characters: a-z, 0-9 and -, not starting with -",
        )
    return name


def parse_persona(to: str, field: str = "to") -> tuple[str, str]:
    """Return gateway and slug of an address GATEWAY/SLUG. Raises BadRequest."""
    gateway, slash, slug = to.partition("/")
    if not slash or re.fullmatch(SLUG_PATTERN, slug) is None:
        raise BadRequest(
            f"{to[:120]!r} is not the address of a persona",
            field=field,
            hint="GATEWAY/SLUG, such as main/engineer; a slug has 1 to 64 of a-z, 0-9, _ and -",
        )
    return check_gateway_name(gateway, field), slug


def session_key(slug: str, session: str, field: str = "session") -> str:
    """Return the key of a conversation with an agent, in lower case as the gateway has it. Raises BadRequest."""
    name = session.lower()
    if re.fullmatch(SESSION_PATTERN, name) is None:
        raise BadRequest(
            f"{session[:80]!r} is not a name for a conversation",
            field=field,
            hint="letters, digits and _ . @ + -, up to 64 of them, and up to four such parts with : between them",
        )
    if (first := name.partition(":")[0]) in REFUSED_NAMESPACES:
        raise BadRequest(
            f"a conversation cannot be called {first}:…: the gateway keeps that for itself",
            code="refused_session",
            field=field,
            hint="leave that part out; the agent's own part of the key is added by the hub",
        )
    return f"agent:{slug}:{name}"
