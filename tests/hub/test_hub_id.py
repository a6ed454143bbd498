"""The hub's id outlives its registry, because agents carry it in their labels."""

from __future__ import annotations

from pathlib import Path

from hub.config import HubConfig
from hub.service import Hub


async def hub_id_of(folder: Path) -> str:
    config = HubConfig(state_folder=folder, agents_port=0, api_port=0, drivers=())
    async with Hub.open(config) as hub:
        return (await hub.read()).hub_id


async def test_a_new_registry_takes_over_the_id_that_agents_are_labelled_with(tmp_path: Path) -> None:
    """`clawtui adopt` takes back agents by their labels after a lost registry."""
    first = await hub_id_of(tmp_path)
    for left in tmp_path.glob("registry.db*"):
        left.unlink()
    assert await hub_id_of(tmp_path) == first
    assert await hub_id_of(tmp_path) == first


async def test_a_registry_in_use_keeps_its_own_id(tmp_path: Path) -> None:
    first = await hub_id_of(tmp_path)
    (tmp_path / "hub-id").write_text("0123456789abcdef\n")
    assert await hub_id_of(tmp_path) == first
    assert (tmp_path / "hub-id").read_text().strip() == first
