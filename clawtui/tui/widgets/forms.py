"""Forms, and the one of a task of any type to one, to many or to a selector."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, cast

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Button, Checkbox, Input, Label, Select, Static

from clawtui.cli.output import printable
from clawtui.cli.values import pairs
from clawtui.errors import UsageError
from clawtui.tui.theme import STYLES
from clawtui.tui.widgets.dialogs import keep_buttons_in_sight
from hub.contract import DispatchRequest, RolloutRequest
from hub.core.task_forms import TASK_FORMS, FieldKind, TaskField
from hub.errors import BadRequest, HubError

if TYPE_CHECKING:
    from clawtui.tui.app import ClawtuiApp

Send = Callable[[Any], Awaitable[object]]


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
        more: dict[str, Any] = {"value": value} if value else {}
        super().__init__([(one, one) for one in choices], prompt=prompt or "Select", id=id, compact=True, **more)


class Flag(Checkbox):
    """Yes or no, told by a sign: Textual's own shows the same sign for both in another colour."""

    BUTTON_INNER = " "

    def watch_value(self) -> None:
        self.BUTTON_INNER = "X" if self.value else " "
        super().watch_value()


class Form(ModalScreen[Any]):
    """Fields above, two buttons below; Escape cancels. What is wrong stands under its field, else under all fields.

    Without `send` it answers what was filled in. With it, that is given to `send` and the form stays until it was
    taken: what is refused can be mended where it stands.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "Cancel", show=False),
        # Not before other keys: it must not overtake what was typed.
        Binding("ctrl+s", "send", "Send", show=False),
    ]
    PLACES: ClassVar[Mapping[str, str]] = {}
    """Ids of the fields that errors speak of, by the name they have there."""

    def __init__(self, send: Send | None = None) -> None:
        super().__init__()
        self._send = send
        self._asking = False

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

    # --- what is wrong

    def wrong(self, error: HubError) -> Widget | None:
        """Say it beside its field and return that, or under all fields."""
        self.right()
        text = f"{error.message} ({error.hint})" if error.hint else error.message
        place = self.PLACES.get(error.field or "")
        if place is None:
            self.note(f"× {printable(text)}")
            return None
        self.note("")
        said = self.query_one(f"#{place}-wrong", Static)
        said.update(Text(f"× {printable(text)}", style=STYLES["bad"]))
        said.display = True
        return self.query_one(f"#{place}")

    def right(self) -> None:
        """Nothing is wrong with any field."""
        for said in self.query(".field-wrong"):
            said.display = False

    # --- sending

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        if event.button.id == "do":
            self.action_send()
        else:
            self.dismiss(None)

    def action_cancel(self) -> None:
        self.dismiss(None)

    def action_send(self) -> None:
        if self._asking:
            return
        try:
            answer = self.answer()
        except BadRequest as error:
            self._refused(error)
            return
        if self._send is None:
            self.dismiss(answer)
            return
        self._asking = True
        self.note("▶ the hub is asked …", STYLES["accent"])
        # Of the app: who leaves meanwhile does not take back what is on its way.
        self.app.run_worker(self._ask(self._send, answer), group="acts", exit_on_error=False)

    async def _ask(self, send: Send, answer: Any) -> None:
        try:
            await send(answer)
        except HubError as error:
            self._not_taken(error)
        except Exception as error:  # noqa: BLE001 - shown instead of lost
            self._not_taken(HubError(f"a defect: {error!r}", code="defect"))
        else:
            if self.is_current:
                self.dismiss(None)
        finally:
            self._asking = False

    def _not_taken(self, error: HubError) -> None:
        if self.is_current:
            self._refused(error)
        else:  # it was left before the hub said no
            cast("ClawtuiApp", self.app).problem(error)

    def _refused(self, error: HubError) -> None:
        field = self.wrong(error)
        if field is not None:
            field.focus()

    def answer(self) -> Any:
        """What was filled in. Raises BadRequest."""
        raise NotImplementedError


def labelled(text: str, field: Widget) -> ComposeResult:
    """A field with its name before it, and room below it for what is wrong with it."""
    with Horizontal(classes="field"):
        yield Label(text, classes="field-name")
        yield field
    yield Static("", id=f"{field.id}-wrong", classes="field-wrong")


class TaskDialog(Form):
    """The form of the chosen task type; below it whom it goes to, and how it is rolled out."""

    # From the first moment on: `focus()` comes later than the next key.
    AUTO_FOCUS: ClassVar[str | None] = "#t-fields Input, #cancel"
    PLACES: ClassVar[Mapping[str, str]] = {
        "agents": "t-agents", "agent": "t-agents", "selector": "t-selector", "canary": "t-canary",
        "atOnce": "t-concurrency", "stopAfter": "t-stop", "timeout": "t-timeout", "timeoutMs": "t-timeout",
    }  # fmt: skip

    def __init__(self, names: tuple[str, ...], task_type: str = "", send: Send | None = None) -> None:
        super().__init__(send)
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
                yield from labelled("Type", kinds)
                yield Vertical(*self._fields(), id="t-fields")
                yield from labelled("Agents", Field(" ".join(self._names), placeholder="NAME NAME", id="t-agents"))
                yield from labelled("or selector", Field(placeholder="type=builder", id="t-selector"))
                yield from labelled("Canary", Field(placeholder="0: none first", id="t-canary", type="integer"))
                yield from labelled("At once", Field(placeholder="0: no limit", id="t-concurrency", type="integer"))
                yield from labelled("Stop after", Field(placeholder="0: never", id="t-stop", type="integer"))
                yield from labelled("Timeout s", Field(placeholder="3600", id="t-timeout", type="number"))
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
            task["timeoutMs"] = int(number(timeout, "timeout") * 1000)
        agents, selector = self.value("#t-agents").replace(",", " ").split(), self.value("#t-selector")
        if not agents and not selector:
            raise UsageError("name agents, or give a selector such as type=builder", field="agents")
        rollout = RolloutRequest(
            canary=_count(self.value("#t-canary"), "canary"),
            concurrency=_count(self.value("#t-concurrency"), "atOnce"),
            stop_on_failures=_count(self.value("#t-stop"), "stopAfter"),
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


def number(text: str, field: str) -> float:
    """Raises UsageError for a number that is not complete, such as `-`."""
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"{text!r} is not a number", field=field) from None


def _count(text: str, field: str) -> int:
    return max(int(number(text, field)), 0) if text else 0
