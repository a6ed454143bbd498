"""The model map: from what a source calls a model to what a gateway calls it. Data: models.toml, and users' files."""

from __future__ import annotations

import importlib.resources
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Final, cast

from profiles.sync.errors import SyncError

MAX_BYTES: Final = 1 << 20
_TARGET: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(?:/[A-Za-z0-9][A-Za-z0-9._:@+-]*)+\Z")
_FORM: Final = '[models], then lines like "gpt-4o" = "openai/gpt-4o".'


def load_models(overlay: Path | None = None) -> Mapping[str, str]:
    """Return the whole map: what is built in, and over it the file `overlay`. Blocks. Raises SyncError.

    What a gateway calls a model is in it too, as itself: a source may use that name.
    """
    built_in = importlib.resources.files("profiles").joinpath("sync/models.toml").read_text()
    return with_overlay(parse_models(built_in, "models.toml"), _overlay(overlay) if overlay else {})


def with_overlay(models: Mapping[str, str], overlay: Mapping[str, str]) -> Mapping[str, str]:
    """Return both; a name that the overlay leaves empty is known no more."""
    chosen = {name: target for name, target in {**models, **overlay}.items() if target}
    itself = {target: target for target in chosen.values() if overlay.get(target) != ""}
    return {**itself, **chosen}


def parse_models(text: str, where: str) -> Mapping[str, str]:
    """Return the map of one file; `where` names it in errors. Raises SyncError."""
    try:
        data: dict[str, object] = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as exc:
        raise _wrong(where, f"is no valid TOML: {exc}") from exc
    if unknown := sorted(data.keys() - {"models"}):
        raise _wrong(where, f"has {', '.join(unknown[:5])}, and only [models] is known")
    models = data.get("models", {})
    if not isinstance(models, dict):
        raise _wrong(where, "has a `models` that is no table")
    for name, target in cast("dict[str, object]", models).items():
        if not isinstance(target, str) or (target and not _TARGET.match(target)):
            raise _wrong(where, f"has {str(target)[:60]!r} for {name[:60]!r}, which is not like provider/model")
    return cast("dict[str, str]", models)


def _overlay(path: Path) -> Mapping[str, str]:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as exc:
        hint = "Correct the path in the gateway's setting modelsFile, or leave it empty."
        raise SyncError(f"the model map {path} cannot be read: {exc.strerror}", hint, field="modelsFile") from exc
    if len(content) > MAX_BYTES:
        raise _wrong(str(path), f"is larger than {MAX_BYTES >> 20} MiB")
    try:
        return parse_models(content.decode(), str(path))
    except UnicodeDecodeError as exc:
        raise _wrong(str(path), f"is not UTF-8 text (byte {exc.start})") from exc


def _wrong(where: str, message: str) -> SyncError:
    return SyncError(f"the model map {where} {message}", f"Write {_FORM}", field="modelsFile")
