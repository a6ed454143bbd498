"""Files of root in a workspace go back to the agent's user, by a helper that sees this volume and nothing else."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from typing import Final

from hub.drivers.base import AgentHandle
from hub.drivers.docker import snapshots_steps as saved
from hub.drivers.docker.engine import NAME
from hub.drivers.docker.labels import container_name
from hub.drivers.docker.observe import identity_in
from hub.drivers.docker.pool import Pool
from hub.drivers.docker.snapshots import DockerSnapshots
from hub.drivers.docker.snapshots_helper import VOLUME, Errand, Outcome
from hub.drivers.docker.steps import AGENT_UID
from hub.drivers.upkeep import Progress, Repaired
from hub.errors import DriverFailed

SEEN: Final = b"."
CHANGES: Final = b"c"
TOLD_EVERY: Final = 1_000
"""Files between two words of progress."""
ROOT_USER, ROOT_GROUP = ("-uid", "0"), ("-gid", "0")
OTHER_USER, OTHER_GROUP = ("!", "-uid", str(AGENT_UID)), ("!", "-gid", str(AGENT_UID))


def command(*, everything: bool) -> tuple[str, ...]:
    """Return what the helper runs: a mark for each file it sees and each it changes, errors in words.

    A link is changed itself (-h), and so is the top folder; another file system is not entered. Each file is
    changed once, whatever is wrong with it, so that one that cannot be changed is one error.
    """
    user, group = (OTHER_USER, OTHER_GROUP) if everything else (ROOT_USER, ROOT_GROUP)
    right_user, right_group = ("!", "(", *user, ")"), ("!", "(", *group, ")")
    return (
        "find", "-P", VOLUME, "-xdev", "-printf", SEEN.decode(),
        ",", "(", *user, "-o", *group, ")", "-printf", CHANGES.decode(),
        ",", *user, *group, "-exec", "chown", "-h", f"{AGENT_UID}:{AGENT_UID}", "{}", "+",
        ",", *user, *right_group, "-exec", "chown", "-h", str(AGENT_UID), "{}", "+",
        ",", *right_user, *group, "-exec", "chown", "-h", f":{AGENT_UID}", "{}", "+",
    )  # fmt: skip


class DockerRepairs:
    """See `hub.drivers.upkeep.Repairs`. `helper_image`: any image that has find."""

    def __init__(
        self, helping: DockerSnapshots, hub_id: str, pool: Pool, helper_image: Callable[[Progress], Awaitable[str]]
    ) -> None:
        self._helping = helping
        self._pool = pool
        self._hub_id = hub_id
        self._helper_image = helper_image

    async def repair(self, handle_ref: str, *, everything: bool, progress: Progress) -> Repaired:
        identity = identity_in(AgentHandle(NAME, handle_ref), self._hub_id)
        container = await self._pool.run(saved.detail, identity)
        image = await self._helper_image(lambda _done, line: progress(0.02, line))
        name = f"{container_name(identity.agent_id)}.{uuid.uuid4().hex[:12]}"
        # Named as one of this process's, so that a sweep of what others left spares it.
        operation, what = f"{self._helping.run}/repair", command(everything=everything)
        errand = Errand(image, container.workspace, what, operation, name, write=True)
        seen = changed = told = 0

        async def hear(data: bytes) -> None:
            nonlocal seen, changed, told
            seen += data.count(SEEN)
            changed += data.count(CHANGES)
            if seen - told >= TOLD_EVERY:
                told = seen
                progress(0.1, f"{seen} files seen, {changed} of them with a wrong owner")

        progress(0.05, f"looking through {container.workspace}")
        outcome = await self._helping.helpers.carry_out(errand, hear)
        if outcome.exit_code != 0 and not outcome.errors:
            raise DriverFailed(f"the helper ended with code {outcome.exit_code}", agent=identity.agent_id, driver=NAME)
        return repaired(seen, changed, outcome)


def repaired(seen: int, changed: int, outcome: Outcome) -> Repaired:
    """PURE: `changed` files were tried; each that could not be changed is one line of errors."""
    left = outcome.error_lines
    first = outcome.errors.partition("\n")[0]
    return Repaired(seen=seen, changed=max(0, changed - left), left=left, first=first)
