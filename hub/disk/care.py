"""All of disks and workspaces, put together for the hub."""

from __future__ import annotations

from hub.acts import Acts
from hub.disk import prune, repair
from hub.disk.desk import DiskDesk
from hub.disk.prune import Prune
from hub.disk.repair import Repair
from hub.driverset import DriverSet
from hub.jobs import Jobs
from hub.kernel import Kernel
from hub.snapshots.service import Snapshots


class Care:
    """The parts by what they do."""

    def __init__(self, kernel: Kernel, drivers: DriverSet, jobs: Jobs, acts: Acts, snapshots: Snapshots) -> None:
        self.desk = DiskDesk(kernel, drivers)
        self.prune = Prune(self.desk, jobs, snapshots)
        self.repair = Repair(kernel, drivers, jobs, acts)
        acts.resumers |= {prune.KIND: self.prune.resume, repair.KIND: self.repair.resume}
