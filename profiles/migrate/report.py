"""The compatibility report of a migration: what is well, what was adapted, what a person must decide, per area."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from profiles.migrate.model import Area, Finding, Migration, Severity, worst

WORDS: Final[Mapping[Severity, str]] = {
    Severity.OK: "ok",
    Severity.ADAPTED: "adapted",
    Severity.NEEDS_YOU: "needs you",
}
NOTES: Final[Mapping[Area, str]] = {
    Area.PACKAGES: "the same names in Debian 12",
    Area.ENVIRONMENT: "the same",
    Area.FILES: "all below /workspace",
    Area.SETUP_TASKS: "the same, while the image is built",
    Area.SYSTEMD: "none of it used",
    Area.SSH: "not used; clawtui shell and exec reach agents",
    Area.SNAPSHOTS: "clawtui snapshot, another mechanism",
    Area.GPU: "not asked for",
    Area.NESTED: "not asked for",
    Area.RESOURCES: "the same size",
    Area.NETWORK: "the engine's",
}
"""What holds for an area of which there is no finding."""


class Row(msgspec.Struct, frozen=True):
    """One area of the report. `note`: what the worst of its findings did, or what holds without any."""

    area: Area
    verdict: Severity
    note: str
    findings: int


def rows(migration: Migration) -> tuple[Row, ...]:
    """Return a row for every area, in the report's order."""
    found: list[Row] = []
    for area in Area:
        here = [one for one in migration.findings if one.area is area]
        verdict = worst(one.severity for one in here)
        first = next((one.message for one in here if one.severity is verdict), NOTES[area])
        more = sum(one.severity is verdict for one in here) - 1
        found.append(Row(area, verdict, f"{first} (and {more} more)" if more > 0 else first, len(here)))
    return tuple(found)


def as_data(migration: Migration) -> dict[str, object]:
    """Return the report as plain data, for JSON."""
    return {
        "name": migration.name,
        "verdict": migration.verdict.value,
        "unchanged": migration.unchanged,
        "areas": [
            {"area": row.area.value, "verdict": row.verdict.value, "note": row.note, "findings": row.findings}
            for row in rows(migration)
        ],
        "findings": [msgspec.to_builtins(found) for found in migration.findings],
        "sidecars": [msgspec.to_builtins(one) for one in migration.sidecars],
        "files": sorted(files(migration)),
    }


def files(migration: Migration) -> dict[str, bytes]:
    """Return everything that is written, by path relative to the folder; the report is one of them."""
    name = migration.name
    ending = "json" if migration.format == "json" else "yaml"
    found = {f"{name}.{ending}": migration.text.encode()}
    if migration.dockerfile is not None:
        found[f"{name}.Dockerfile"] = migration.dockerfile.encode()
        found |= {f"{name}/{path}": content for path, content in migration.context.items()}
    if migration.compose is not None:
        found[f"{name}.compose.yml"] = migration.compose.encode()
        found |= migration.sidecar_files
    return {**found, f"{name}.report.md": as_markdown(migration).encode()}


def as_markdown(migration: Migration) -> str:
    """Return the report as a page that can be kept. The same migration gives the same bytes."""
    lines = [f"# Migration of {migration.name}", "", _summary(migration), "", "| area | | |", "|---|---|---|"]
    lines += [f"| {row.area.value} | {WORDS[row.verdict]} | {_cell(row.note)} |" for row in rows(migration)]
    for severity in reversed(Severity):
        here = [found for found in migration.findings if found.severity is severity]
        if here:
            lines += ["", f"## {WORDS[severity].capitalize()}", ""]
            lines += [_item(found) for found in here]
    return "\n".join(lines) + "\n"


def _summary(migration: Migration) -> str:
    if migration.unchanged:
        return f"Unchanged: {migration.findings[0].reason}."
    count = sum(found.severity is Severity.NEEDS_YOU for found in migration.findings)
    if count:
        what = "thing needs" if count == 1 else "things need"
        return f"{count} {what} a person's decision before it does what the VM did."
    adapted = migration.verdict is Severity.ADAPTED
    return "Adapted: it does what the VM did, in another way." if adapted else "It works as it is."


def _item(found: Finding) -> str:
    where = f"`{found.field}`: " if found.field else ""
    todo = f" **To do:** {_cell(found.todo)}" if found.todo else ""
    return f"- {where}{_cell(found.message)}. Why: {_cell(found.reason)}.{todo}"


def _cell(text: str) -> str:
    """Text within a table or a list: nothing that a person wrote is markup."""
    for char in "\\`*_<>|[]":
        text = text.replace(char, f"\\{char}")
    return "".join(char if char.isprintable() else " " for char in text)
