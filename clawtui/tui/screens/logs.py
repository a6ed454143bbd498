"""Logs of several agents in one view, merged by time."""

from __future__ import annotations

from clawtui.cli.output import printable
from clawtui.errors import UsageError
from clawtui.tui.actions import Where
from clawtui.tui.logs.agents import AgentLogs
from clawtui.tui.logs.choice import ALL, WINDOWS, Choice, choose, following_window
from clawtui.tui.screens.log_place import LogPlace
from clawtui.tui.screens.pane import Subject
from clawtui.tui.store import FleetStore

NAMED = 4
LEFT_OUT_NAMED = 20
"""More are cut by the edge of any terminal."""


class LogsPane(LogPlace):
    place = Where.LOGS

    def __init__(self, id: str) -> None:
        super().__init__(id=id)
        self._words: tuple[str, ...] = ()
        self._window = "all"
        self._asked: tuple[object, ...] = ()
        self._shown: tuple[str, ...] = ()
        self._logs: AgentLogs | None = None
        self._epochs: dict[str, int | None] = {}

    def on_mount(self) -> None:
        super().on_mount()
        self.view.timestamps = True

    # --- whose logs, how far back

    def choose(self, agents: tuple[str, ...]) -> None:
        """Names, patterns or a selector; `all` for everybody. Raises BadRequest."""
        words = () if any(word in ALL for word in agents) else agents
        choose(words, {})
        self._words = words
        self.ui.refresh_now()

    async def do_logs_all(self, _: str) -> None:
        self.choose(())

    async def do_logs_choose(self, words: str) -> None:
        if words:
            self.choose(tuple(words.split()))
        else:
            self.ui.doing.ask_words(f"logs {' '.join(self._words)}")

    async def do_log_since(self, window: str) -> None:
        if window and window not in WINDOWS:
            raise UsageError(f"{window} is no window", field="since", hint=f"one of {', '.join(WINDOWS)}")
        self._window = window or following_window(self._window)
        self.ui.refresh_now()

    # --- showing

    def show(self) -> None:
        store = self.ui.store
        if store is None or not store.loaded or not self.is_mounted:
            return
        choice = choose(self._words, store.agents)
        asked = (self._words, self._window)
        # Agents that come and go do not move what somebody reads.
        if asked != self._asked or (choice.shown != self._shown and self.view.follow):
            self._asked, self._shown = asked, choice.shown
            since = None if self._window == "all" else self._window
            self._logs = AgentLogs(store.control, choice.shown, since)
            self._epochs = self._present(store, choice)
            self.read(self._logs)
        self._look_again(store, choice)
        self.keep_reading(store)
        self.view.set_empty(self.nothing(self._empty(choice)))
        self._say(choice, len(store.agents))

    def _look_again(self, store: FleetStore, choice: Choice) -> None:
        """A log ends when its agent stops: it goes on with the agent's next connection."""
        present = self._present(store, choice)
        for agent, epoch in present.items():
            if self._logs is not None and self._epochs.get(agent) != epoch:
                self._logs.again(agent)
        self._epochs = present

    @staticmethod
    def _present(store: FleetStore, choice: Choice) -> dict[str, int | None]:
        return {name: store.agents[name].epoch for name in choice.shown if name in store.agents}

    def hub_came_back(self) -> None:
        if self._logs is not None:
            for agent in self._logs.agents:
                self._logs.again(agent)

    def _empty(self, choice: Choice) -> str:
        if not choice.shown:
            chosen = f"No agent fits {' '.join(self._words)}.  a shows the logs of all"
            return chosen if self._words else "No agents, no logs.  F1 and a make one"
        if self._window != "all":
            return f"Nothing in these logs in the last {self._window}.  s or :since all looks further back"
        return "Nothing in these logs yet"

    def _say(self, choice: Choice, agents: int) -> None:
        shown, left = choice
        names = ", ".join(shown[:NAMED]) + (f" and {len(shown) - NAMED} more" if len(shown) > NAMED else "")
        state = f"{self.log_filter.says()} · since {self._window}" if self._window != "all" else self.log_filter.says()
        self.title.set_pieces([(" Logs ", "bold"), (f"{state} · ", ""), (printable(names) or "of nobody", "bold")])
        out = f"{', '.join(left[:LEFT_OUT_NAMED])}{' …' if len(left) > LEFT_OUT_NAMED else ''}"
        said = f" {len(shown)} of {agents} agents, c chooses; left out: {printable(out)}"
        self.about.set_pieces([(said, "warn")] if left else [])

    # --- for actions

    def selection(self) -> str:
        agents = choose(self._words, self.ui.store.agents).shown if self.ui.store is not None else ()
        return agents[0] if len(agents) == 1 else f"{len(agents)}-logs"

    def subject(self) -> Subject:
        if self._words and self.ui.store is not None:
            return Subject(choose(self._words, self.ui.store.agents).shown)
        return Subject()
