"""Faults that somebody could put into `hub.core`: each is one small patch, and breaks one sentence of the contract."""

from __future__ import annotations

from typing import NamedTuple


class Fault(NamedTuple):
    """`anchor` stands exactly once in `hub/core/<module>.py` and becomes `patch`."""

    name: str
    module: str
    anchor: str
    patch: str


FAULTS = (
    # --- order of effects
    Fault(
        "an offer is sent before it is saved",
        "book",
        """            yield from self.put(task)
            yield Send(slot.agent_id, slot.epoch, "task", _task_frame(task))""",
        """            yield Send(slot.agent_id, slot.epoch, "task", _task_frame(task))
            yield from self.put(task)""",
    ),
    Fault(
        "a change is published before it is saved",
        "book",
        "return [Save(task), Publish(Kind.TASK, task.id, agent=task.agent_id)]",
        "return [Publish(Kind.TASK, task.id, agent=task.agent_id), Save(task)]",
    ),
    Fault(
        "a response is acknowledged before its end is saved",
        "dispatch",
        "return [*self._ended(task, response, now), ack, *self.book.pump(slot, now)]",
        "return [ack, *self._ended(task, response, now), *self.book.pump(slot, now)]",
    ),
    Fault(
        "a release is sent before it is saved",
        "book",
        "effects += [*self.put(task), *self.pump(slot, now)]",
        "effects += [*self.pump(slot, now), *self.put(task)]",
    ),
    Fault(
        "a move is not saved",
        "book",
        "        return self.put(self.moved(task, TaskState.RUNNING, started_at=now.wall_ms))",
        "        self.put(self.moved(task, TaskState.RUNNING, started_at=now.wall_ms))\n        return []",
    ),
    Fault(
        "tasks go out before the welcome",
        "dispatch",
        "        slot.accepting = False\n        held = {",
        "        slot.accepting = True\n        held = {",
    ),
    # --- queue and capacity
    Fault(
        "one attempt too many",
        "book",
        "if len(slot.held) < slot.concurrency else None",
        "if len(slot.held) <= slot.concurrency else None",
    ),
    Fault(
        "the queue takes one too many",
        "book",
        "len(slot.open) + count > self.limits.queue_tasks",
        "len(slot.open) + count > self.limits.queue_tasks + 1",
    ),
    Fault(
        "the bound in bytes is forgotten", "book", "if full or slot.bytes + size > self.limits.queue_bytes:", "if full:"
    ),
    Fault("bytes are never given back", "book", "            slot.bytes -= len(task.spec)\n", ""),
    Fault(
        "priority is upside down",
        "book",
        "            heapq.heappush(slot.queue, (-task.priority, task.seq, task.id))\n\n    def pump",
        "            heapq.heappush(slot.queue, (task.priority, task.seq, task.id))\n\n    def pump",
    ),
    Fault(
        "what comes back goes to the end",
        "book",
        "        heapq.heappush(slot.queue, (-task.priority, task.seq, task.id))\n        if self._is_expired",
        "        heapq.heappush(slot.queue, (-task.priority, task.seq + 10**6, task.id))\n        if self._is_expired",
    ),
    Fault(
        "the next task is forgotten after a response",
        "dispatch",
        "return [*self._ended(task, response, now), ack, *self.book.pump(slot, now)]",
        "return [*self._ended(task, response, now), ack]",
    ),
    Fault(
        "the next task is forgotten after a basic response",
        "dispatch",
        "return [*self._ended(task, response, now), *self.book.pump(slot, now)]",
        "return self._ended(task, response, now)",
    ),
    Fault(
        "the next task is forgotten at the hello",
        "dispatch",
        "        slot.accepting = accepting\n        return effects + list(self.book.pump(slot, now))",
        "        slot.accepting = accepting\n        return effects",
    ),
    Fault(
        "the next task is forgotten after an end by time",
        "dispatch",
        "            effects += self.book.pump(self.book.slots[task.agent_id], now)\n",
        "",
    ),
    Fault(
        "an ended attempt keeps its place",
        "book",
        "            slot.held.pop(task.id, None)\n            slot.open.discard",
        "            slot.open.discard",
    ),
    Fault(
        "the sequence starts anew after a restart",
        "dispatch",
        "            self.next_seq = max(self.next_seq, task.seq + 1)\n",
        "",
    ),
    # --- epochs
    Fault(
        "no fencing of frames",
        "book",
        "slot is not None and slot.connected and slot.epoch == epoch else None",
        "slot is not None and slot.connected else None",
    ),
    Fault(
        "frames count after the connection ended",
        "book",
        "slot is not None and slot.connected and slot.epoch == epoch else None",
        "slot is not None and slot.epoch == epoch else None",
    ),
    Fault(
        "stale messages are sorted out by some kinds only",
        "fleet",
        "        if self.dispatcher.book.live(agent_id, epoch) is None:\n            return []\n        match",
        "        match",
    ),
    Fault(
        "a stale disconnect counts",
        "dispatch",
        "slot is not None and slot.epoch == epoch and slot.connected:",
        "slot is not None and slot.connected:",
    ),
    Fault(
        "a stale disconnect is shown",
        "health",
        "presence is None or not presence.open or presence.epoch != epoch",
        "presence is None or not presence.open",
    ),
    Fault("epochs stand still", "fleet", "epoch = agent.epoch + 1", "epoch = agent.epoch or 1"),
    Fault(
        "the connection before is left open",
        "fleet",
        'effects = self._close(agent, CLOSE_SUPERSEDED, "a newer connection took over")',
        "effects: list[Effect] = []",
    ),
    Fault(
        "a connection ended from our side still gets tasks",
        "fleet",
        "        return effects + self.disconnected(agent.id, self.presence(agent.id).epoch, now, clean=True)",
        "        return effects",
    ),
    # --- attempts
    Fault(
        "a stale attempt's result is taken", "book", "or parsed != (task.id, task.attempt):", "or parsed[0] != task.id:"
    ),
    Fault(
        "another agent's report is taken",
        "book",
        "task is None or task.agent_uid != slot.uid or parsed",
        "task is None or parsed",
    ),
    Fault(
        "a stale attempt's result is not recorded",
        "dispatch",
        "return [*self._stale(agent_id, attempt, now), ack]",
        "return [ack]",
    ),
    Fault(
        "an unknown result is never acknowledged",
        "dispatch",
        "return [*self._stale(agent_id, attempt, now), ack]",
        "return self._stale(agent_id, attempt, now)",
    ),
    Fault(
        "a result of a disowned attempt is let go",
        "dispatch",
        "            # and gives it again when the attempt is delivered again.\n            return []",
        "            # and gives it again when the attempt is delivered again.\n            return [ack]",
    ),
    Fault(
        "one attempt more than allowed", "book", "task.attempt < task.max_attempts", "task.attempt <= task.max_attempts"
    ),
    Fault("retryOn is not asked", "book", "wanted = reason in task.retry_on and task.attempt", "wanted = task.attempt"),
    Fault(
        "a cancelled task is tried again",
        "book",
        "return wanted and not task.cancelling and not",
        "return wanted and not",
    ),
    Fault(
        "another attempt keeps the number of the last",
        "book",
        "replace(task, attempt=task.attempt + 1, note=note)",
        "replace(task, note=note)",
    ),
    Fault(
        "another attempt keeps the start of the last",
        "book",
        "replace(self.moved(task, TaskState.QUEUED), started_at=None)",
        "self.moved(task, TaskState.QUEUED)",
    ),
    Fault(
        "a late failure is tried again",
        "dispatch",
        "if not late and reason is not None and",
        "if reason is not None and",
    ),
    Fault(
        "a late result has no note",
        "dispatch",
        'note="late result: the task had been lost" if late else task.note',
        "note=task.note",
    ),
    Fault(
        "a late result is not welcome",
        "dispatch",
        "            if task.state is TaskState.LOST:\n                self.book.tasks[task.id] = task\n",
        "            if task.state is TaskState.LOST:\n                continue\n",
    ),
    Fault(
        "a lost task is forgotten",
        "book",
        "        if state is not TaskState.LOST:\n            del",
        "        if True:\n            del",
    ),
    Fault(
        "an offer that never arrived is taken for running",
        "resume",
        "    if task.cancelling:\n        return book.cancelled(task, None, now)\n    return book.requeue(task, now)",
        "    if task.cancelling:\n        return book.cancelled(task, None, now)\n    return []",
    ),
    Fault(
        "what ran is given again to an agent that lost it",
        "resume",
        '        return book.lost(task, "the agent came back without it", now, may_run=False)',
        "        return book.requeue(task, now)",
    ),
    Fault(
        "an accepted attempt stays offered at the hello",
        "resume",
        "        return book.started(task, now)\n    return []\n\n\ndef _unknown",
        "        return []\n    return []\n\n\ndef _unknown",
    ),
    Fault(
        "an attempt that arrived late is killed",
        "resume",
        "if task is not None and task.state is TaskState.QUEUED and not task.held:",
        "if False:",
    ),
    Fault(
        "wanted attempts are killed",
        "resume",
        "wanted = task is not None and (task.id in slot.held or task.state is TaskState.LOST)",
        "wanted = task is not None and task.state is TaskState.LOST",
    ),
    Fault(
        "attempts of lost tasks are killed",
        "resume",
        "wanted = task is not None and (task.id in slot.held or task.state is TaskState.LOST)",
        "wanted = task is not None and task.id in slot.held",
    ),
    Fault(
        "results that nobody wants are kept for ever",
        "resume",
        "            forget.append(attempt.attempt_id)",
        "            kill.append(attempt.attempt_id)",
    ),
    Fault(
        "output is asked for from the start",
        "resume",
        "Resend(attempt, offsets.get(attempt, 0))",
        "Resend(attempt, 0)",
    ),
    # --- cancel
    Fault(
        "a cancel is not kept",
        "dispatch",
        "        effects = self.book.cancelling(task, True)",
        "        effects: list[Effect] = []",
    ),
    Fault(
        "a cancel is not given at the return",
        "dispatch",
        "            if task.cancelling and task.attempt_id in held:",
        "            if False:",
    ),
    Fault(
        "a running task is called cancelled at once",
        "dispatch",
        "        if task.state is TaskState.QUEUED or slot.basic:",
        "        if True:",
    ),
    Fault(
        "a cancelled offer is offered again",
        "resume",
        "    if task.cancelling:\n        return book.cancelled(task, None, now)\n",
        "",
    ),
    Fault(
        "a cancel is sent twice",
        "dispatch",
        "        if task.cancelling:\n            return []\n        effects",
        "        effects",
    ),
    Fault(
        "a lost task cannot be cancelled where it still runs",
        "dispatch",
        "(task.state in TERMINAL and task_id not in slot.late)",
        "task.state in TERMINAL",
    ),
    Fault(
        "a cancel is forgotten when its task is lost",
        "book",
        "cancelling=task.cancelling and task.id in slot.late)",
        "cancelling=False)",
    ),
    Fault(
        "a lost task is not cancelled at the return",
        "dispatch",
        "for task_id in (*slot.held, *slot.late):",
        "for task_id in slot.held:",
    ),
    Fault(
        "what an agent came back without can be cancelled",
        "book",
        "        if may_run and not slot.basic:",
        "        if not slot.basic:",
    ),
    Fault(
        "what a basic agent lost can be cancelled",
        "book",
        "        if may_run and not slot.basic:",
        "        if may_run:",
    ),
    Fault(
        "lost tasks that the agent does not have stay cancellable",
        "resume",
        "    before, slot.late = slot.late, {t.id: None for t in named if t is not None and t.state is TaskState.LOST}",
        "    before = slot.late",
    ),
    Fault(
        "a cancel that nobody can confirm stays",
        "resume",
        "    return [effect for task in gone if task.cancelling for effect in book.cancelling(task, False)]",
        "    return []",
    ),
    Fault(
        "a restart forgets which lost tasks may still run",
        "dispatch",
        "                if not slot.basic:\n                    slot.late[task.id] = None\n",
        "",
    ),
    Fault(
        "a lost task that got its result stays cancellable",
        "book",
        "            slot.late.pop(task.id, None)\n",
        "            pass\n",
    ),
    Fault(
        "a cancel outlives its agent",
        "dispatch",
        "        effects += resume.find_late(self.book, slot, ())\n",
        "",
    ),
    Fault("a cancel counts as another end", "book", "Save(task, overlay=True)", "Save(task)"),
    Fault(
        "a cancel is sent where nobody listens",
        "dispatch",
        "        if slot.connected:\n            effects.append(self._send_cancel",
        "        if True:\n            effects.append(self._send_cancel",
    ),
    # --- time
    Fault(
        "patience is the shorter of the two",
        "book",
        "max(self.limits.lost_after_seconds, rest)",
        "min(self.limits.lost_after_seconds, rest)",
    ),
    Fault("two silences are taken for one", "dispatch", "        slot.silences += 1\n", ""),
    Fault(
        "lost without silence",
        "book",
        "task.state in HELD and slot.silent_since is not None and slot.silences == deadline.mark",
        "task.state in HELD",
    ),
    Fault(
        "silence counts while paused",
        "dispatch",
        "if slot is None or slot.paused or slot.silent_since is not None:",
        "if slot is None or slot.silent_since is not None:",
    ),
    Fault(
        "a thawed agent is never silent",
        "dispatch",
        "        if not paused and not slot.connected:\n            self.silent(agent_id, now)\n",
        "",
    ),
    Fault(
        "a silent agent is given tasks", "book", "not self.leaving and self.silent_since is None", "not self.leaving"
    ),
    Fault(
        "an agent that speaks again is given nothing",
        "dispatch",
        "        slot.silent_since = None\n        return list(self.book.pump(slot, now))",
        "        slot.silent_since = None\n        return []",
    ),
    Fault(
        "an agent that leaves is given tasks", "book", "self.accepting and not self.leaving and", "self.accepting and"
    ),
    Fault(
        "no patience after a restart",
        "book",
        "        if task.state in HELD:\n            self.arm_lost(slot, task, now)\n            if slot.basic:",
        "        if task.state in HELD:\n            if slot.basic:",
    ),
    Fault(
        "a basic agent has no timeout after a restart",
        "book",
        "            if slot.basic:\n                self.arm_timeout(task, now)\n        if task.expires_at",
        "        if task.expires_at",
    ),
    Fault(
        "the wall clock is believed without bounds",
        "book",
        "now.mono - min(max(ran, 0), task.timeout_ms) / 1000",
        "now.mono - ran / 1000",
    ),
    Fault(
        "expiry is forgotten after a restart",
        "book",
        "        if task.expires_at is not None:\n            self.expire_at(",
        "        if False:\n            self.expire_at(",
    ),
    Fault(
        "a clock that was put back gives a task more time",
        "book",
        "return min(expires_at - now.wall_ms, expires_at - task.created_at)",
        "return expires_at - now.wall_ms",
    ),
    Fault(
        "places of ended tasks pile up in the queue",
        "book",
        "        if len(slot.queue) > 2 * len(slot.open) + COMPACT_AT:",
        "        if False:",
    ),
    Fault(
        "an expired task is offered",
        "book",
        "task.state is TaskState.QUEUED and not self._is_expired(task_id, now):",
        "task.state is TaskState.QUEUED:",
    ),
    Fault(
        "a lost offer never expires",
        "book",
        "            self.expire_at(task.id, self._expiries[task.id])\n",
        "            pass\n",
    ),
    Fault(
        "an expired task is tried again",
        "book",
        "not task.cancelling and not self._is_expired(task.id, now)",
        "not task.cancelling",
    ),
    Fault(
        "what runs expires",
        "book",
        '        if deadline.kind == "expire":\n            return task.state is TaskState.QUEUED',
        '        if deadline.kind == "expire":\n            return True',
    ),
    Fault("deadlines pile up", "book", "if len(self._deadlines) >= self._compact_at:", "if False:"),
    Fault(
        "deadlines are swept away with an expiry in use",
        "book",
        'return deadline.kind == "expire" or self.is_due',
        "return self.is_due",
    ),
    Fault(
        "a basic agent has no timeout",
        "book",
        "started_at=now.wall_ms)\n                self.arm_timeout(task, now)",
        "started_at=now.wall_ms)",
    ),
    Fault("an old timeout ends the next attempt", "book", "slot.basic and deadline.mark == task.attempt", "slot.basic"),
    Fault(
        "the hub times out a full agent's task",
        "book",
        "task.state in HELD and slot.basic and deadline.mark",
        "task.state in HELD and deadline.mark",
    ),
    Fault(
        "a basic agent that was a full one has no timeout",
        "dispatch",
        "        if not slot.basic:\n            # It was a full",
        "        if False:\n            # It was a full",
    ),
    # --- agents
    Fault(
        "an agent that is not wanted running is given tasks",
        "fleet",
        "accepting = agent.desired is Desired.RUNNING\n",
        "accepting = True\n",
    ),
    Fault(
        "a destroyed agent's tasks stay open",
        "dispatch",
        "                effects += self.book.cancelled(task, error, now)\n",
        "                pass\n",
    ),
    Fault(
        "a destroyed agent's credentials stay good",
        "fleet",
        "        effects += self.identity.forget_agent(agent_id)\n",
        "",
    ),
    Fault(
        "tasks of an earlier incarnation are taken back",
        "dispatch",
        "if slot is None or slot.uid != task.agent_uid:",
        "if slot is None:",
    ),
    Fault(
        "a quarantined agent is let in",
        "fleet",
        "if agent.quarantined or self.freshness.is_flapping",
        "if self.freshness.is_flapping",
    ),
    # --- rollouts
    Fault(
        "concurrency plus one",
        "rollout",
        "rollout.concurrency - len(run.active))",
        "rollout.concurrency + 1 - len(run.active))",
    ),
    Fault(
        "canaries ignore the concurrency",
        "rollout",
        "        if rollout.concurrency:\n",
        "        if rollout.concurrency and state is not DispatchState.CANARY:\n",
    ),
    Fault(
        "canaries are not alone",
        "rollout",
        "        if state is DispatchState.CANARY:\n            room",
        "        if False:\n            room",
    ),
    Fault(
        "a failed canary stops nothing",
        "rollout",
        "            if run.failures:\n                return DispatchState.STOPPED\n",
        "",
    ),
    Fault(
        "stop one failure late",
        "rollout",
        "if 0 < rollout.stop_on_failures <= run.failures:",
        "if 0 < rollout.stop_on_failures < run.failures:",
    ),
    Fault(
        "failures are forgotten at a restart",
        "rollout",
        "                run.failures += task.state is not TaskState.SUCCEEDED\n            elif",
        "                pass\n            elif",
    ),
    Fault("a stopped rollout leaves its tasks waiting", "rollout", "            cancel = tuple(run.pending)\n", ""),
    Fault(
        "a rollout is not taken back",
        "rollout",
        "                run.pending.append(task_id)\n",
        "                pass\n",
    ),
    Fault(
        "a stopped rollout is taken back",
        "rollout",
        "        if dispatch.state in ENDED:\n            return Decision()\n",
        "",
    ),
    # --- freshness and lifecycle
    Fault(
        "a restarted hub knows nothing of lost connections",
        "health",
        "presence.connection = Connection.UNREACHABLE if lost else Connection.OFFLINE",
        "presence.connection = Connection.OFFLINE",
    ),
    Fault(
        "stale a moment too late",
        "health",
        "if heard_at + self.stale_after_seconds > now.mono:",
        "if heard_at + self.stale_after_seconds >= now.mono:",
    ),
    Fault("the wrong agent is looked at first", "health", "            self._heard.move_to_end(agent_id)\n", ""),
    Fault(
        "a paused agent turns stale",
        "health",
        "        if paused:\n            self._heard.pop(agent_id, None)\n            return []\n",
        "        if paused:\n            return []\n",
    ),
    Fault(
        "a full agent's frames are health",
        "health",
        "return self._hear(agent_id, presence, now) if presence.basic else []",
        "return self._hear(agent_id, presence, now)",
    ),
    Fault(
        "restarts are flapping",
        "health",
        "if recent and recent[-1] != instance and instance in recent:",
        "if recent and recent[-1] != instance:",
    ),
    Fault("flapping is judged too early", "health", "return len(taken) > FLAPS", "return len(taken) >= FLAPS"),
    Fault(
        "restarts without a bound",
        "lifecycle",
        "        if crashes.count >= self.policy.limit:\n            crashes.given_up = True\n"
        "            return None\n",
        "",
    ),
    Fault(
        "backoff does not grow",
        "lifecycle",
        "        crashes.count += 1\n        crashes.not_before",
        "        crashes.not_before",
    ),
    Fault(
        "backoff has no cap",
        "lifecycle",
        "return min(self.policy.most_seconds, self.policy.first_seconds",
        "return max(0.0, self.policy.first_seconds",
    ),
    Fault(
        "a short run clears the crash record",
        "lifecycle",
        "elif now.mono - crashes.running_since >= self.policy.stable_seconds:",
        "else:",
    ),
    Fault(
        "a crash loop is not said",
        "lifecycle",
        "            crashes.given_up = True\n            return None",
        "            return None",
    ),
    # --- identity and mail
    Fault(
        "a join token can be spent twice",
        "identity",
        "            if not hmac.compare_digest(token.bound, credential_sha256):\n                raise",
        "            if False:\n                raise",
    ),
    Fault(
        "a spent join token is refused to its owner",
        "identity",
        "        if token.bound is not None:\n            if not",
        "        if token.bound is not None:\n            self._check_alive(token, now)\n            if not",
    ),
    Fault(
        "tokens never expire",
        "identity",
        "token.expires_at is not None and now.wall_ms >= token.expires_at",
        "token.expires_at is not None and now.wall_ms > token.expires_at + 10**15",
    ),
    Fault(
        "tokens open other agents' doors",
        "identity",
        "if token.agent_id != agent.id or token.agent_uid != agent.uid:",
        "if token.agent_id != agent.id:",
    ),
    Fault(
        "revoked credentials open",
        "identity",
        "        if token.revoked_at is not None:\n            raise",
        "        if False:\n            raise",
    ),
    Fault(
        "the old credential survives a new join",
        "identity",
        "                effects += self.revoke(old.id, now)\n        effects += self._keep(replace",
        "                pass\n        effects += self._keep(replace",
    ),
    Fault(
        "the spent token is not saved",
        "identity",
        "        effects += self._keep(replace(token, bound=credential_sha256))",
        "        self._keep(replace(token, bound=credential_sha256))",
    ),
    Fault(
        "a revoked credential is good enough for a hello",
        "identity",
        "        self._check_agents(token, agent, now)\n\n    def _check_agents",
        "        self._check_owner(token, agent)\n\n    def _check_agents",
    ),
    Fault(
        "a join token goes before its credential",
        "identity",
        "if token.bound is not None and token.bound in self._by_hash:",
        "if False:",
    ),
    Fault("any kind of token is a user's", "identity", "        if token.kind is not kind:", "        if False:"),
    Fault(
        "messages need no policy", "mail", "if (message.sender, message.receiver) not in self._allowed:", "if False:"
    ),
    Fault("two senders share a message id", "mail", "if present.sender != message.sender:", "if False:"),
    Fault(
        "messages are forgotten when sent",
        "mail",
        "for message in self._waiting.get(receiver, {}).values()]",
        "for message in self._waiting.pop(receiver, {}).values()]",
    ),
    Fault("messages are not bounded", "mail", "if len(waiting) >= self.limit or", "if"),
    Fault(
        "messages are not bounded in bytes",
        "mail",
        "if len(waiting) >= self.limit or size + len(message.payload) > MAX_WAITING_BYTES:",
        "if len(waiting) >= self.limit:",
    ),
    Fault(
        "messages change their order at a restart",
        "mail",
        "for message in sorted(messages, key=lambda message: message.seq):",
        "for message in messages:",
    ),
    # --- what breaks
    Fault(
        "nobody hears of a decision that broke",
        "guard",
        "            raise self.on_broken(exc) from exc",
        "            raise",
    ),
    Fault(
        "a refusal counts as broken",
        "guard",
        "        except HubError:\n            raise\n        except",
        "        except",
    ),
    Fault("a part breaks unheard", "fleet", "self.lifecycle, self.mail):", "self.lifecycle):"),
    Fault(
        "only some decisions are guarded",
        "guard",
        'return not name.startswith("_") and "Effect" in str(returned)',
        'return not name.startswith(("_", "remove")) and "Effect" in str(returned)',
    ),
    # --- shown to people
    Fault(
        "quarantine hides behind a paused agent",
        "view",
        "    if quarantined:\n        return AgentStatus.QUARANTINED\n    if observed is Observed.CREATING:",
        "    if quarantined and observed is not Observed.PAUSED:\n        return AgentStatus.QUARANTINED\n"
        "    if observed is Observed.CREATING:",
    ),
    Fault("attempts have two names", "model", ' and not number.startswith("0")', ""),
)
