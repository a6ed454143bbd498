"""Every group of operations, as one `Control`."""

from __future__ import annotations

from hub.operations.attention import AttentionOperations
from hub.operations.disk import DiskOperations
from hub.operations.gateway_health import GatewayHealthOperations
from hub.operations.gateway_images import GatewayImageOperations
from hub.operations.gateway_upgrades import GatewayUpgradeOperations
from hub.operations.gateways import GatewayOperations
from hub.operations.hosts import HostOperations
from hub.operations.images import ImageOperations
from hub.operations.ingress import IngressOperations
from hub.operations.instances import InstanceOperations
from hub.operations.journal import JournalOperations
from hub.operations.networks import NetworkOperations
from hub.operations.snapshots import SnapshotOperations
from hub.operations.sync import SyncOperations
from hub.operations.tasks import TaskOperations


class LocalControl(
    JournalOperations,
    TaskOperations,
    AttentionOperations,
    ImageOperations,
    SnapshotOperations,
    NetworkOperations,
    DiskOperations,
    GatewayOperations,
    InstanceOperations,
    GatewayHealthOperations,
    GatewayImageOperations,
    GatewayUpgradeOperations,
    IngressOperations,
    HostOperations,
    SyncOperations,
):
    """`Control` on a hub in this process, bound to one principal."""
