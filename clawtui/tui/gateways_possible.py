"""Whether an act can be done to a gateway, from what the hub says of it. Pure.

Only what is certain is refused here, before anything is asked or sent; the hub decides the rest.
"""

from __future__ import annotations

from typing import Final

from hub.contract import GatewayView, InstancePhase
from hub.core.instances import BUSY

PREFIX: Final = "gateway-"
"""Needs of actions on gateways are this and the act."""
ACTS: Final = (
    "start", "stop", "restart", "upgrade", "rollback", "backup", "restore", "destroy", "log", "forget",
)  # fmt: skip
_WHILE_BUSY: Final = frozenset({"log", "destroy", "forget"})
"""Acts that the phase does not stand in the way of."""
BY_HAND: Final = "is not run by the hub"


def why_not(act: str, gateway: GatewayView) -> str:
    """Why `act` cannot be done to the gateway, in words that go after its name; empty when it can be tried."""
    instance = gateway.instance
    if act == "forget":
        return "is run by the hub: it can be destroyed, and not only forgotten" if instance is not None else ""
    if instance is None:
        return f"{BY_HAND}: {act} it where it runs"
    if instance.phase is InstancePhase.DESTROYING and act != "log":
        return "is being destroyed"
    if instance.phase in BUSY and act not in _WHILE_BUSY:
        return f"is {instance.phase.value} just now"
    match act:
        case "start" if instance.phase is InstancePhase.RUNNING and instance.container_state == "running":
            return "runs already"
        case "stop" if instance.phase is InstancePhase.STOPPED:
            return "is stopped already"
        case "restart" if instance.phase is InstancePhase.STOPPED:
            return "is stopped: start it"
        case "rollback" if not instance.previous_image:
            return "has nothing to go back to: it was not upgraded, or what was before is gone"
        case _:
            return ""
