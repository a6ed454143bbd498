"""The tiers that instances are provisioned with, as data: `tiers/*.toml`, and a user's own in STATE/tiers/*.toml, which
hide those of the same name.

A file is read strictly: what is not known is a mistake, and every field is told by itself. No limit that is left out is
invented: no `sessions` and no `workspace` mean that there is none.
"""

from __future__ import annotations

import importlib.resources
import tomllib
from collections.abc import Callable, Iterator
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

import msgspec

from hub.contract import ProblemView, TierView
from hub.errors import BadRequest
from hub.gateways.kinds import kinds
from profiles.errors import Problem, ProfileError, Table, entries, shown
from profiles.values import matching, number_between, parse_cpus, parse_flag, parse_name, parse_size, parse_text

FOLDER: Final = "tiers"
MOST_FILE_BYTES: Final = 64 * 1024
MODEL_PATTERN: Final = r"[a-z0-9][a-z0-9._-]{0,63}/[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}"
CHANNEL_PATTERN: Final = r"[a-z0-9][a-z0-9-]{0,39}"
MOST_COST: Final = 1_000_000.0
FIELDS: Final = (
    "description", "cpus", "memory", "image_kind", "model", "sessions", "workspace", "browser", "channels",
    "cost_per_month",
)  # fmt: skip


class Tier(msgspec.Struct, frozen=True, kw_only=True):
    """What an instance gets. `cpus` in cores, sizes in bytes, `cost_per_month` in US dollars. `model`: of its personas.
    `sessions`: turns that run at the same time, None = as many as OpenClaw takes. `channels`: those that its
    configuration may have."""

    name: str
    description: str = ""
    cpus: float
    memory_bytes: int
    image_kind: str
    model: str = ""
    sessions: int | None = None
    workspace_bytes: int | None = None
    browser: bool = False
    channels: tuple[str, ...] = ()
    cost_per_month: float = 0.0


class FoundTier(msgspec.Struct, frozen=True, kw_only=True):
    """A tier's file. `tier` is None when something of it is wrong; `source` is `built-in` or `user`."""

    name: str
    source: str
    path: str = ""
    tier: Tier | None = None
    problems: tuple[Problem, ...] = ()

    def view(self) -> TierView:
        problems = [ProblemView(field=one.field, message=one.message, hint=one.hint) for one in self.problems]
        tier = self.tier
        if tier is None:
            return TierView(name=self.name, source=self.source, valid=False, path=self.path, problems=problems)
        return TierView(
            name=self.name,
            source=self.source,
            valid=True,
            description=tier.description,
            cpus=tier.cpus,
            memory_bytes=tier.memory_bytes,
            image_kind=tier.image_kind,
            model=tier.model,
            sessions=tier.sessions,
            workspace_bytes=tier.workspace_bytes,
            browser=tier.browser,
            channels=list(tier.channels),
            cost_per_month=tier.cost_per_month,
            path=self.path,
        )


class TierShelf:
    """Reads tiers anew each time: a file that was changed is in force at once. Blocks."""

    def __init__(self, state_folder: Path) -> None:
        self.folder = state_folder / FOLDER

    def all(self) -> list[FoundTier]:
        """Return every tier, right and wrong ones, the cheapest first; a user's hides a built-in one."""
        found = {one.name: one for one in (*_built_in(), *self._users())}
        return sorted(found.values(), key=lambda one: (one.tier is None, one.tier.cost_per_month if one.tier else 0.0))

    def usable(self, name: str) -> Tier:
        """Raises BadRequest (field tier): there is none of this name, or it is wrong."""
        known = {one.name: one for one in self.all()}
        found = known.get(name)
        if found is None:
            hint = f"One of {', '.join(known)}; your own are files in {self.folder}."
            raise BadRequest(f"there is no tier {name[:60]!r}", field="tier", code="unknown_tier", hint=hint)
        if found.tier is None:
            raise BadRequest(
                f"the tier {name} is wrong: {'; '.join(map(str, found.problems))}",
                field="tier",
                code="tier_wrong",
                hint=f"Mend {found.path}; clawtui gateway tiers shows every mistake.",
            )
        return found.tier

    def _users(self) -> Iterator[FoundTier]:
        try:
            paths = sorted(path for path in self.folder.iterdir() if path.suffix == ".toml" and path.is_file())
        except FileNotFoundError:
            return
        except OSError as exc:
            why = Problem("", f"{self.folder} cannot be read: {exc.strerror}")
            yield FoundTier(name=FOLDER, source="user", path=str(self.folder), problems=(why,))
            return
        for path in paths:
            yield _read(path, path.stem, "user", str(path))


def parse_tier(name: str, raw: object) -> Tier:
    """Return what a tier's file means. Raises ProfileError with every mistake."""
    table = Table("", raw, FIELDS)
    image_kinds = tuple(kinds())
    tier = Tier(
        name=table_name(name, table),
        description=table.get("description", parse_text, ""),
        cpus=table.required("cpus", parse_cpus, 1.0),
        memory_bytes=table.required("memory", parse_size, 0),
        image_kind=table.get("image_kind", _one_of(image_kinds), image_kinds[0]),
        model=table.get("model", matching(MODEL_PATTERN, "a model", "PROVIDER/MODEL."), ""),
        sessions=table.get("sessions", number_between(1, 10_000), None),
        workspace_bytes=table.get("workspace", parse_size, None),
        browser=table.get("browser", parse_flag, False),
        channels=table.get("channels", entries(matching(CHANNEL_PATTERN, "a channel", "Such as telegram."), 50), ()),
        cost_per_month=table.get("cost_per_month", _cost, 0.0),
    )
    table.check()
    return tier


def table_name(name: str, table: Table) -> str:
    """Return the tier's name, which is its file's; what is wrong with it is a mistake of the table."""
    try:
        return parse_name("name", name)
    except ProfileError as exc:
        table.problems += exc.problems
        return name


def _one_of(known: tuple[str, ...]) -> Callable[[str, object], str]:
    def parse(field: str, value: object) -> str:
        if not isinstance(value, str) or value not in known:
            raise ProfileError(field, f"{shown(value)} is no image kind", f"One of {', '.join(known)}.")
        return value

    return parse


def _cost(field: str, value: object) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value <= MOST_COST:
        raise ProfileError(field, f"{shown(value)} is not a price", "US dollars per month, such as 7 or 0.5.")
    return float(value)


def _built_in() -> Iterator[FoundTier]:
    folder = importlib.resources.files("hub.gateways") / FOLDER
    for file in folder.iterdir():
        if file.name.endswith(".toml"):
            yield _read(file, file.name.removesuffix(".toml"), "built-in", "")


def _read(file: Traversable, name: str, source: str, path: str) -> FoundTier:
    try:
        with file.open("rb") as stream:
            raw = stream.read(MOST_FILE_BYTES + 1)
        if len(raw) > MOST_FILE_BYTES:
            raise ProfileError("", f"the file is larger than {MOST_FILE_BYTES // 1024} KiB")
        return FoundTier(name=name, source=source, path=path, tier=parse_tier(name, tomllib.loads(raw.decode())))
    except ProfileError as exc:
        problems = exc.problems
    except OSError as exc:
        problems = (Problem("", f"the file cannot be read: {exc.strerror}"),)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        problems = (Problem("", f"the file is no TOML: {exc}"[:300]),)
    return FoundTier(name=name, source=source, path=path, problems=problems)
