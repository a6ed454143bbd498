"""The form of a new agent; the command that does the same is shown while it is filled in."""

from __future__ import annotations

from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, Final

import msgspec
from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.suggester import SuggestFromList
from textual.widgets import Input, Select, Static

from clawtui.cli.values import pairs
from clawtui.errors import UsageError
from clawtui.tui.theme import STYLES
from clawtui.tui.widgets.forms import Choose, Field, Form, Send, labelled, number
from hub.contract import CreateAgent, DriverHealth, ProfileView
from hub.core.names import check_agent_id
from hub.errors import BadRequest, HubError

AS_PROFILE: Final = "as the profile says"
NETWORKS: Final = ("none", "isolated")
"""Names that are no Docker network's: without any network but with the hub, and with nobody but the hub."""
NOTHING: Final = CreateAgent(name="")
"""The form as it is at first."""


class CreateDialog(Form):
    """A new agent; the command that does the same is shown while it is filled in."""

    AUTO_FOCUS: ClassVar[str | None] = "#f-name"
    PLACES: ClassVar[Mapping[str, str]] = {
        "name": "f-name", "driver": "f-driver", "profile": "f-profile", "type": "f-type", "labels": "f-labels",
        "concurrency": "f-concurrency", "cpus": "f-cpus", "resources.cpus": "f-cpus", "memory": "f-memory",
        "resources.memory": "f-memory", "network": "f-network",
    }  # fmt: skip

    def __init__(
        self,
        drivers: Sequence[DriverHealth],
        equivalent: Callable[..., str],
        filled: CreateAgent = NOTHING,
        profiles: Callable[[], Coroutine[Any, Any, Sequence[ProfileView]]] | None = None,
        taken: Callable[[], Collection[str]] = tuple,
        send: Send | None = None,
    ) -> None:
        """`filled`: what stands in it already. `profiles` reads those there are; the form does not wait for it.
        `taken`: names of agents that are there."""
        super().__init__(send)
        self._drivers, self._equivalent, self._filled = tuple(drivers), equivalent, filled
        self._profiles, self._taken = profiles, taken

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog form"):
            yield Static(Text("New agent", style="bold"), classes="dialog-title")
            with VerticalScroll():
                yield from self._who()
                yield from self._machine()
                yield Static("", id="f-profile-note", classes="form-hint")
                for unusable in (driver for driver in self._drivers if not driver.usable):
                    reason = " — ".join(
                        filter(None, (f"{unusable.name} is not usable: {unusable.reason}", unusable.hint))
                    )
                    yield Static(Text(reason, style=STYLES["warn"]), classes="form-hint")
            yield from self.buttons("Create")

    def _who(self) -> ComposeResult:
        filled = self._filled
        usable = [driver.name for driver in self._drivers if driver.usable]
        labels = " ".join(f"{key}={value}" for key, value in filled.labels.items())
        yield from labelled("Name", Field(filled.name, placeholder="e.g. builder-1", id="f-name"))
        driver = filled.driver if filled.driver in usable else ""
        yield from labelled("Driver", Choose(usable, value=driver, prompt="the hub's choice", id="f-driver"))
        known = [filled.profile] if filled.profile else []
        profile = Choose(known, value=filled.profile, prompt="none: the base image", id="f-profile")
        yield from labelled("Profile", profile)
        yield from labelled("Type", Field(filled.type, placeholder="e.g. builder", id="f-type"))
        yield from labelled("Labels", Field(labels, placeholder="e.g. team=web stage=test", id="f-labels"))

    def _machine(self) -> ComposeResult:
        filled, resources = self._filled, self._filled.resources
        at_once = str(filled.concurrency or "")
        cpus = "" if resources.cpus is None else f"{resources.cpus:g}"
        yield from labelled("Tasks at once", Field(at_once, placeholder=AS_PROFILE, id="f-concurrency", type="integer"))
        yield from labelled("CPUs", Field(cpus, placeholder=AS_PROFILE, id="f-cpus", type="number"))
        memory = str(resources.memory or "")
        yield from labelled("Memory", Field(memory, placeholder=f"{AS_PROFILE}, e.g. 2G", id="f-memory"))
        network = Field(filled.network, placeholder="none, isolated, or a Docker network", id="f-network")
        network.suggester = SuggestFromList(NETWORKS)
        yield from labelled("Network", network)

    def on_mount(self) -> None:
        self._show_command()
        if self._profiles is not None:
            self.run_worker(partial(self._read_profiles, self._profiles), group="profiles")

    async def _read_profiles(self, read: Callable[[], Coroutine[Any, Any, Sequence[ProfileView]]]) -> None:
        """Offer those that are right; what was chosen meanwhile stays."""
        try:
            found = await read()
        except HubError as error:
            self._say_of_profiles(f"Profiles cannot be read: {error.message}")
            return
        choice = self.query_one("#f-profile", Select)
        chosen = choice.value
        names = {one.name for one in found if one.valid} | ({self._filled.profile} if self._filled.profile else set())
        choice.set_options([(name, name) for name in sorted(names)])
        if isinstance(chosen, str):
            choice.value = chosen
        wrong = sorted(one.name for one in found if not one.valid)
        if wrong:
            self._say_of_profiles(f"Left out, because they are wrong: {', '.join(wrong)}")

    def _say_of_profiles(self, text: str) -> None:
        self.query_one("#f-profile-note", Static).update(Text(text, style=STYLES["warn"]))

    @on(Input.Changed)
    @on(Select.Changed)
    def _show_command(self) -> None:
        try:
            request = self.answer()
        except BadRequest as error:
            if self.value("#f-name"):
                self.wrong(error)
            else:  # it was not begun yet
                self.right()
                self.note(error.message, STYLES["warn"])
        else:
            self.right()
            self.note(self._equivalent(*create_words(request)), STYLES["dim"])

    def answer(self) -> CreateAgent:
        name = self.value("#f-name")
        if not name:
            raise UsageError("the agent needs a name", field="name")
        check_agent_id(name, taken=self._taken())
        driver, profile = (self.query_one(f"#f-{one}", Select).value for one in ("driver", "profile"))
        cpus, memory = self.value("#f-cpus"), self.value("#f-memory")
        fields: dict[str, Any] = {
            "name": name, "driver": driver if isinstance(driver, str) else "", "type": self.value("#f-type"),
            "profile": profile if isinstance(profile, str) else "", "network": self.value("#f-network"),
            "labels": pairs(self.value("#f-labels").split(), "labels"),
            "resources": {"cpus": number(cpus, "cpus") if cpus else None, "memory": memory or None},
        }  # fmt: skip
        if concurrency := self.value("#f-concurrency"):
            fields["concurrency"] = int(number(concurrency, "concurrency"))
        try:
            return msgspec.convert(fields, CreateAgent)
        except msgspec.ValidationError as error:
            said, _, place = str(error).partition(" - at `$.")
            raise UsageError(said, field=place.rstrip("`") or None) from error


def create_words(request: CreateAgent) -> list[str]:
    """The `create` verb that does the same."""
    words = ["create", request.name]
    named = {
        "--driver": request.driver, "--profile": request.profile, "--type": request.type,
        "--concurrency": request.concurrency,
        "--cpu": request.resources.cpus, "--memory": request.resources.memory, "--network": request.network,
    }  # fmt: skip
    for option, value in named.items():
        if value:
            words += [option, f"{value:g}" if isinstance(value, float) else str(value)]
    for key, value in request.labels.items():
        words += ["--label", f"{key}={value}"]
    return words
