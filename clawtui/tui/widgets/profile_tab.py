"""The Profile tab of an agent: what it was made from, as that is now, and what of it the agent itself says."""

from __future__ import annotations

from collections.abc import Callable

from clawtui.cli.output import printable
from clawtui.tui.profiles import effective_fields, problem_text
from clawtui.tui.store import FleetStore
from clawtui.tui.widgets.fields import Field, Fields, heading
from hub.contract import AgentView, ProfileView
from hub.errors import HubError, NotFound

AGAIN_SECONDS = 10.0
"""Files change without a word in the feed."""
NONE = "none: the base image, and what was said when it was made"


class ProfileTab:
    """Reads the profile of the agent that is looked at; what was read stays while the hub is away."""

    def __init__(self, fields: Fields) -> None:
        self._fields = fields
        self._whole: dict[str, ProfileView | HubError] = {}
        self.key = ""
        """Goes to the profiles."""

    def reads(self, store: FleetStore, agent: AgentView) -> tuple[object, ...]:
        return (agent.profile, "profile", int(store.mono() / AGAIN_SECONDS))

    async def read(self, store: FleetStore, agent: AgentView, changed: Callable[[], None]) -> None:
        if not agent.profile:
            return
        try:
            self._whole[agent.profile] = await store.control.profile(agent.profile)
        except NotFound as error:
            self._whole[agent.profile] = error
        changed()

    def show(self, store: FleetStore, agent: AgentView | None) -> None:
        if agent is None:
            self._fields.set_fields([Field("", "No agent under the cursor", "dim")])
            return
        self._fields.set_fields([*self._agent(agent), *self._profile(store, agent)])

    def _agent(self, agent: AgentView) -> list[Field]:
        """What the agent itself has, whatever became of the profile since."""
        known = (
            ("Driver", agent.driver or "none: it was started elsewhere"),
            ("Type", agent.type),
            ("Capabilities", ", ".join(agent.capabilities)),
            ("Labels", " ".join(f"{key}={value}" for key, value in agent.labels.items())),
            ("Tasks at once", str(agent.concurrency)),
        )
        more = f"{self.key} shows all" if self.key else ""
        return [
            Field("Profile", agent.profile or NONE, "bold" if agent.profile else "dim", more),
            *(Field(label, printable(text)) for label, text in known if text),
        ]

    def _profile(self, store: FleetStore, agent: AgentView) -> list[Field]:
        if not agent.profile:
            return []
        whole = self._whole.get(agent.profile)
        if whole is None:
            text = "being read …" if store.live else "not read before the hub went away"
            return [heading("The profile now"), Field("", text, "dim")]
        if isinstance(whole, HubError):
            text = f"{printable(whole.message)}. The agent goes on: it keeps what it was made from."
            return [heading("The profile now"), Field("", text, "warn")]
        style = "" if store.live else "dim"
        fields = [
            heading("The profile now"),
            Field("", "The agent keeps the machine of the moment it was made; this is what the next one gets.", "dim"),
            Field("Source", whole.source, style, whole.path),
            *(Field("Wrong", printable(problem_text(one)), "bad", one.hint) for one in whole.problems),
            *([Field("Image", whole.image, style, "built" if whole.built else "not built")] if whole.image else []),
            *effective_fields(whole),
        ]
        return fields if store.live else [one._replace(style=one.style or "dim") for one in fields]
