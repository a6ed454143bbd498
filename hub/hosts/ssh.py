"""How the ssh program is called for a tunnel, and what it means when it gives up. Pure.

The program itself is used, so that the operator's configuration, keys, agent and known hosts count.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from hub.hosts.address import Address

READY: Final = b"clawtui-tunnel"
"""What the other side says when everything is open: sessions begin after forwards."""
_REMOTE: Final = f"echo {READY.decode()}; exec cat"
"""It ends with its input, so a hub that is killed leaves no tunnel behind."""
_OPTIONS: Final = {
    # Nobody is there to be asked for a password or about a host's key.
    "BatchMode": "yes",
    "ExitOnForwardFailure": "yes",
    "ConnectTimeout": "10",
    "ServerAliveInterval": "5",
    "ServerAliveCountMax": "3",
    # One connection each: a shared one would end with somebody else's.
    "ControlMaster": "no",
    "ControlPath": "none",
    "StreamLocalBindUnlink": "yes",
    "StreamLocalBindMask": "0177",
    "RemoteCommand": "none",
    "RequestTTY": "no",
    "LogLevel": "INFO",
}


class Trouble(msgspec.Struct, frozen=True):
    """Why a tunnel is not open. `final`: trying again does not help until somebody does something."""

    message: str
    hint: str = ""
    final: bool = False


def command(program: Sequence[str], address: Address, here: str, there: str) -> list[str]:
    """Return the words that open a tunnel from `here` (a path, or ADDRESS:PORT) to `there` on the host."""
    options = [word for name, value in _OPTIONS.items() for word in ("-o", f"{name}={value}")]
    place = [*(["-l", address.user] if address.user else []), *(["-p", str(address.port)] if address.port else [])]
    return [*program, *options, "-a", "-x", "-L", f"{here}:{there}", *place, "--", address.host, _REMOTE]


def explain(said: str, address: Address) -> Trouble:
    """Return what the program's own words mean; the first rule that fits counts."""
    host = address.host
    by_hand = f"ssh {f'{address.user}@' if address.user else ''}{host}"
    for words, trouble in _rules(host, by_hand):
        if any(word in said for word in words):
            return trouble
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return Trouble(f"ssh to {host}: {lines[-1][:200] if lines else 'it ended without a word'}", f"Try: {by_hand}")


def _rules(host: str, by_hand: str) -> tuple[tuple[tuple[str, ...], Trouble], ...]:
    """Words of the program, and what each of them means."""
    return (
        (
            ("Host key verification failed", "REMOTE HOST IDENTIFICATION HAS CHANGED"),
            Trouble(
                f"the host key of {host} is not known to the hub's user, or it has changed",
                f"As the hub's user: {by_hand}; compare the key with the host's, and accept it only when it is right.",
                True,
            ),
        ),
        (
            ("Permission denied (", "Too many authentication failures"),
            Trouble(
                f"{host} does not let the hub's user in",
                f"As the hub's user: {by_hand} has to work without a password; ssh-copy-id brings the key.",
                True,
            ),
        ),
        (
            ("Could not resolve hostname",),
            Trouble(f"there is no host {host}: its name leads nowhere", "Look at the name and at ~/.ssh/config."),
        ),
        (
            ("Address already in use",),
            Trouble(
                "another program of the hub's machine has the port that the tunnel needs",
                "End that program; the tunnel is tried again by itself.",
            ),
        ),
        (
            ("administratively prohibited", "forwarding is disabled"),
            Trouble(
                f"{host} forbids tunnels",
                "In its sshd_config: AllowTcpForwarding yes and AllowStreamLocalForwarding yes.",
                True,
            ),
        ),
    )


def explain_engine(said: str, address: Address) -> Trouble | None:
    """Return why the engine's socket does not answer behind an open tunnel, None where ssh did not say."""
    if "open failed" not in said:
        return None
    if "Permission denied" in said or "administratively prohibited" in said:
        return Trouble(
            f"{address.host} does not let {address.user or 'this user'} use Docker at {address.socket}",
            "There: add the user to the group docker, and let sshd forward sockets (AllowStreamLocalForwarding).",
            True,
        )
    return Trouble(
        f"no Docker engine answers at {address.socket} of {address.host}",
        "Install and start Docker there, or name its socket: ssh://USER@HOST/PATH/OF/docker.sock",
        True,
    )
