"""What a gateway's container really mounts, compared with where its files are. Pure.

Sources of mounts are paths of the engine's machine, which is taken to be this one. Where the container has a file is
what the engine says; mounts that somebody named are used only where it knows nothing better, and are checked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

import msgspec

from profiles.sync.errors import SyncError
from profiles.sync.mounts import Mount, container_path


class SeenMount(msgspec.Struct, frozen=True, kw_only=True):
    """One mount as the engine has it. `source`: a path of its machine, empty where there is none. `volume`: the name of
    a named volume."""

    source: str
    destination: str
    volume: str = ""
    writable: bool = True

    def __str__(self) -> str:
        what = f"the named volume {self.volume}" if self.volume else self.source or "something of its own"
        return f"{what} at {self.destination}"

    @property
    def mount(self) -> Mount:
        """As a mapping. What has no path of the machine lies over what has one."""
        return Mount(host=self.source or "something of its own", container=self.destination)


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """Something about mounts. `field`: the setting that it is about. `harmless`: it works, and may surprise."""

    field: str
    message: str
    hint: str = ""
    harmless: bool = False

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """`mounts`: by which paths are to be mapped. `config`: where the gateway has its configuration, None = nowhere.
    `sees_root`: it sees the workspaces, so that there is a path to write."""

    mounts: tuple[Mount, ...]
    findings: tuple[Finding, ...]
    config: str | None
    sees_root: bool


def judge_mounts(
    container: str, root: Path, config: Path, given: Sequence[Mount], seen: Sequence[SeenMount], reads: str = ""
) -> Judged:
    """Compare what a container mounts with what a sync needs. `reads`: the configuration that its gateway reads, as far
    as its environment tells."""
    real = tuple(one.mount for one in seen)
    root_inside, config_inside = _inside(root, real), _inside(config, real)
    mounts = real if root_inside is not None or not given else tuple(given)
    findings = [
        *_of_given(container, given, seen),
        *_of_root(container, root, root_inside, seen, named=_inside(root, given) if given else None),
        *_of_config(container, config, config_inside, seen, reads),
    ]
    return Judged(
        mounts=mounts,
        findings=tuple(findings),
        config=config_inside if config_inside is not None else _inside(config, given) if given else None,
        sees_root=_inside(root, mounts) is not None,
    )


def _inside(path: Path, mounts: Sequence[Mount]) -> str | None:
    try:
        return container_path(path, mounts) if mounts else None
    except SyncError:
        return None


def _of_given(container: str, given: Sequence[Mount], seen: Sequence[SeenMount]) -> Iterator[Finding]:
    """What was named and is not so."""
    real = tuple(one.mount for one in seen)
    for number, mount in enumerate(given):
        inside = _inside(Path(mount.host), real)
        if inside is not None and PurePosixPath(inside) == PurePosixPath(mount.container):
            continue
        there = _around(mount.container, seen)
        has = f"has {there}" if there is not None else f"mounts nothing at {mount.container}"
        message = f"the container {container} {has}, not {mount.host} at {mount.container}"
        if inside is not None:
            message += f"; it has that at {inside}"
            hint = f"Say {inside}, or leave the mount out: it is taken from the container."
        else:
            hint = f"Make the container with -v {mount.host}:{mount.container}, or name what it mounts."
        yield Finding(field=f"mounts[{number}]", message=message, hint=hint)


def _of_root(
    container: str, root: Path, inside: str | None, seen: Sequence[SeenMount], named: str | None
) -> Iterator[Finding]:
    if inside is None:
        message = f"the container {container} does not see the workspaces {root}: {_all(seen)}"
        # Where a mount was named for it, that one has been told already; what it says is used.
        if named is None:
            yield Finding(field="workspaceRoot", message=message, hint=_mount_hint(root, seen))
        return
    there = _around(inside, seen)
    assert there is not None
    if not there.writable:
        yield Finding(
            field="workspaceRoot",
            message=f"the container {container} has {there} read-only: its agents cannot write their memory",
            hint="Mount it without :ro.",
        )
    if there.volume:
        yield _volume(container, "workspaceRoot", there)


def _of_config(
    container: str, config: Path, inside: str | None, seen: Sequence[SeenMount], reads: str
) -> Iterator[Finding]:
    if inside is None:
        message = f"the container {container} does not see {config}: {_all(seen)}"
        yield Finding(field="configPath", message=message, hint=_mount_hint(config.parent, seen))
        return
    there = _around(inside, seen)
    assert there is not None
    if PurePosixPath(there.source) == PurePosixPath(config):
        yield Finding(
            field="configPath",
            message=f"the container {container} mounts the file {config} itself: a new file that takes its place "
            "(a rename) is not seen in there until it is restarted",
            hint=f"Mount the folder around it: -v {config.parent}:{PurePosixPath(inside).parent}",
        )
    elif not there.writable:
        yield Finding(
            field="configPath",
            message=f"the container {container} has {there} read-only: the gateway reads its configuration and cannot "
            "keep a last good one",
            harmless=True,
        )
    if there.volume:
        yield _volume(container, "configPath", there)
    if reads and PurePosixPath(reads) != PurePosixPath(inside):
        yield Finding(
            field="configPath",
            message=f"{config} is {inside} in the container {container}, and its gateway reads {reads}",
            hint=f"Mount the folder at {PurePosixPath(reads).parent}, or set OPENCLAW_CONFIG_PATH={inside} in there.",
        )


def _volume(container: str, field: str, there: SeenMount) -> Finding:
    return Finding(
        field=field,
        message=f"the container {container} has {there}: it is written through {there.source}, as long as "
        "the hub may; a folder mounted with -v FOLDER:PLACE is safer",
        harmless=True,
    )


def _around(path: str, seen: Sequence[SeenMount]) -> SeenMount | None:
    """The innermost mount that holds a path of the container."""
    holding = [one for one in seen if PurePosixPath(path).is_relative_to(one.destination)]
    return max(holding, key=lambda one: len(PurePosixPath(one.destination).parts), default=None)


def _all(seen: Sequence[SeenMount]) -> str:
    return f"it has {', '.join(map(str, seen))}" if seen else "it mounts nothing"


def _mount_hint(folder: Path, seen: Sequence[SeenMount]) -> str:
    hint = f"Make the container with -v {folder}:PLACE"
    volumes = [one for one in seen if one.volume and one.source]
    return f"{hint}, or use a folder of its volume: {volumes[0].source}" if volumes else f"{hint}."
