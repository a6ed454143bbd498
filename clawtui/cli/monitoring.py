"""The verb `monitoring`: Prometheus, Grafana and cAdvisor for the hub, as a Compose file in a folder of its own."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Final

from clawtui.cli import exits
from clawtui.cli.folder import OutFolder, as_yaml
from clawtui.cli.output import Column
from clawtui.cli.world import Ctx
from hub.contract import CreateToken, MonitoringQuery
from hub.core.model import Role

FILE: Final = "docker-compose.yml"
OURS: Final = {"prometheus", "grafana", "secrets"}
TOKEN: Final = "secrets/hub-token"
PASSWORD: Final = "secrets/grafana-password"
HEADER: Final = """\
# Made by clawtui monitoring. Start it with `docker-compose up -d` (or `docker compose up -d`) in this folder.
# Grafana: http://127.0.0.1:3000, user admin, password in secrets/grafana-password. Prometheus: http://127.0.0.1:9095
"""
PASSWORD_BYTES: Final = 18


async def monitoring(*, out: Path, target: str = "", no_token: bool = False, context: Ctx) -> int:
    """Write a Compose file with Prometheus, Grafana and cAdvisor, and a dashboard of the hub's metrics.

    Args:
        out: The folder to write to; it is made, or must hold an earlier one only. Its secrets are kept.
        target: Where Prometheus finds the hub, e.g. https://hub.example:9091; without it where the hub listens.
        no_token: Prometheus shows no token; enough for a hub on the same machine. Without it a viewer's is made.
    """
    folder = OutFolder(out, HEADER, FILE, OURS)
    folder.check()
    async with context.control() as control:
        made = await control.monitoring(MonitoringQuery(target=target, token=not no_token))
        with folder.writing() as files:
            if not no_token and not (out / TOKEN).exists():
                token = await control.create_token(CreateToken(name="monitoring", role=Role.VIEWER))
                files.secret(TOKEN, token.secret)
            if not (out / PASSWORD).exists():
                files.secret(PASSWORD, secrets.token_urlsafe(PASSWORD_BYTES))
            for name, text in made.files.items():
                files.file(name, text)
            files.main(HEADER + as_yaml(made.compose))
    rows = [(name, str(out / name)) for name in (FILE, *made.files)]
    columns = (Column("FILE", lambda row: row[0]), Column("PATH", lambda row: row[1]))
    context.out.listing(made, columns, rows)
    context.out.say(f"start it: cd {out} && docker-compose up -d")
    return exits.DONE
