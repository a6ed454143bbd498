"""Forms: a new agent, and a task of any type to one, to many or to a selector."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any, ClassVar, Final, Literal, NamedTuple

import msgspec
from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.suggester import SuggestFromList
from textual.widget import Widget
from textual.widgets import Button, Checkbox, Input, Label, Select, Static

from clawtui.cli.values import pairs
from clawtui.errors import UsageError
from clawtui.tui.theme import STYLES
from clawtui.tui.widgets.dialogs import keep_buttons_in_sight
from hub.contract import CreateAgent, DispatchRequest, DriverHealth, ProfileView, RolloutRequest
from hub.core.task_forms import TASK_FORMS, FieldKind, TaskField
from hub.errors import HubError

AS_PROFILE: Final = "as the profile says"
NETWORKS: Final = ("none", "isolated")
"""Names that are no Docker network's: without any network but with the hub, and with nobody but the hub."""


class TaskOrder(NamedTuple):
    """A task and whom it goes to."""

    task: dict[str, Any]
    dispatch: DispatchRequest


class Field(Input):
    """A field of one line."""

    def __init__(
        self, value: str = "", *, placeholder: str = "", id: str, type: Literal["text", "integer", "number"] = "text"
    ) -> None:
        super().__init__(value, placeholder=placeholder, id=id, type=type, compact=True)


class Choose(Select[str]):
    """A choice of one line; `prompt` stands for none, where none is possible."""

    def __init__(self, choices: Sequence[str], *, value: str = "", prompt: str = "", id: str) -> None:
        options = [(one, one) for one in choices]
        if value:
            super().__init__(options, value=value, id=id, compact=True)
        else:
            super().__init__(options, prompt=prompt, id=id, compact=True)


class Flag(Checkbox):
    """Yes or no, told by a sign: Textual's own shows the same sign for both in another colour."""

    BUTTON_INNER = " "

    def watch_value(self) -> None:
        self.BUTTON_INNER = "X" if self.value else " "
        super().watch_value()


