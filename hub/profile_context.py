"""What a custom Dockerfile can COPY, on its way into the hub's folder of profiles: checked, written, removed.

The files are kept in the folder that is called as the profile; a list beside it tells them from what somebody put
there by hand, which is never removed.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Final

import msgspec

from hub.contract import ProfileText
from hub.errors import BadRequest, Conflict
from profiles.errors import ProfileError
from profiles.image import BASE, extend

MAX_FILES: Final = 1_000
MAX_BYTES: Final = 512 << 10
"""Of all files together. A request's body is 1 MiB at most, and base64 takes a third more."""
MAX_PATH_BYTES: Final = 512
RESERVED: Final = frozenset({"Dockerfile", ".dockerignore"})
"""The builder's own names."""
_BY_HAND: Final = "Put the folder beside the Dockerfile in the hub's folder of profiles by hand."


def context_of(request: ProfileText) -> dict[str, bytes] | None:
    """Return the files by path, None where the request says nothing of a Dockerfile.

    Raises:
        BadRequest: with `field`, for a path, a content or a Dockerfile that cannot be.
    """
    if request.dockerfile is None:
        if request.context:
            hint = "Only a Dockerfile can COPY them."
            raise BadRequest("there are files but no Dockerfile", code="bad_profile", field="context", hint=hint)
        return None
    if len(request.context) > MAX_FILES:
        raise _bad("context", f"{len(request.context)} files are too many", f"At most {MAX_FILES}. {_BY_HAND}")
    files = {_checked(path): _decoded(path, text) for path, text in request.context.items()}
    if (size := sum(map(len, files.values()))) > MAX_BYTES:
        raise _bad("context", f"the files have {size} bytes together", f"At most {MAX_BYTES >> 10} KiB. {_BY_HAND}")
    _check_folders(files)
    try:
        extend(request.dockerfile, files, {}, BASE)
    except ProfileError as exc:
        raise _bad(exc.field or "dockerfile", exc.problems[0].message, exc.hint) from exc
    return files


def _checked(path: str) -> str:
    plain = PurePosixPath(path)
    parts = path.split("/")
    if any(part in ("", ".", "..") for part in parts) or not path.isprintable() or len(path.encode()) > MAX_PATH_BYTES:
        hint = "As in conf/site.conf: below the folder, without .. and without a / at its ends."
        raise _bad(f"context.{path[:60]}", f"{path[:60]!r} is not a path", hint)
    if plain.parts[0] in RESERVED:
        raise _bad(f"context.{path}", f"{plain.parts[0]} is a name of the builder's", "Call it something else.")
    return path


def _decoded(path: str, text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise _bad(f"context.{path[:60]}", "the content is not base64") from exc


def _check_folders(paths: Iterable[str]) -> None:
    known = set(paths)
    for path in known:
        for folder in PurePosixPath(path).parents:
            if str(folder) in known:
                raise _bad(f"context.{folder}", f"{str(folder)!r} is a file and a folder")


def _bad(field: str, message: str, hint: str = "") -> BadRequest:
    return BadRequest(message, code="bad_profile", field=field, hint=hint)


# --- on disk ------------------------------------------------------------------------------------------


def write_context(folder: Path, name: str, files: Mapping[str, bytes]) -> None:
    """Make `folder`/`name` hold these files, in the place of those that an earlier call wrote.

    Raises OSError, and Conflict for a link on the way.
    """
    old = _listed(folder, name)
    _remove(folder / name, old - files.keys())
    if not files:
        _list_path(folder, name).unlink(missing_ok=True)
        return
    # Listed before they are written: what a crash leaves is known to be ours.
    write_file(_list_path(folder, name), msgspec.json.encode(sorted(old | files.keys())))
    for path, content in sorted(files.items()):
        place = folder / name / path
        _check_plain(folder / name, place)
        place.parent.mkdir(parents=True, exist_ok=True)
        write_file(place, content)
    write_file(_list_path(folder, name), msgspec.json.encode(sorted(files)))


def remove_context(folder: Path, name: str) -> None:
    """Remove what `write_context` wrote, and the folders that are empty then. Raises OSError."""
    _remove(folder / name, _listed(folder, name))
    _list_path(folder, name).unlink(missing_ok=True)


def write_file(path: Path, content: bytes) -> None:
    """Write a whole file or nothing. Raises OSError."""
    temporary = path.with_name(f".{path.name}.new")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _list_path(folder: Path, name: str) -> Path:
    return folder / f".{name}.context"


def _listed(folder: Path, name: str) -> set[str]:
    try:
        return set(msgspec.json.decode(_list_path(folder, name).read_bytes(), type=list[str]))
    except FileNotFoundError:
        return set()
    except msgspec.MsgspecError:
        # Not known any more whose they are: they stay.
        return set()


def _remove(root: Path, paths: Iterable[str]) -> None:
    folders = {root}
    for path in paths:
        place = root / path
        place.unlink(missing_ok=True)
        folders |= {root / parent for parent in PurePosixPath(path).parents}
    for empty in sorted(folders, key=lambda one: -len(one.parts)):
        # Somebody's own files may be in it.
        with contextlib.suppress(OSError):
            empty.rmdir()


def _check_plain(root: Path, place: Path) -> None:
    """Nothing is written through a link."""
    for one in (root, *(parent for parent in place.parents if root in parent.parents), place):
        if one.is_symlink():
            raise Conflict(f"{one} is a link", hint="Remove it: files of a profile are not written through links.")
