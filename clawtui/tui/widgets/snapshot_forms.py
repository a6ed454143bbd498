"""Forms for snapshots: take one, make agents of one, and let the hub take them by itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widget import Widget
from textual.widgets import Input, Label, Select, Static

from clawtui.cli.output import size_text
from clawtui.cli.values import seconds, words
from clawtui.errors import UsageError
from clawtui.tui.snapshots import MEANING, called, schedule_words, span
from clawtui.tui.theme import STYLES
from clawtui.tui.widgets.forms import Field, Form, Send
from hub.contract import ForkRequest, SnapshotSchedule, SnapshotView, TakeSnapshot
from hub.core.model import Consistency
from hub.core.names import check_agent_id
from hub.errors import BadRequest, HubError

Equivalent = Callable[..., str]
Estimate = Callable[[], Awaitable[tuple[str, str]]]
"""What it takes, and a style."""
MOST_FORKS = 64
SHORTEST_SECONDS = 60
NAMED = 4


class SavingForm(Form):
    """Says below its fields which command does the same, as long as they can be meant."""

    def commands(self) -> list[str]:
        """Raises BadRequest."""
        raise NotImplementedError

    def on_mount(self) -> None:
        self._show_command()

    @on(Input.Changed)
    @on(Select.Changed)
    def _show_command(self) -> None:
        try:
            self.note("\n".join(self.commands()), STYLES["dim"])
        except BadRequest as error:
            self.note(f"{error.message}{f': {error.hint}' if error.hint else ''}", STYLES["warn"])

    @on(Input.Submitted)
    def _entered(self) -> None:
        self.action_send()

    def whole(self, selector: str, title: str, most: int) -> int:
        """A number that may be left out. Raises UsageError."""
        text = self.value(selector)
        if not text:
            return 0
        if not text.isdecimal() or int(text) > most:
            raise UsageError(f"{title} is a whole number up to {most}")
        return int(text)

    def consistency(self) -> Consistency:
        return Consistency(str(self.query_one("#s-how", Select).value))


def line(title: str, field: Widget) -> Horizontal:
    return Horizontal(Label(title), field, classes="field")


def how(value: Consistency) -> Select[str]:
    """Crash or clean, with what that means."""
    choices = [(f"{one.value}: {MEANING[one]}", one.value) for one in Consistency]
    return Select(choices, value=value.value, allow_blank=False, id="s-how", compact=True)


class SnapshotDialog(SavingForm):
    """A snapshot of one or several agents, with what it takes."""

    AUTO_FOCUS: ClassVar[str | None] = "#s-name"

    def __init__(
        self,
        agents: Sequence[str],
        busy: int,
        equivalent: Equivalent,
        estimate: Estimate,
        send: Send | None = None,
    ) -> None:
        """`busy`: tasks that run there now."""
        super().__init__(send)
        self._agents, self._busy, self._equivalent, self._estimate = tuple(agents), busy, equivalent, estimate

    def compose(self) -> ComposeResult:
        several = len(self._agents) > 1
        title = f"Snapshot of {len(self._agents)} agents" if several else f"Snapshot of {self._agents[0]}"
        with Vertical(classes="dialog form"):
            yield Static(Text(title, style="bold"), classes="dialog-title")
            with VerticalScroll():
                if several:
                    more = f" and {len(self._agents) - NAMED} more" if len(self._agents) > NAMED else ""
                    yield Static(Text(f"{', '.join(self._agents[:NAMED])}{more}", style=STYLES["dim"]))
                yield line("Name", Field(placeholder="made of the time; or e.g. before-upgrade", id="s-name"))
                yield line("Saved", how(Consistency.CRASH))
                yield Horizontal(Label("Takes"), Static("", id="s-size"), classes="field tall")
                yield Static("", id="s-busy", classes="form-hint")
            yield from self.buttons("Save")

    def on_mount(self) -> None:
        super().on_mount()
        self._other_way()
        self.query_one("#s-size", Static).update(Text("measuring …", style=STYLES["dim"]))
        self.run_worker(self._measure(), exit_on_error=False)

    async def _measure(self) -> None:
        try:
            text, style = await self._estimate()
        except HubError as error:
            text, style = f"not known: {error.message}", "warn"
        for shown in self.query("#s-size").results(Static):
            shown.update(Text(text, style=STYLES.get(style, "")))

    @on(Select.Changed, "#s-how")
    def _other_way(self) -> None:
        if self.consistency() is Consistency.CRASH:
            text, style = "Files are as after a power cut: what survives one, survives this.", "dim"
        elif self._busy:
            text, style = f"Running there now: {self._busy}. That is interrupted; queued ones go on afterwards.", "warn"
        else:
            text, style = "Every file is whole. Nothing runs there now.", "dim"
        self.query_one("#s-busy", Static).update(Text(text, style=STYLES[style]))

    def commands(self) -> list[str]:
        request = self.answer()
        return [self._equivalent(*snapshot_words(self._agents[0], request))]

    def answer(self) -> TakeSnapshot:
        return TakeSnapshot(name=self.value("#s-name"), consistency=self.consistency())


def snapshot_words(agent: str, request: TakeSnapshot) -> list[str]:
    """The verb that does the same."""
    clean = ["--clean"] if request.consistency is Consistency.CLEAN else []
    return ["snapshot", agent, *([request.name] if request.name else []), *clean]


class ForkDialog(SavingForm):
    """New agents of a snapshot: so many, or by name."""

    AUTO_FOCUS: ClassVar[str | None] = "#s-count"

    def __init__(self, snapshot: SnapshotView, equivalent: Equivalent, send: Send | None = None) -> None:
        super().__init__(send)
        self._snapshot, self._equivalent = snapshot, equivalent

    def compose(self) -> ComposeResult:
        one = self._snapshot
        about = (
            "Each gets an identity, a credential, an empty state and a workspace of its own "
            f"({size_text(one.volume_bytes)} as saved). {one.agent_id} is not touched."
        )
        with Vertical(classes="dialog form"):
            yield Static(Text(f"Fork {called(one)}", style="bold"), classes="dialog-title")
            with VerticalScroll():
                yield Static(Text(about, style=STYLES["dim"]), classes="form-hint")
                yield line("How many", Field("1", id="s-count", type="integer"))
                yield line("or names", Field(placeholder=f"{one.agent_id}-fork-1,{one.agent_id}-fork-2", id="s-names"))
            yield from self.buttons("Fork")

    def commands(self) -> list[str]:
        return [self._equivalent(*fork_words(self._snapshot, self.answer()))]

    def answer(self) -> ForkRequest:
        if names := [name for part in words(self.value("#s-names")) for name in part.split()]:
            if len(names) > MOST_FORKS:
                raise UsageError(f"a fork makes at most {MOST_FORKS} agents")
            return ForkRequest(names=[check_agent_id(name, "names") for name in names])
        count = self.whole("#s-count", "how many", MOST_FORKS)
        if not count:
            raise UsageError("how many? or name them")
        return ForkRequest(count=count)


def fork_words(snapshot: SnapshotView, request: ForkRequest) -> list[str]:
    """The verb that does the same."""
    which = ["--names", ",".join(request.names)] if request.names else ["--count", str(request.count)]
    return ["fork", called(snapshot), *which]


class ScheduleDialog(SavingForm):
    """When an agent is saved by itself, and what is kept of that."""

    AUTO_FOCUS: ClassVar[str | None] = "#s-every"

    def __init__(self, agent: str, present: SnapshotSchedule, equivalent: Equivalent) -> None:
        super().__init__()
        self._agent, self._present, self._equivalent = agent, present, equivalent

    def compose(self) -> ComposeResult:
        now = self._present
        every = span(now.interval_seconds) if now.interval_seconds else ""
        about = "The newest always stays, and those that a person took are never deleted."
        with Vertical(classes="dialog form"):
            yield Static(Text(f"Snapshots of {self._agent} by themselves", style="bold"), classes="dialog-title")
            with VerticalScroll():
                yield line("Every", Field(every, placeholder="off; or e.g. 6h, 1d (at least 60s)", id="s-every"))
                yield line("Keep last", Field(_shown(now.keep_last), placeholder="all", id="s-last", type="integer"))
                yield line("Keep days", Field(_shown(now.keep_days), placeholder="for ever", id="s-days"))
                yield line("Saved", how(now.consistency))
                yield Static(Text(about, style=STYLES["dim"]), classes="form-hint")
            yield from self.buttons("Apply")

    def commands(self) -> list[str]:
        return [self._equivalent(*schedule_words(self._agent, self.answer()))]

    def answer(self) -> SnapshotSchedule:
        every = self.value("#s-every")
        if not every or every == "off":
            return SnapshotSchedule()
        interval = seconds(every, "every")
        if interval < SHORTEST_SECONDS:
            raise UsageError(f"the shortest time is {SHORTEST_SECONDS} seconds")
        return SnapshotSchedule(
            interval_seconds=interval,
            keep_last=self.whole("#s-last", "keep last", 10_000),
            keep_days=_days(self.value("#s-days")),
            consistency=self.consistency(),
        )


def _shown(value: float) -> str:
    return f"{value:g}" if value else ""


def _days(text: str) -> float:
    try:
        days = float(text or "0")
    except ValueError:
        days = -1.0
    if not 0 <= days <= 36_500:
        raise UsageError("keep days is a number of days, e.g. 30")
    return days