class Form(ModalScreen[Any]):
    """Fields above, two buttons below; Escape cancels. What is wrong stands under the fields."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "Cancel", show=False),
        # Not before other keys: it must not overtake what was typed.
        Binding("ctrl+s", "send", "Send", show=False),
    ]

    def buttons(self, verb: str) -> ComposeResult:
        yield Static("", id="form-note")
        with Horizontal(classes="dialog-buttons"):
            yield Button("Cancel", id="cancel", compact=True)
            yield Button(f"{verb} (^s)", id="do", variant="primary", compact=True)

    def on_resize(self) -> None:
        keep_buttons_in_sight(self, self.query_one(VerticalScroll), 8)

    def value(self, selector: str) -> str:
        return self.query_one(selector, Input).value.strip()

    def note(self, text: str, style: str = STYLES["bad"]) -> None:
        self.query_one("#form-note", Static).update(Text(text, style=style))

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        if event.button.id == "do":
            self.action_send()
        else:
            self.dismiss(None)

    def action_cancel(self) -> None:
        self.dismiss(None)

    def action_send(self) -> None:
        try:
            answer = self.answer()
        except UsageError as error:
            self.note(error.message)
            return
        self.dismiss(answer)

    def answer(self) -> Any:
        raise NotImplementedError


class CreateDialog(Form):
    """A new agent; the command that does the same is shown while it is filled in."""

    AUTO_FOCUS: ClassVar[str | None] = "#f-name"

    def __init__(
        self,
        drivers: Sequence[DriverHealth],
        equivalent: Callable[..., str],
        agent_name: str = "",
        profiles: Callable[[], Coroutine[Any, Any, Sequence[ProfileView]]] | None = None,
        profile: str = "",
    ) -> None:
        """`profiles` reads those there are; the form does not wait for it. `profile`: which one is chosen already."""
        super().__init__()
        self._drivers, self._equivalent, self._agent_name = tuple(drivers), equivalent, agent_name
        self._profiles, self._profile = profiles, profile

    def compose(self) -> ComposeResult:
        usable = [driver.name for driver in self._drivers if driver.usable]
        with Vertical(classes="dialog form"):
            yield Static(Text("New agent", style="bold"), classes="dialog-title")
            with VerticalScroll():
                yield from _labelled("Name", Field(self._agent_name, placeholder="e.g. builder-1", id="f-name"))
                driver = Select(
                    [(name, name) for name in usable], id="f-driver", prompt="the hub's choice", compact=True
                )
                yield from _labelled("Driver", driver)
                yield from _labelled("Profile", self._profile_choice())
                yield from _labelled("Type", Field(placeholder="e.g. builder", id="f-type"))
                yield from _labelled("Labels", Field(placeholder="e.g. team=web stage=test", id="f-labels"))
                yield from _labelled("Tasks at once", Field(placeholder="1", id="f-concurrency", type="integer"))
                yield from _labelled("CPUs", Field(placeholder=AS_PROFILE, id="f-cpus", type="number"))
                yield from _labelled("Memory", Field(placeholder=f"{AS_PROFILE}, e.g. 2G", id="f-memory"))
                network = Field(placeholder="none, isolated, or a Docker network", id="f-network")
                network.suggester = SuggestFromList(NETWORKS)
                yield from _labelled("Network", network)
                yield Static("", id="f-profile-note", classes="form-hint")
                for unusable in (driver for driver in self._drivers if not driver.usable):
                    reason = f"{unusable.name} is not usable: {unusable.reason} {unusable.hint}"
                    yield Static(Text(reason, style=STYLES["warn"]), classes="form-hint")
            yield from self.buttons("Create")

    def on_mount(self) -> None:
        self._show_command()
        if self._profiles is not None:
            self.run_worker(partial(self._read_profiles, self._profiles), group="profiles")

    def _profile_choice(self) -> Select[str]:
        known = [(self._profile, self._profile)] if self._profile else []
        more: dict[str, Any] = {"value": self._profile} if self._profile else {}
        return Select(known, id="f-profile", prompt="none: the base image", compact=True, **more)

    async def _read_profiles(self, read: Callable[[], Coroutine[Any, Any, Sequence[ProfileView]]]) -> None:
        """Offer those that are right; what was chosen meanwhile stays."""
        try:
            found = await read()
        except HubError as error:
            self._say_of_profiles(f"Profiles cannot be read: {error.message}")
            return
        choice = self.query_one("#f-profile", Select)
        chosen = choice.value
        names = {one.name for one in found if one.valid} | ({self._profile} if self._profile else set())
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
            self.note(self._equivalent(*create_words(self.answer())), STYLES["dim"])
        except UsageError as error:
            self.note(error.message, STYLES["warn"])

    def answer(self) -> CreateAgent:
        name = self.value("#f-name")
        if not name:
            raise UsageError("the agent needs a name")
        driver, profile = (self.query_one(f"#f-{one}", Select).value for one in ("driver", "profile"))
        cpus, memory = self.value("#f-cpus"), self.value("#f-memory")
        fields: dict[str, Any] = {
            "name": name, "driver": driver if isinstance(driver, str) else "", "type": self.value("#f-type"),
            "profile": profile if isinstance(profile, str) else "", "network": self.value("#f-network"),
            "labels": pairs(self.value("#f-labels").split(), "labels"),
            "resources": {"cpus": float(cpus) if cpus else None, "memory": memory or None},
        }  # fmt: skip
        if concurrency := self.value("#f-concurrency"):
            fields["concurrency"] = int(concurrency)
        try:
            return msgspec.convert(fields, CreateAgent)
        except msgspec.ValidationError as error:
            raise UsageError(str(error)) from error


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


def _labelled(text: str, *fields: Any) -> ComposeResult:
    with Horizontal(classes="field"):
        yield Label(text, classes="field-name")
        yield from fields


class TaskDialog(Form):
    """The form of the chosen task type; below it whom it goes to, and how it is rolled out."""

    # From the first moment on: `focus()` comes later than the next key.
    AUTO_FOCUS: ClassVar[str | None] = "#t-fields Input, #cancel"

    def __init__(self, names: tuple[str, ...], task_type: str = "") -> None:
        super().__init__()
        self._names = names
        self._type = task_type if task_type in TASK_FORMS else "exec"

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog form"):
            yield Static(Text("New task", style="bold"), classes="dialog-title")
            with VerticalScroll():
                kinds = Select(
                    [(kind, kind) for kind in TASK_FORMS],
                    value=self._type,
                    allow_blank=False,
                    id="t-type",
                    compact=True,
                )
                yield from _labelled("Type", kinds)
                yield Vertical(*self._fields(), id="t-fields")
                yield from _labelled("Agents", Field(" ".join(self._names), placeholder="NAME NAME", id="t-agents"))
                yield from _labelled("or selector", Field(placeholder="type=builder", id="t-selector"))
                yield from _labelled("Canary", Field(placeholder="0: none first", id="t-canary", type="integer"))
                yield from _labelled("At once", Field(placeholder="0: no limit", id="t-concurrency", type="integer"))
                yield from _labelled("Stop after", Field(placeholder="0: never", id="t-stop", type="integer"))
                yield from _labelled("Timeout s", Field(placeholder="3600", id="t-timeout", type="number"))
            yield from self.buttons("Send")

    def _fields(self) -> list[Widget]:
        form = TASK_FORMS[self._type]
        rows = [Horizontal(Label(_title(field)), _editor(field), classes="field") for field in form.fields]
        return [Static(Text(form.about, style=STYLES["dim"])), *rows]

    def _focus_first(self) -> None:
        """What is typed next goes into the first field."""
        for first in self.query("#t-fields Input"):
            first.focus()
            break

    @on(Select.Changed, "#t-type")
    async def _other_type(self, event: Select.Changed) -> None:
        if str(event.value) == self._type:
            return
        self._type = str(event.value)
        box = self.query_one("#t-fields", Vertical)
        await box.remove_children()
        await box.mount(*self._fields())
        self._focus_first()

    def answer(self) -> TaskOrder:
        task: dict[str, Any] = {"type": self._type}
        for field in TASK_FORMS[self._type].fields:
            value = self._field_value(field)
            if value not in ("", None, [], {}, False):
                task[field.name] = value
            elif field.required:
                raise UsageError(f"{field.name} is needed")
        if timeout := self.value("#t-timeout"):
            task["timeoutMs"] = int(float(timeout) * 1000)
        agents, selector = self.value("#t-agents").replace(",", " ").split(), self.value("#t-selector")
        if not agents and not selector:
            raise UsageError("name agents, or give a selector such as type=builder")
        rollout = RolloutRequest(
            canary=_number(self.value("#t-canary")),
            concurrency=_number(self.value("#t-concurrency")),
            stop_on_failures=_number(self.value("#t-stop")),
        )
        dispatch = DispatchRequest(
            task=task, selector=selector or None, agents=None if selector else agents, rollout=rollout
        )
        return TaskOrder(task, dispatch)

    def _field_value(self, field: TaskField) -> Any:
        widget = self.query_one(f"#{_id(field)}")
        if isinstance(widget, Checkbox):
            return widget.value
        if isinstance(widget, Select):
            return str(widget.value)
        assert isinstance(widget, Input)
        if field.kind is FieldKind.WORDS:
            return widget.value.split()
        if field.kind is FieldKind.PAIRS:
            return pairs(widget.value.split(), field.name)
        return widget.value


def _id(field: TaskField) -> str:
    return f"v-{field.name}"


def _title(field: TaskField) -> str:
    return f"{field.name}{' *' if field.required else ''}"


def _editor(field: TaskField) -> Checkbox | Select[str] | Input:
    if field.kind is FieldKind.FLAG:
        return Flag(id=_id(field), compact=True)
    if field.kind is FieldKind.CHOICE:
        return Select([(one, one) for one in field.choices], value=field.default, id=_id(field), compact=True)
    hint = {FieldKind.WORDS: "words with spaces between", FieldKind.PAIRS: "KEY=VALUE KEY=VALUE"}.get(field.kind, "")
    return Field(field.default, placeholder=hint, id=_id(field))


def _number(text: str) -> int:
    return max(int(text), 0) if text else 0
