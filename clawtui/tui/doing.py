"""What every place can do: go somewhere, ask, help, act on agents and tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clawtui.tui import links
from clawtui.tui.actions import ACTIONS, BY_ID, Action, Grade, Where, applies, completions
from clawtui.tui.gateways_possible import ACTS, PREFIX
from clawtui.tui.helping import help_text
from clawtui.tui.logs.viewing import search
from clawtui.tui.screens.pane import Pane
from clawtui.tui.widgets.command_line import CommandLine
from clawtui.tui.widgets.detail import TABS
from clawtui.tui.widgets.dialogs import Choice, Picker, TextScreen
from clawtui.tui.widgets.needs import SNOOZE, Answer, NeedsScreen, place_of, title_of
from clawtui.values import THEMES
from hub.contract import AttentionView

if TYPE_CHECKING:
    from clawtui.tui.app import ClawtuiApp


SNOOZE_SECONDS = 3_600
NO_GATEWAY = "no gateway is meant: put the cursor on one (F11 shows them)"
WHY_NOT = {
    "agent": "no agent is meant: put the cursor on one, or mark some",
    "task": "no task is meant: put the cursor on one; on the Fleet 3 and Enter show an agent's",
    "rollout": "this belongs to no rollout: put the cursor on a task of one",
    "attention": "nothing needs you",
    "snapshot": "no snapshot is meant: put the cursor on one; on the Fleet 5 shows an agent's",
    "profile": "no profile is meant: put the cursor on one (F8 shows them)",
    "build": "no build of it runs",
    "disk": "the disks were not looked at yet",
    "persona": "no persona is meant: put the cursor on one (F10 shows them)",
    "waiting": "no persona is meant: put the cursor on one whose files wait (F10 shows them)",
    "migration": "nothing was migrated yet (M asks for files or a folder)",
    "gateway": NO_GATEWAY,
    **{f"{PREFIX}{act}": NO_GATEWAY for act in ACTS},
    "undo": "nothing can be taken back now; the journal (F4) shows what can",
    "job": "no job is meant: put the cursor on one that runs",
    "token": "no token is meant: put the cursor on one (3 shows them)",
    "log": "no log is in front: on the Fleet 2 shows an agent's",
}
"""What is said where an action needs something that is not there."""


class Doing:
    """Handlers of actions that no pane has of its own."""

    def __init__(self, app: ClawtuiApp) -> None:
        self.app = app

    async def do_show_fleet(self, _: str) -> None:
        await self.app.main.go(Where.FLEET)

    async def do_show_tasks(self, _: str) -> None:
        await self.app.main.go(Where.TASKS)

    async def do_show_logs(self, agents: str) -> None:
        chosen = tuple(agents.split()) or self.app.main.pane.subject().agents
        pane = await self.app.main.go(Where.LOGS)
        if chosen:
            pane.choose(chosen)

    async def do_show_journal(self, _: str) -> None:
        await self.app.main.go(Where.JOURNAL)

    async def do_show_hub(self, _: str) -> None:
        await self.app.main.go(Where.HUB)

    async def do_show_jobs(self, job_id: str) -> None:
        pane = await self.app.main.go(Where.JOBS)
        if job_id:
            pane.point_at(job_id)

    async def do_show_snapshots(self, agent: str) -> None:
        pane = await self.app.main.go(Where.SNAPSHOTS)
        if agent:
            pane.set_filter(f"agent:{agent}")

    async def do_show_profiles(self, profile: str) -> None:
        pane = await self.app.main.go(Where.PROFILES)
        if profile:
            pane.point_at(profile)

    async def do_show_disk(self, _: str) -> None:
        await self.app.main.go(Where.DISK)

    async def do_show_gateways(self, gateway: str) -> None:
        pane = await self.app.main.go(Where.GATEWAYS)
        if gateway:
            pane.point_at(gateway)

    async def do_pane_next(self, _: str) -> None:
        self.app.screen.focus_next()

    async def do_pane_previous(self, _: str) -> None:
        self.app.screen.focus_previous()

    async def do_back(self, _: str) -> None:
        if not self.app.main.pane.back():
            await self.app.main.go_back()

    async def do_filter(self, text: str) -> None:
        if text:
            self.app.main.pane.set_filter(text)
        else:
            self.app.main.query_one(CommandLine).ask("/", self.app.main.pane.filter_text)

    async def do_command(self, _: str) -> None:
        self.ask_words()

    def ask_words(self, text: str = "") -> None:
        """The line for `:`, with `text` as its beginning."""
        self.app.main.query_one(CommandLine).ask(":", text, words=self._words)

    def _words(self, text: str) -> list[str]:
        """Completion of `:`: words first, then agents' names, links or themes after a word."""
        word, space, rest = text.rpartition(" ")
        if not space:
            return completions(text)
        names = sorted(self.app.store.agents) if self.app.store is not None else []
        if word == "go":
            return [f"go {link}" for link in links.completed(rest, names, TABS)][:20]
        if word == "theme":
            return [f"theme {name}" for name in THEMES if name.startswith(rest)]
        return [f"{word} {name}" for name in names if name.startswith(rest)][:20]

    async def do_palette(self, _: str) -> None:
        choices = [
            Choice(action.id, f"{action.title} · {action.where[0].value}", self.app.keymap.first(action.id))
            for action in ACTIONS
            if action.id != "palette"
        ]
        agents = self.app.store.agents.values() if self.app.store is not None else ()
        choices += [Choice(f"agent={agent.id}", f"agent {agent.id}", agent.status.value) for agent in agents]
        self.app.push_screen(Picker("Palette", choices), self._picked)

    async def do_menu(self, _: str) -> None:
        pane, subject = self.app.main.pane, self.app.main.pane.subject()
        choices = [
            found for action in ACTIONS
            if Where.ANY not in action.where and applies(action, pane.place) and (found := self._in_menu(action, pane))
        ]  # fmt: skip
        saved = tuple(f"{one.agent_id}:{one.name}" for one in self.app.main.pane.snapshots())
        about = (
            ", ".join((saved or pane.profiles_meant() or subject.tasks or subject.agents or pane.addresses())[:3])
            or "nothing"
        )
        self.app.push_screen(Picker(f"Actions on {about}", choices), self._picked)

    def _in_menu(self, action: Action, pane: Pane) -> Choice | None:
        """What can be done; what cannot stands there greyed where the place knows why."""
        key = f"{self.app.keymap.first(action.id):>4}"
        if self._has(action.needs):
            return Choice(action.id, action.title, f"{key}  {action.help}")
        why = pane.why_not(action.needs)
        return Choice(action.id, action.title, f"{key}  not now: {why}", grey=True) if why else None

    def _has(self, needs: str) -> bool:
        subject = self.app.main.pane.subject()
        found: dict[str, object] = {
            "agent": subject.agents,
            "task": subject.tasks,
            "rollout": self.app.main.pane.rollout(),
            "snapshot": self.app.main.pane.snapshots(),
            "attention": self._needs(),
            "undo": self.app.undoing.offer,
        }
        return not needs or bool(found.get(needs)) or self.app.main.pane.has(needs)

    def why_not(self, action: Action) -> str:
        """Why an action without an argument has nothing to act on here; empty when it has."""
        if self._has(action.needs):
            return ""
        other = f"{action.title.lower()}: there is nothing here that it could be done to"
        return self.app.main.pane.why_not(action.needs) or WHY_NOT.get(action.needs, other)

    def _needs(self) -> bool:
        return self.app.store is not None and bool(self.app.store.attention)

    async def _picked(self, chosen: str | None) -> None:
        if chosen is None:
            return
        if chosen.startswith("agent="):
            pane = await self.app.main.go(Where.FLEET)
            pane.point_at(chosen.removeprefix("agent="))
            return
        await self.app.do(BY_ID[chosen])

    async def do_attention_open(self, _: str) -> None:
        needs = self.app.store.attention if self.app.store is not None else []

        async def chosen(answer: Answer | None) -> None:
            if answer is None:
                return
            if answer.verb == SNOOZE:
                self.app.acting.work(lambda: self._snooze(answer.need))
                return
            place, key = place_of(answer.need)
            pane = await self.app.main.go(place)
            if key:
                pane.point_at(key)

        if needs and self.app.store is not None:
            screen = NeedsScreen(needs, self.app.store.now(), read_only=self.app.read_only)
            self.app.push_screen(screen, chosen)
        else:
            self.app.say("nothing needs you", "ok")

    async def do_attention_snooze(self, attention_id: str) -> None:
        """The most urgent one, or the one with this id."""
        needs = self.app.store.attention if self.app.store is not None else []
        need = next((one for one in needs if one.id == attention_id or not attention_id), None)
        if need is None:
            self.app.say(f"nothing that needs you is called {attention_id!r}" if needs else "nothing needs you", "warn")
        else:
            await self._snooze(need)

    async def _snooze(self, need: AttentionView) -> None:
        await self.app.acting.control.snooze(need.id, SNOOZE_SECONDS)
        if self.app.store is not None:
            self.app.store.touch("attention")
        self.app.say(f"√ snoozed for an hour: {need.target}: {title_of(need)}", "ok")
        await self.app.undoing.after("attention.snooze", [need.id])

    async def do_help(self, _: str) -> None:
        place = self.app.main.pane.place
        self.app.push_screen(TextScreen("Help", lambda width: help_text(self.app.keymap, place, width)))

    async def do_details(self, _: str) -> None:
        self.app.push_screen(TextScreen("Last error", self.app.details()))

    async def do_copy(self, _: str) -> None:
        log = self.app.main.pane.log_view()
        text = log.copy_line() if log is not None and log.has_focus else self.app.main.pane.copied()
        if text:
            self.app.copy_to_clipboard(text)
            self.app.say(f"copied: {text[:60]}", "ok")

    async def do_quit(self, _: str) -> None:
        self.app.exit(0)

    # --- logs of any place

    async def do_log_follow(self, _: str) -> None:
        if (log := self.app.main.pane.log_view()) is not None:
            log.follow = not log.follow

    async def do_log_wrap(self, _: str) -> None:
        if (log := self.app.main.pane.log_view()) is not None:
            log.wrap = not log.wrap
            self.app.memory.choose(wrap=log.wrap)

    async def do_log_times(self, _: str) -> None:
        if (log := self.app.main.pane.log_view()) is not None:
            log.timestamps = not log.timestamps
            self.app.memory.choose(timestamps=log.timestamps)

    async def do_log_next(self, _: str) -> None:
        if (log := self.app.main.pane.log_view()) is not None:
            log.next_hit()

    async def do_log_previous(self, _: str) -> None:
        if (log := self.app.main.pane.log_view()) is not None:
            log.previous_hit()

    async def do_log_search(self, text: str) -> None:
        if (log := self.app.main.pane.log_view()) is None:
            return
        if text or log.sought:
            search(log, text)
            self.app.refresh_now()
        else:
            self.ask_words("search ")

    async def do_log_copy_hits(self, _: str) -> None:
        if (log := self.app.main.pane.log_view()) is not None and not log.copy_hits():
            self.app.say("no line matches", "warn")

    async def do_log_context(self, lines: str) -> None:
        self.app.main.pane.set_context(int(lines) if lines.isdecimal() else None)

    def hints(self) -> list[tuple[str, str]]:
        """What the hint bar shows here, the important ones first."""
        place = self.app.main.pane.place
        empty = self.app.store is not None and not self.app.store.agents
        found = [
            (action.hint, self.app.keymap.first(action.id), action.title)
            for action in ACTIONS
            if action.hint and applies(action, place) and not (self.app.read_only and action.grade > Grade.LOOKS)
            and (action.id != "agent.first" or empty) and self._has(action.needs)
        ]  # fmt: skip
        return [(key, title) for _, key, title in sorted(found) if key]
