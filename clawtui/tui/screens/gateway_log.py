"""What a gateway that the hub runs prints, while it runs and after."""

from __future__ import annotations

from clawtui.cli.output import printable
from clawtui.tui.actions import Where
from clawtui.tui.logs.agents import AgentLogs
from clawtui.tui.screens.log_place import LogPlace
from clawtui.tui.store import FleetStore
from clawtui.tui.theme import Piece

NOTHING = "It has printed nothing yet"


class GatewayLogPane(LogPlace):
    place = Where.GATEWAY_LOG

    def __init__(self, id: str) -> None:
        super().__init__(id=id)
        self._about = ""
        self._logs: AgentLogs | None = None
        self._changes = -1

    def point_at(self, key: str) -> None:
        if key != self._about:
            self._about, self._logs = key, None
        self.ui.refresh_now()

    def show(self) -> None:
        store = self.ui.store
        if store is None or not self.is_mounted:
            return
        if self._about and self._logs is None and store.live:
            control = store.control
            self._logs = AgentLogs(control, (self._about,), entries=control.gateway_logs)
            self._changes = store.kinds["gateway"]
            self.read(self._logs)
        if self._logs is not None and self._changes != store.kinds["gateway"]:
            # It may have been started again: then its log goes on.
            self._changes = store.kinds["gateway"]
            self._logs.again(self._about)
        self.keep_reading(store)
        self.view.set_empty(self.nothing(self._empty()))
        self.title.set_pieces([(" Log ", "bold"), (self.log_filter.says(), "")])
        self.about.set_pieces(self._what(store))

    def hub_came_back(self) -> None:
        if self._logs is not None:
            self._logs.again(self._about)

    def _empty(self) -> str:
        if self._about:
            return NOTHING
        key = self.ui.keymap.first("show.gateways")
        return f"No gateway was chosen.\n\n{key} shows the gateways; their logs open from there."

    def _what(self, store: FleetStore) -> list[Piece]:
        job = next((one for one in store.jobs if one.about == self._about and one.finished_at is None), None)
        pieces: list[Piece] = [(f" {printable(self._about)} ", "bold")]
        if job is None:
            return [*pieces, ("what it prints, without its secrets", "dim")]
        return [*pieces, (f"▶ {job.kind} {job.progress:.0%}  {printable(job.message)}", "accent")]

    # --- for actions

    def selection(self) -> str:
        return f"gateway-{self._about}"

    def addresses(self) -> tuple[str, ...]:
        return (self._about,) if self._about else ()

    def gateway(self) -> str:
        return self._about
