"""A message from inside a task, with a real hub and real agents: refused with the way out, then delivered."""

from __future__ import annotations

import shlex
import sys

from tests.end_to_end.harness import HubProcess, eventually

SEND = f"{shlex.quote(sys.executable)} -P -m runtime.send b '{{\"x\": 1}}'"


async def test_a_refused_message_says_which_policy_and_an_allowed_one_arrives(hub: HubProcess) -> None:
    await hub.start()
    await hub.create("a")
    await hub.create("b")
    refused = await hub.run("a", type="exec", command=SEND)
    assert (refused["status"], refused["exitCode"], refused["stdout"]) == ("failed", 4, "")
    assert "no policy lets a send messages to b (clawtui policy allow a b)" in refused["stderr"]
    await hub.call("PUT", "/policies/a/b")
    sent = await hub.run("a", type="exec", command=SEND)
    assert (sent["exitCode"], sent["stderr"]) == (0, "")
    inbox = "cat .clawtui/inbox/*.json"

    async def arrived() -> bool:
        found = await hub.run("b", type="exec", command=inbox)
        return '"x"' in found["stdout"] and sent["stdout"].strip() in found["stdout"]

    await eventually(arrived, what="the message is in b's inbox")
