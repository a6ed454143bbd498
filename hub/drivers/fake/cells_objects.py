"""Networks and volumes of gateways in memory; archives are real files."""

from __future__ import annotations

import asyncio
import hashlib
import io
import tarfile
from pathlib import Path
from typing import Final

from hub.archives.guarded import Contents, look_through, rewrite
from hub.archives.work import Meter
from hub.drivers.cells import Bounds, CellArchive, CellId, CellNetwork, Progress
from hub.drivers.cells_checks import check_name
from hub.drivers.fake.cells_engine import GATEWAY, CellStep, FakeEngine, FakeObject
from hub.errors import BadRequest, Conflict, NotFound

NAME: Final = "fake"


class FakeCellObjects:
    """The part of `hub.drivers.cells.Cells` that is about networks and volumes."""

    def __init__(self, hub_id: str, engine: FakeEngine) -> None:
        self._hub_id = hub_id
        self.engine = engine

    # --- networks and volumes ----------------------------------------------------------------------

    async def ensure_network(self, cell: CellId, name: str) -> CellNetwork:
        await self.engine.step(CellStep.ENSURE_NETWORK, cell.instance)
        check_name(name)
        if name not in self.engine.networks:
            self.engine.networks[name] = FakeObject(self._mark(cell), len(self.engine.networks))
        found = self.engine.networks[name]
        self._check_owner("network", name, found.owner, cell)
        gateway = GATEWAY.format(found.number)
        return CellNetwork(name, gateway, f"{gateway.removesuffix('.1')}.0/24")

    async def remove_network(self, cell: CellId, name: str) -> None:
        await self.engine.step(CellStep.REMOVE_NETWORK, cell.instance)
        found = self.engine.networks.get(name)
        if found is None:
            return
        self._check_owner("network", name, found.owner, cell)
        users = [one.name for one in self.engine.containers.values() if one.plan.network == name]
        if users:
            raise Conflict(f"the network {name} is used by {', '.join(users)}", driver=NAME)
        del self.engine.networks[name]

    async def ensure_volume(self, cell: CellId, name: str) -> None:
        await self.engine.step(CellStep.ENSURE_VOLUME, cell.instance)
        check_name(name)
        found = self.engine.volumes.setdefault(name, FakeObject(self._mark(cell)))
        self._check_owner("volume", name, found.owner, cell)

    async def remove_volume(self, cell: CellId, name: str) -> None:
        await self.engine.step(CellStep.REMOVE_VOLUME, cell.instance)
        found = self.engine.volumes.get(name)
        if found is None:
            return
        self._check_owner("volume", name, found.owner, cell)
        for one in self.engine.containers.values():
            if any(volume.name == name for volume in one.plan.volumes):
                raise Conflict(f"the volume {name} is in use: {one.name}", code="volume_in_use", driver=NAME)
        del self.engine.volumes[name]

    async def volumes(self, cell: CellId) -> list[str]:
        return sorted(name for name, one in self.engine.volumes.items() if one.owner == self._mark(cell))

    async def archive(
        self, cell: CellId, volume: str, target: Path, bounds: Bounds, progress: Progress
    ) -> CellArchive:  # fmt: skip
        await self.engine.step(CellStep.ARCHIVE, cell.instance)
        data = _tar(self._volume(cell, volume).files)
        contents = await asyncio.to_thread(_write, target, data, bounds)
        progress(1.0, f"{volume} is archived")
        digest = hashlib.sha256(data).hexdigest()
        return CellArchive(target, digest, len(data), contents.entries, contents.content_bytes, contents.left_out)

    async def unarchive(
        self, cell: CellId, volume: str, archive: Path, sha256: str, bounds: Bounds, progress: Progress
    ) -> tuple[str, ...]:
        await self.engine.step(CellStep.UNARCHIVE, cell.instance)
        found = self._volume(cell, volume)
        buffer = bytearray()
        contents = await asyncio.to_thread(_read, archive, sha256, bounds, buffer)
        if found.files:
            raise Conflict(f"the volume {volume} is not empty", code="volume_in_use", driver=NAME)
        found.files = _files(bytes(buffer))
        progress(1.0, f"{volume} is filled")
        return contents.left_out

    def _mark(self, cell: CellId) -> tuple[str, str, str]:
        return (self._hub_id, cell.instance, cell.uid)

    def _volume(self, cell: CellId, name: str) -> FakeObject:
        found = self.engine.volumes.get(name)
        if found is None:
            raise NotFound(f"there is no volume {name}", code="volume_missing", driver=NAME)
        self._check_owner("volume", name, found.owner, cell)
        return found

    def _check_owner(self, kind: str, name: str, owner: tuple[str, str, str] | None, cell: CellId) -> None:
        if owner != self._mark(cell):
            why = "was not made by clawtui" if owner is None else f"belongs to {owner[1]} of hub {owner[0]}"
            raise Conflict(f"the {kind} {name} exists and {why}", code="foreign_object", driver=NAME)


def _write(target: Path, data: bytes, bounds: Bounds) -> Contents:
    try:
        target.write_bytes(data)
        return look_through(Meter(), target, bounds.most_bytes, bounds.most_entries)
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def _read(archive: Path, sha256: str, bounds: Bounds, buffer: bytearray) -> Contents:
    if not archive.is_file():
        raise NotFound(f"there is no archive {archive}", code="archive_missing", driver=NAME)
    if hashlib.sha256(archive.read_bytes()).hexdigest() != sha256:
        raise BadRequest(f"{archive} has changed since it was written", code="archive_damaged", driver=NAME)
    return rewrite(Meter(), archive, bounds.most_bytes, bounds.most_entries, buffer.extend)


def _tar(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name in sorted(files):
            info = tarfile.TarInfo(f"./{name}")
            info.size, info.uid, info.gid = len(files[name]), 1000, 1000
            tar.addfile(info, io.BytesIO(files[name]))
    return buffer.getvalue()


def _files(data: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        contents = {member.name.removeprefix("./"): tar.extractfile(member) for member in tar if member.isreg()}
        return {name: content.read() for name, content in contents.items() if content is not None}
