"""Whether a gateway took the config that was written, and what is done where it did not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import msgspec
import structlog

from hub.sync.built import Built
from hub.sync.commands import Outcome, sha256_of
from hub.sync.policy import (
    Judged,
    Look,
    Reload,
    Restarts,
    Rules,
    Verdict,
    Waiting,
    judge,
    noted,
    restart_at,
    restarted,
    restarts_of,
)
from hub.sync.runner import Held, Ran
from hub.sync.state import PROVEN, Proof
from profiles.sync.errors import SyncError
from profiles.sync.once import restore_last_good

NEVER = float("inf")
OFF = "nothing is asked of the gateway: reload is off"
NO_ADDRESS = "nothing is asked of the gateway: it has no address"
CHANGE_HINT = "Change your part of the config, the source or the gateway's sync settings; then it is tried again."

log = structlog.get_logger("hub.sync")

See = Callable[[], Awaitable[Look | None]]
RestartGateway = Callable[[Built], Awaitable[Outcome]]
"""By its command, else by its container. Something of the two is given."""


class Prover:
    """Follows one gateway from the moment its config was written. In memory: a hub that starts looks anew."""

    def __init__(
        self, gateway: str, see: See, restart: RestartGateway, rules: Rules, mono: Callable[[], float]
    ) -> None:
        self._gateway = gateway
        self._see = see
        self._restart_gateway = restart
        self._rules = rules
        self._mono = mono
        self._waiting: Waiting | None = None
        self._restarts = Restarts()
        self._ran: Ran | None = None
        self._shown: frozenset[str] | None = None
        self._command_trouble = ""
        self._owed = False
        """A gateway without an address has not been restarted for its config yet."""
        self.unproven = False
        """The config that was written last is not known to be one that the gateway takes."""
        self.proof = Proof()
        self.words = ""
        """How it is known that the gateway took the config, or why it is not."""
        self.proven = False
        """The gateway showed it at the last look."""
        self.held: Held | None = None
        self._wrote = ""
        """SHA-256 of the config as it was written last."""
        self.restarts_made = 0

    @property
    def next_look(self) -> float:
        """Monotonic time of the next look, NEVER when none is due before the next run."""
        return self._waiting.next_look if self._waiting is not None else NEVER

    def forget(self) -> None:
        """What was tried before says nothing any more."""
        self._waiting, self._restarts, self.held = None, Restarts(), None

    def hurry(self) -> None:
        """Something changed at the gateway: what waits is looked at now."""
        if self._waiting is not None:
            self._waiting = msgspec.structs.replace(self._waiting, next_look=self._mono())

    async def begin(self, ran: Ran, look: Look | None) -> None:
        """A run ended; `look` is from before it."""
        self._ran, self.proven = ran, False
        if ran.report.config_changed:
            self._wrote = await asyncio.to_thread(sha256_of, ran.built.target.config)
            self.unproven = look is not None and ran.built.reload is not Reload.OFF
        if self.held is not None and (ran.report.config_changed or self.held.fingerprint != ran.fingerprint):
            self.held = None
        if ran.report.config_problem:
            # What the gateway has is not what it shall have; to wait for it is no use.
            self._waiting = None
            self._shown = look.roster if look is not None else None
            self._say(ran.report.config_problem)
            return
        self._restarts = restarts_of(self._restarts, ran.fingerprint)
        if ran.built.reload is Reload.OFF or look is None:
            self._waiting, self._shown = None, None
            await self._begin_unseen(ran)
            return
        self._waiting = self._wait_for(ran, look)
        if ran.report.config_changed:
            # It may have taken it already.
            await self.look()
        else:
            await self._judge(look)

    async def look(self) -> None:
        """Look at the gateway once more."""
        look = await self._see()
        if look is not None and self._waiting is not None:
            await self._judge(look)

    # --- inside

    def _wait_for(self, ran: Ran, look: Look) -> Waiting:
        wanted = ran.config.agents if ran.config.agents is not None else frozenset(ran.report.roster)
        now, before = self._mono(), self._waiting
        if before is not None and before.wanted == wanted and not ran.report.config_changed:
            return before
        return Waiting(
            since=now,
            wanted=wanted,
            before=self._comparable(look, ran, wanted).roster,
            was_up=look.is_up,
            wrote=ran.report.config_changed,
            watches=ran.config.watches,
        )

    def _comparable(self, look: Look, ran: Ran, wanted: frozenset[str]) -> Look:
        """Where a config includes others, agents that are not ours are no difference."""
        if look.roster is None or ran.config.agents is not None:
            return look
        ours = wanted | frozenset(ran.report.archived)
        return msgspec.structs.replace(look, roster=look.roster & ours)

    async def _judge(self, look: Look) -> None:
        ran, waiting = self._ran, self._waiting
        assert ran is not None
        assert waiting is not None
        self._shown = look.roster
        look = self._comparable(look, ran, waiting.wanted)
        now = self._mono()
        waiting = self._waiting = noted(waiting, look, now, self._rules)
        built = ran.built
        judged = judge(waiting, look, self._restarts, built.reload, now, self._rules, can_restart=built.can_restart)
        match judged.verdict:
            case Verdict.TAKEN:
                self._taken(len(waiting.wanted))
            case Verdict.WAIT:
                at = max(waiting.next_look, judged.at)
                self._waiting = msgspec.structs.replace(waiting, next_look=at)
                self._say(judged.reason)
            case Verdict.STUCK:
                self._waiting = msgspec.structs.replace(waiting, next_look=NEVER)
                self._say(judged.reason)
            case Verdict.RESTART:
                self._say(judged.reason)
                await self._restart(ran, waiting)
            case Verdict.RESTORE:
                await self._restore(ran, judged)

    def _taken(self, agents: int) -> None:
        self._waiting, self.proof, self._command_trouble, self.held = None, Proof(), "", None
        self.unproven = False
        self.words, self.proven = f"{PROVEN} ({agents} agents); names and models it does not tell", True

    def _say(self, reason: str) -> None:
        trouble = f"; {self._command_trouble}" if self._command_trouble else ""
        self.words = f"{reason}{trouble}"
        self.proof = Proof(pending=self.words, shown=self._shown)

    async def _restart(self, ran: Ran, waiting: Waiting) -> None:
        # Counted first: a command that breaks, or that ends this hub, has been tried too.
        self._restarts = restarted(self._restarts, self._mono())
        self.restarts_made += 1
        await self._call(ran)
        now = self._mono()
        self._waiting = msgspec.structs.replace(
            waiting, restarted_at=now, looks=0, next_look=now + self._rules.first_look_seconds, wrote=True, was_up=True,
            down_since=None, busy_since=None,
        )  # fmt: skip
        self._say(f"the gateway was restarted for its new config ({self._restarts.count} of {self._rules.restarts})")

    async def _begin_unseen(self, ran: Ran) -> None:
        """A gateway of which nothing is asked counts as having taken its config, unless it owes us a restart."""
        restarts = ran.built.reload is Reload.RESTART and ran.built.can_restart
        self._owed = restarts and (self._owed or ran.report.config_changed)
        if self._owed:
            await self._restart_unseen(ran)
            return
        self.proof, self._command_trouble = Proof(), ""
        self.words = OFF if ran.built.reload is Reload.OFF else NO_ADDRESS

    async def _restart_unseen(self, ran: Ran) -> None:
        """Restart it for a change; whether that helped nobody can see. A command that failed is tried again at later
        runs, and who else writes the config must not make us restart the gateway again and again."""
        count, now = self._restarts.count, self._mono()
        if count >= self._rules.restarts:
            self._say(
                f"the gateway was restarted {count} times for its config and is not again until the roster changes"
            )
            return
        if now < restart_at(self._restarts, self._rules):
            self._say("the gateway is restarted for its new config at a later sync")
            return
        self._restarts = restarted(self._restarts, now)
        self.restarts_made += 1
        await self._call(ran)
        if self._command_trouble:
            self._say("the gateway was not restarted for its new config")
            return
        self._owed, self.proof = False, Proof()
        self.words = f"the gateway was restarted; {NO_ADDRESS}"

    async def _call(self, ran: Ran) -> None:
        outcome = await self._restart_gateway(ran.built)
        log.info("gateway_restarted", gateway=self._gateway, code=outcome.code, said=outcome.said[:500])
        ended = f"ended with {outcome.code}" if outcome.code is not None else "failed"
        said = f": {outcome.said[-300:]}" if outcome.said else ""
        what = "the restart command" if ran.built.restart_command else f"the restart of container {ran.built.container}"
        self._command_trouble = "" if outcome.ok else f"{what} {ended}{said}"

    async def _put_back(self, ran: Ran, present: str) -> tuple[bool, str]:
        """Return whether the earlier config is back, and what was done. `present`: SHA-256 of the one that is there."""
        if present != self._wrote:
            # Somebody is about to mend it; to put back what was before would throw that away.
            return False, "somebody else changed its config meanwhile, so it is left as it is"
        try:
            back = await asyncio.to_thread(restore_last_good, ran.built.target)
        except SyncError as exc:
            return False, f"its earlier config could not be put back: {exc.message}"
        return back, "its config is as it was before" if back else "there is no earlier config to go back to"

    async def _restore(self, ran: Ran, judged: Judged) -> None:
        refused = await asyncio.to_thread(sha256_of, ran.built.target.config)
        back, done = await self._put_back(ran, refused)
        self.held = Held(ran.fingerprint, refused, f"{judged.reason}; {done}", CHANGE_HINT)
        log.warning("config_restored", gateway=self._gateway, why=judged.reason, restored=back)
        self._waiting = None
        allowed = self._restarts.count <= self._rules.restarts and ran.built.reload in (Reload.AUTO, Reload.RESTART)
        if back and allowed and ran.built.can_restart:
            # Counted too: whoever else writes the config must not make us restart the gateway again and again.
            self._restarts = restarted(self._restarts, self._mono())
            self.restarts_made += 1
            await self._call(ran)
        self._say(self.held.why)
