"""How an agent proves who it is: a permanent token, or a join token that it exchanges once.

The exchange survives a crash at every step: the credential is on disk before its hash is sent, and
the same join token with the same hash may be presented again at any time. The old credential is
replaced only when a new join token is there, and only after the hub has refused the old one.
"""

from __future__ import annotations

import enum
import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from runtime.journal import replace_durably
from runtime.wire import CREDENTIAL_HEADER

JOIN_PREFIX: Final = "ctj_"
AGENT_PREFIX: Final = "cta_"
MAX_TOKEN_BYTES: Final = 4096


class CredentialError(Exception):
    """There is nothing to present to the hub; the message says what to do."""


class Stored(msgspec.Struct, frozen=True, rename="camel"):
    """The credential file. `confirmed`: the hub has accepted the exchange.

    `previous` is the credential of before, kept while a new join token is not yet accepted.
    """

    credential: str
    join_sha256: str
    confirmed: bool = False
    previous: str | None = None


class Proof(enum.Enum):
    PERMANENT = "permanent"
    JOIN = "join"
    CREDENTIAL = "credential"


@dataclass(frozen=True, slots=True)
class Presentation:
    """What one handshake shows. `bearer` is a secret."""

    proof: Proof
    bearer: str = field(repr=False)
    credential_sha256: str | None = None

    def headers(self) -> dict[str, str]:
        headers = {"Authorization": f"Bearer {self.bearer}"}
        if self.credential_sha256 is not None:
            headers[CREDENTIAL_HEADER] = self.credential_sha256
        return headers


def sha256_hex(text: str) -> str:
    """Return the SHA-256 of a token as the hub keeps it."""
    return hashlib.sha256(text.encode()).hexdigest()


def new_credential() -> str:
    """Return a fresh credential: 256 random bits with the agents' prefix."""
    return AGENT_PREFIX + secrets.token_urlsafe(32)


class Credentials:
    """Chooses what to present, and keeps the agent's own credential in a file.

    Args:
        path: the credential file in the state folder.
        token: the token from the environment; a token file wins over it.
    """

    def __init__(
        self,
        path: Path,
        *,
        token: str | None,
        token_file: Path | None,
        make_credential: Callable[[], str] = new_credential,
    ) -> None:
        self._path = path
        self._token = token
        self._token_file = token_file
        self._make_credential = make_credential
        self._refused: set[str] = set()

    def present(self) -> Presentation:
        """Return what to show the hub now, making and storing a credential where one is needed.

        Raises:
            CredentialError: no token and no credential.
            OSError: the credential cannot be stored.
        """
        choices = self._choices()
        if not choices:
            raise CredentialError("no token: set AGENT_TOKEN_FILE or AGENT_TOKEN")
        fresh = [choice for choice in choices if choice[1] not in self._refused]
        if not fresh:
            # Everything was refused once; a hub that was restored may know the first again.
            self._refused.clear()
            fresh = choices
        proof, bearer = fresh[0]
        if proof is not Proof.JOIN:
            return Presentation(proof, bearer)
        return Presentation(proof, bearer, sha256_hex(self._credential_for(bearer)))

    def accepted(self, presentation: Presentation) -> None:
        """Take the hub's yes: from now on the credential stands alone."""
        self._refused.clear()
        stored = self._load()
        if presentation.proof is Proof.JOIN and stored is not None and not stored.confirmed:
            self._save(Stored(stored.credential, stored.join_sha256, confirmed=True))

    def refused(self, presentation: Presentation) -> bool:
        """Take the hub's no; return whether something else can be presented at once."""
        self._refused.add(presentation.bearer)
        return any(bearer not in self._refused for _, bearer in self._choices())

    def _choices(self) -> list[tuple[Proof, str]]:
        """Return what could be presented, best first; the token file is read again every time."""
        token = self._read_token()
        if token is not None and not token.startswith(JOIN_PREFIX):
            return [(Proof.PERMANENT, token)]
        stored = self._load()
        choices: list[tuple[Proof, str]] = []
        if stored is not None and (stored.confirmed or token is None):
            choices.append((Proof.CREDENTIAL, stored.credential))
        if token is not None:
            choices.append((Proof.JOIN, token))
        if stored is not None and stored.previous is not None:
            choices.append((Proof.CREDENTIAL, stored.previous))
        return choices

    def _credential_for(self, join_token: str) -> str:
        """Return the credential that belongs to a join token, on disk before anybody hears of it."""
        join_sha256 = sha256_hex(join_token)
        stored = self._load()
        if stored is not None and stored.join_sha256 == join_sha256:
            return stored.credential
        previous = None
        if stored is not None:
            previous = stored.credential if stored.confirmed else stored.previous
        self._save(Stored(self._make_credential(), join_sha256, previous=previous))
        stored = self._load()
        assert stored is not None
        return stored.credential

    def _read_token(self) -> str | None:
        if self._token_file is not None:
            try:
                with self._token_file.open("rb") as file:
                    text = file.read(MAX_TOKEN_BYTES).decode("ascii", errors="replace").strip()
            except OSError:
                # Removed after the exchange, which is good practice; the credential goes on.
                text = ""
            if text:
                return text
        return self._token

    def _load(self) -> Stored | None:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=Stored)
        except FileNotFoundError:
            return None
        except msgspec.MsgspecError:
            # Replaced atomically by us, so this is a damaged disk: as if there were none.
            return None

    def _save(self, stored: Stored) -> None:
        replace_durably(self._path, msgspec.json.encode(stored))
