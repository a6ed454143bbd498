"""Taking back agents that the platforms still have and a lost registry does not know any more."""

from __future__ import annotations

from hub.acts import Acts
from hub.core.model import Agent, Desired, Observed
from hub.drivers.base import Driver, Observation
from hub.driverset import DriverSet
from hub.errors import HubError
from hub.kernel import Kernel


class Adoption:
    """Looks on every platform for this hub's labels."""

    def __init__(self, kernel: Kernel, drivers: DriverSet, acts: Acts) -> None:
        self._kernel = kernel
        self._drivers = drivers
        self._acts = acts

    async def adopt(self, by: str) -> tuple[list[str], dict[str, str]]:
        """Take back agents that the platforms show by our labels and the registry does not know."""
        adopted: list[str] = []
        skipped: dict[str, str] = {}
        known = {agent.uid for agent in self._kernel.fleet.agents.values()}
        for driver in self._drivers:
            try:
                seen = await driver.list_agents()
            except HubError as exc:
                skipped[driver.name] = exc.message
                continue
            for found in seen:
                present = self._kernel.fleet.agents.get(found.agent_id)
                if found.uid in known or (present is not None and present.uid == found.uid):
                    continue
                try:
                    await self._adopt(driver, found, by)
                    adopted.append(found.agent_id)
                except HubError as exc:
                    skipped[found.agent_id] = exc.message
        return adopted, skipped

    async def _adopt(self, driver: Driver, found: Observation, by: str) -> None:
        kernel = self._kernel
        agent = Agent(
            id=found.agent_id,
            uid=found.uid,
            created_at=found.started_at or kernel.now().wall_ms,
            driver=driver.name,
            handle=found.handle.ref,
            observed=found.state,
            desired=Desired.RUNNING if found.state is not Observed.EXITED else Desired.STOPPED,
        )
        effects = kernel.fleet.add_agent(agent, kernel.now())
        token, secret = self._acts.join_token(agent)
        effects += kernel.fleet.identity.add(token)
        await kernel.commit([*effects, kernel.audited(by, "agent.adopt", agent.id)])
        await driver.renew_token(found.handle, secret)
