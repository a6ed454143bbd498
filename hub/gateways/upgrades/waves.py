"""Which gateways of many are upgraded next, and when to stop. Pure.

canary --all canaries succeeded--> rolling --all ended--> done
   |                                  |
   +---- a canary was undone ---------+---- enough failures ----> stopped
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from hub.contract import RolloutRequest


class Wave(msgspec.Struct, frozen=True):
    """`names` to begin now; `stopped`: why no other one is begun any more, "" while there is no reason."""

    names: tuple[str, ...] = ()
    stopped: str = ""


def next_wave(order: Sequence[str], running: Sequence[str], ended: Mapping[str, bool], rollout: RolloutRequest) -> Wave:
    """Return what follows. `ended`: by name, whether it succeeded. A concurrency of 0 means one after the other: each
    upgrade copies a state and starts a second gateway on the same machine."""
    failed = [name for name, good in ended.items() if not good]
    canaries = set(order[: rollout.canary])
    if any(name in canaries for name in failed):
        return Wave(stopped=f"the canary {next(name for name in failed if name in canaries)} failed")
    if 0 < rollout.stop_on_failures <= len(failed):
        return Wave(stopped=f"{len(failed)} failed")
    trying = canaries - ended.keys()
    allowed = trying or set(order)
    waiting = [name for name in order if name in allowed and name not in ended and name not in running]
    room = max(rollout.concurrency, 1) - len(running)
    return Wave(names=tuple(waiting[: max(room, 0)]))
