"""A place of the screen: a container that shows the store and answers actions, replaceable as a whole."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from textual.containers import Vertical

from clawtui.tui.actions import Where
from hub.errors import HubError

if TYPE_CHECKING:
    from clawtui.tui.app import ClawtuiApp
    from clawtui.tui.sync_acts import Meant
    from clawtui.tui.widgets.log_view import LogView
    from hub.contract import SnapshotView


Work = Callable[[], Coroutine[Any, Any, None]]
"""What is called when its turn comes: a worker that is cancelled before leaves nothing behind."""


class Subject(NamedTuple):
    """What an action without an argument is about."""

    agents: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()


class Pane(Vertical):
    """Actions come as `do_<id>` with dots as underscores; what a pane does not know, the app does."""

    place: Where

    @property
    def ui(self) -> ClawtuiApp:
        from clawtui.tui.app import ClawtuiApp

        assert isinstance(self.app, ClawtuiApp)
        return self.app

    def show(self) -> None:
        """The store changed, or this pane came to the front. Called for the visible pane only, on each tick."""

    def focus_first(self) -> None:
        """Put the focus where keys are wanted."""
        for node in self.query("*"):
            if node.focusable:
                node.focus()
                return

    def leave(self) -> None:
        """Another pane came to the front: stop what only serves the eye."""

    def subject(self) -> Subject:
        return Subject()

    @property
    def filter_text(self) -> str:
        return ""

    def set_filter(self, text: str) -> None:
        """Raises UsageError."""

    def set_context(self, lines: int | None) -> None:
        """Lines around hits; None = the next usual number."""

    def choose(self, agents: tuple[str, ...]) -> None:
        """Show these agents."""

    def point_at(self, key: str) -> None:
        """Put the cursor there."""

    def submitted(self, task_id: str) -> None:
        """A task went out from here: show it where there is a place for it."""

    def has(self, needs: str) -> bool:
        """Whether something is under the cursor that only this place knows: a job, a token, an act."""
        return False

    def why_not(self, needs: str) -> str:
        """Why what is under the cursor will not do for an action with these needs; empty: nothing better is known."""
        return ""

    def rollout(self) -> str:
        """The rollout that is looked at; empty when there is none."""
        return ""

    def snapshots(self) -> tuple[SnapshotView, ...]:
        """What actions on snapshots are about: the marked ones, else the one under the cursor."""
        return ()

    def profiles_meant(self) -> tuple[str, ...]:
        """The profiles that an action without an argument is about."""
        return ()

    def personas(self) -> tuple[Meant, ...]:
        """The personas that an action without an argument is about, with the files of each."""
        return ()

    def addresses(self) -> tuple[str, ...]:
        """What is meant by other names than those of agents, tasks and profiles: personas, gateways."""
        return ()

    def roster(self) -> tuple[str, ...]:
        """Those that can be spoken to, as GATEWAY/SLUG."""
        return ()

    def gateway(self) -> str:
        """The gateway that is looked at; empty when there is none, or all are."""
        return ""

    def log_view(self) -> LogView | None:
        """The log that log actions are about."""
        return None

    def back(self) -> bool:
        """One step back inside the pane; False when there is none."""
        return False

    def copied(self) -> str:
        """What `copy` takes."""
        subject = self.subject()
        return " ".join(subject.tasks or subject.agents)

    def background(self, work: Work, group: str) -> None:
        """Run I/O beside the handlers; the newest of a group replaces the one before."""
        self.run_worker(partial(self._guarded, work), group=group, exclusive=True, exit_on_error=False)

    async def _guarded(self, work: Work) -> None:
        try:
            await work()
        except HubError as error:
            self.ui.problem(error)
        except Exception as error:  # noqa: BLE001 - the boundary; the app shows it
            self.ui.pane_failed(self, error)
