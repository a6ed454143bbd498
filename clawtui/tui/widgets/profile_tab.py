"""The Profile tab of an agent: what it was made with, and in what its profile is another one by now."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from clawtui.cli.output import printable
from clawtui.tui.presenters import age_cell
from clawtui.tui.profiles import changed_fields, contents_fields, effective_fields, machine_fields, problem_text
from clawtui.tui.store import FleetStore
from clawtui.tui.sync import address, state_cell
from clawtui.tui.widgets.fields import Field, Fields, heading
from hub.contract import AgentView, PersonaSync, ProfileView, SyncQuery
from hub.errors import HubError, NotAvailable, NotFound

AGAIN_SECONDS = 10.0
"""Files change without a word in the feed."""
NONE = "none: the base image, and what was said when it was made"


class ProfileTab:
    """Reads the profile of the agent that is looked at; what was read stays while the hub is away."""

    def __init__(self, fields: Fields) -> None:
        self._fields = fields
        self._whole: dict[str, ProfileView | HubError] = {}
        self._made: dict[str, Any] = {}
        """By the uid of agents, of those that there are."""
        self._synced: dict[str, tuple[PersonaSync, ...]] = {}
        """By profile: its persona at every gateway that has it."""
        self._synced_at: dict[str, tuple[object, ...]] = {}
        self.key = ""
        """Goes to the profiles."""
        self.sync_key = ""
        """Goes to the personas."""

    def reads(self, store: FleetStore, agent: AgentView) -> tuple[object, ...]:
        return (agent.profile, agent.uid, "profile", store.kinds["sync"], int(store.mono() / AGAIN_SECONDS))

    async def read(self, store: FleetStore, agent: AgentView, changed: Callable[[], None]) -> None:
        try:
            machine = (await store.control.agent(agent.id)).machine
        except NotFound:
            return  # it went meanwhile
        living = {one.uid for one in store.agents.values()}
        self._made = {uid: made for uid, made in self._made.items() if uid in living} | {agent.uid: machine}
        if not agent.profile:
            changed()
            return
        try:
            self._whole[agent.profile] = await store.control.profile(agent.profile)
        except NotFound as error:
            self._whole[agent.profile] = error
        changed()
        await self._read_sync(store, agent.profile)
        changed()

    async def _read_sync(self, store: FleetStore, profile: str) -> None:
        """All personas come in one answer: only when something has changed in them, or in who this one is."""
        slug = _slug(self._whole[profile])
        looks = (slug, store.kinds["sync"])
        if self._synced_at.get(profile) == looks:
            return
        found: list[PersonaSync] = []
        if slug:
            with contextlib.suppress(NotFound, NotAvailable):  # an older hub does not tell
                found = (await store.control.sync_status(SyncQuery())).personas
        self._synced[profile] = tuple(one for one in found if one.slug == slug)
        self._synced_at[profile] = looks

    def addresses(self, agent: AgentView | None) -> tuple[str, ...]:
        """GATEWAY/SLUG of the profile's persona, wherever it is."""
        return tuple(map(address, self._synced.get(agent.profile, ()))) if agent is not None else ()

    def show(self, store: FleetStore, agent: AgentView | None) -> None:
        if agent is None:
            self._fields.set_fields([Field("", "No agent under the cursor", "dim")])
            return
        self._fields.set_fields([*self._agent(agent), *self._persona(store, agent), *self._profile(store, agent)])

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
        whole = self._whole.get(agent.profile)
        if isinstance(whole, ProfileView) and whole.valid and changed_fields(self._made.get(agent.uid), whole):
            more = f"▲ changed since, see below  {more}"
        made = machine_fields(self._made.get(agent.uid))
        said = {(one.label, one.text) for one in made}
        return [
            Field("Profile", agent.profile or NONE, "bold" if agent.profile else "dim", more),
            *(Field(label, printable(text)) for label, text in known if text and (label, text) not in said),
            *([heading("Made with"), *made] if made else []),
        ]

    def _persona(self, store: FleetStore, agent: AgentView) -> list[Field]:
        """How the profile's persona is at the gateways that have it."""
        found = self._synced.get(agent.profile, ())
        fields = [heading("Its persona at gateways")] if found else []
        for one in found:
            state = state_cell(one, not store.live)
            since = f"since {age_cell(one.at, store.now())}" if one.at else ""
            more = f"{self.sync_key} shows it" if self.sync_key else ""
            known = ", ".join(part for part in (since, more) if part)
            fields.append(Field(address(one), state.text, state.style, known))
            if one.reason:
                fields.append(Field("", printable(one.reason), state.style))
        return fields

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
            *self._unlike(agent, whole),
            Field("Source", whole.source, style, whole.path),
            *(Field("Wrong", printable(problem_text(one)), "bad", one.hint) for one in whole.problems),
            *([Field("Image", whole.image, style, "built" if whole.built else "not built")] if whole.image else []),
            *(contents_fields(whole) if self._made.get(agent.uid) else effective_fields(whole)),
        ]
        return fields if store.live else [one._replace(style=one.style or "dim") for one in fields]

    def _unlike(self, agent: AgentView, whole: ProfileView) -> list[Field]:
        """What the next agent of the profile gets, as far as this one has something else."""
        made = self._made.get(agent.uid)
        if made is None or not whole.valid:
            return [
                Field("", "The agent keeps the machine that it was made with; this is what the next one gets.", "dim")
            ]
        changed = changed_fields(made, whole)
        if not changed:
            return [Field("", "√ The next agent gets the same machine.", "ok")]
        return [Field("", "▲ The next agent gets another machine; this one keeps its own.", "warn"), *changed]


def _slug(whole: ProfileView | HubError) -> str:
    """Of the profile's persona; empty where it has none. Without a slug of its own it is called as the profile."""
    if not isinstance(whole, ProfileView) or not isinstance(whole.effective, dict):
        return ""
    persona = whole.effective.get("persona")
    return str(persona.get("slug") or whole.name) if isinstance(persona, dict) else ""
