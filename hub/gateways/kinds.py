"""What the kinds of OpenClaw images are like, as data: `kinds/*.toml`, one file per kind.

A kind says how a container of it is run and asked: user, port, volumes, paths, environment, command, and how its HTTP
interface wants to be authenticated.
"""

from __future__ import annotations

import enum
import functools
import importlib.resources
import re
from typing import Final

import msgspec

from hub.errors import BadRequest

NPM: Final = "npm"
OFFICIAL: Final = "official"
COOLLABSIO: Final = "coollabsio"

MOST_REFERENCE: Final = 500
_TAG: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_REFERENCE: Final = re.compile(
    r"(?:(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9a-fA-F:]+\])(?::\d{1,5})?/)?"
    r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*"
    r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@sha256:[0-9a-f]{64})?"
)


class ApiAuth(enum.StrEnum):
    """How calls of the API are authenticated: `Authorization: Bearer TOKEN`, or HTTP Basic with user and password."""

    BEARER = "bearer"
    BASIC = "basic"


class KindVolume(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A named volume at `target`; its name is the instance's with `suffix` ("" for the first)."""

    target: str
    suffix: str = ""


class ImageKind(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One kind of image. Paths are absolute and inside the container.

    `repository` without tag; `mirrors` have the same images; `tag`: what is taken when nobody says which. `built`: the
    hub builds it itself, from `version` on. `uid`: whose the files in the volumes are; `user` "" = the image's own.
    `port`: where it listens. `probe_path`, `live_path`: readiness and life. `live_is_evidence`: whether a 200 at
    `live_path` says anything at all. `environment` is set as it is; `token_variable` gets the gateway's token,
    `user_variable` and `password_variable` what HTTP Basic asks for. `needs_one_of`: at least one of these variables
    must be set, or it does not start. `config_read_only`: OPENCLAW_CONFIG_READONLY can be set. `bind`: `gateway.bind`.
    `trusted_proxies`: what `gateway.trustedProxies` must have in any case. `volumes`: the first one has the state.
    """

    name: str
    description: str
    repository: str
    tag: str
    uid: int
    port: int
    home: str
    state_path: str
    config_path: str
    workspace_path: str
    volumes: tuple[KindVolume, ...]
    token_variable: str = "OPENCLAW_GATEWAY_TOKEN"
    mirrors: tuple[str, ...] = ()
    built: bool = False
    version: str = ""
    user: str = ""
    command: tuple[str, ...] = ()
    environment: dict[str, str] = {}
    probe_path: str = "/readyz"
    live_path: str = "/healthz"
    live_is_evidence: bool = True
    auth: ApiAuth = ApiAuth.BEARER
    user_variable: str = ""
    password_variable: str = ""
    default_user: str = ""
    needs_one_of: tuple[str, ...] = ()
    config_read_only: bool = True
    bind: str = "lan"
    trusted_proxies: tuple[str, ...] = ()
    init: bool = True
    capabilities: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def kinds() -> dict[str, ImageKind]:
    """Return all kinds by name."""
    return dict(_kinds())


def find_kind(name: str) -> ImageKind:
    """Raises BadRequest (field image_kind) for a name that no kind has."""
    found = _kinds().get(name)
    if found is None:
        hint = f"One of {', '.join(_kinds())}."
        raise BadRequest(f"there is no image kind {name[:60]!r}", field="image_kind", hint=hint)
    return found


def image_reference(kind: ImageKind, image: str = "", version: str = "") -> str:
    """Return what to pull and to run: `image` as it is, else the kind's repository at `version` or at its own tag.

    For a kind that is `built` and no `image`, `hub.gateways.images` says what is built, and this is not asked.

    Raises:
        BadRequest: with field image or version.
    """
    if image and version:
        raise BadRequest(
            "an image and a version exclude each other", field="version", hint="The image's tag or digest says which."
        )
    if image:
        return check_reference(image)
    if version and _TAG.fullmatch(version) is None:
        raise BadRequest(
            f"{version[:60]!r} is not a version", field="version", hint="A tag, such as 2026.9.6 or latest."
        )
    return f"{kind.repository}:{version or kind.tag}"


def check_reference(image: str) -> str:
    """Return the reference, with the tag latest where it has no tag and no digest. Raises BadRequest (field image)."""
    if len(image) > MOST_REFERENCE or _REFERENCE.fullmatch(image) is None:
        hint = "REPOSITORY:TAG or REPOSITORY@sha256:DIGEST, such as ghcr.io/openclaw/openclaw:2026.9.6."
        raise BadRequest(f"{image[:100]!r} is not the name of an image", field="image", hint=hint)
    return image if "@" in image or ":" in image.rpartition("/")[2] else f"{image}:latest"


def is_pinned(reference: str) -> bool:
    """Whether the image behind the name stays the same: a digest, or a tag that is a version and not moved on."""
    if "@sha256:" in reference:
        return True
    tag = reference.rpartition("/")[2].partition(":")[2]
    return any(character.isdigit() for character in tag)


@functools.cache
def _kinds() -> dict[str, ImageKind]:
    folder = importlib.resources.files("hub.gateways") / "kinds"
    found = [
        msgspec.toml.decode(file.read_bytes(), type=ImageKind)
        for file in folder.iterdir()
        if file.name.endswith(".toml")
    ]
    return {kind.name: kind for kind in sorted(found, key=lambda kind: (not kind.built, kind.name))}
