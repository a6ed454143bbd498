"""A real OpenClaw gateway in a process of its own, quiet and on loopback, which tests start, ask and kill."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import secrets
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import msgspec
import psutil

from tests.end_to_end.harness import eventually
from tests.openclaw.installation import CURRENT, node, program
from tests.openclaw.stub_model import MODELS

READY_SECONDS: Final = 120.0
"""Seven seconds on an idle machine; a test's machine may be busy with others."""
STOP_SECONDS: Final = 20.0
VALIDATE_SECONDS: Final = 60.0
RELOAD_LINE: Final = re.compile(r"\[reload\][^\n]*")


class RealGateway:
    """One gateway with a home, state, config and log of its own below `folder`.

    The config is whatever stands at `config_path`; `write_config` writes what a person who uses the stub model would
    have, without any agent. `token` is passed by the environment and is in no file but `token_file`.
    """

    def __init__(self, folder: Path, version: str = CURRENT) -> None:
        self.folder = folder
        self.version = version
        self.port = free_port()
        self.token = secrets.token_hex(16)
        self.config_path = folder / "config" / "openclaw.json"
        self.token_file = folder / "gateway-token"
        self._process: subprocess.Popen[bytes] | None = None
        self.config_path.parent.mkdir(parents=True)
        self.token_file.write_text(self.token)
        self.token_file.chmod(0o600)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def output(self) -> str:
        """What all processes of this gateway have printed."""
        path = self.folder / "gateway.out"
        return path.read_text(errors="replace") if path.exists() else ""

    def reloads(self) -> list[str]:
        """What was said about changes of the config, oldest first."""
        return RELOAD_LINE.findall(self.output)

    def write_config(self, model_url: str, *, agents: dict[str, Any] | None = None) -> None:
        """A config with the stub as the only provider; `agents` where the test wants a roster of its own."""
        config = base_config(self.version, model_url, self.folder / "gateway.log", agents)
        self.config_path.write_bytes(msgspec.json.format(msgspec.json.encode(config), indent=2))

    async def start(self, *, seconds: float = READY_SECONDS) -> None:
        """Start and wait until it says that it is ready."""
        self.launch()
        await eventually(self._ready, seconds=seconds, what=f"OpenClaw {self.version} is ready")

    def launch(self) -> None:
        """Start and do not wait."""
        assert self._process is None
        command = ["gateway", "run", "--port", str(self.port), "--bind", "loopback"]
        with (self.folder / "gateway.out").open("ab") as out:
            self._process = subprocess.Popen(
                self._command(*command), env=self._environment(), stdin=subprocess.DEVNULL, stdout=out, stderr=out
            )

    async def stop(self) -> int:
        """SIGTERM, then SIGKILL where that is not enough; nothing that it started is left. Returns the exit code."""
        return await asyncio.to_thread(self._end, signal.SIGTERM)

    async def kill(self) -> None:
        """SIGKILL to it and what it started, as a power cut."""
        await asyncio.to_thread(self._end, signal.SIGKILL)

    def _end(self, number: signal.Signals) -> int:
        process, self._process = self._process, None
        if process is None:
            return 0
        with contextlib.suppress(psutil.NoSuchProcess):
            family = psutil.Process(process.pid).children(recursive=True)
            process.send_signal(number)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
            for one in family:
                with contextlib.suppress(psutil.NoSuchProcess):
                    one.kill()
            psutil.wait_procs(family, timeout=STOP_SECONDS)
        return process.wait(STOP_SECONDS)

    async def validate(self) -> dict[str, Any]:
        """What `openclaw config validate --json` says of the config file."""
        return await asyncio.to_thread(self._validate)

    def _validate(self) -> dict[str, Any]:
        ran = subprocess.run(
            self._command("config", "validate", "--json"),
            env=self._environment(),
            capture_output=True,
            timeout=VALIDATE_SECONDS,
            check=False,
        )
        assert ran.stdout.strip(), ran.stderr.decode(errors="replace")
        return msgspec.json.decode(ran.stdout[ran.stdout.index(b"{") :])

    async def roster(self) -> set[str]:
        """The slugs it answers for."""
        async with self.client() as client:
            answer = await client.get("/v1/models")
        assert answer.status_code == 200, answer.text
        names = [model["id"] for model in answer.json()["data"]]
        return {name.removeprefix("openclaw/") for name in names} - {"openclaw", "default"}

    async def ask(self, slug: str, text: str, session: str = "test") -> tuple[int, str]:
        """One message without streaming; the HTTP status and the text of the answer or of the error."""
        headers = {"x-openclaw-session-key": f"agent:{slug}:{session}"}
        async with self.client() as client:
            answer = await client.post(
                "/v1/responses", json={"model": f"openclaw:{slug}", "input": text}, headers=headers
            )
        body = answer.json()
        if error := body.get("error"):
            return answer.status_code, error["message"]
        parts = [part["text"] for one in body["output"] if one["type"] == "message" for part in one["content"]]
        return answer.status_code, "".join(parts)

    def client(self) -> httpx.AsyncClient:
        headers = {"Authorization": f"Bearer {self.token}"}
        return httpx.AsyncClient(base_url=self.url, headers=headers, timeout=120, trust_env=False, verify=False)

    async def _ready(self) -> bool:
        assert self._process is not None
        if (code := self._process.poll()) is not None:
            raise AssertionError(f"OpenClaw {self.version} ended with {code}:\n{self.output[-3000:]}")
        try:
            async with self.client() as client:
                answer = await client.get("/readyz", timeout=5)
            # A path that a version does not know answers 200 with a web page.
            return answer.status_code == 200 and answer.json().get("ready") is True
        except (httpx.HTTPError, ValueError):
            return False

    def _command(self, *arguments: str) -> list[str]:
        return [str(node()), str(program(self.version)), *arguments]

    def _environment(self) -> dict[str, str]:
        """Nothing of the machine's own OpenClaw is seen, and the gateway writes its config never."""
        home = self.folder / "home"
        home.mkdir(exist_ok=True)
        return {
            "PATH": f"{Path(str(node())).parent}:{os.defpath}",
            "HOME": str(home),
            "TMPDIR": str(home),
            "LANG": "C.UTF-8",
            "OPENCLAW_CONFIG_PATH": str(self.config_path),
            "OPENCLAW_STATE_DIR": str(self.folder / "state"),
            "OPENCLAW_GATEWAY_TOKEN": self.token,
            "OPENCLAW_CONFIG_READONLY": "1",
        }


def base_config(version: str, model_url: str, log: Path, agents: dict[str, Any] | None = None) -> dict[str, Any]:
    """What a person's config has beside the roster: no update check, telemetry, mDNS, catalogue or heartbeat."""
    models = [
        {"id": one, "name": one, "input": ["text"], "contextWindow": 128_000, "maxTokens": 4096} for one in MODELS
    ]
    provider = {"baseUrl": model_url, "apiKey": "stub", "api": "openai-completions", "models": models}
    config: dict[str, Any] = {
        "gateway": {
            "mode": "local",
            "bind": "loopback",
            "auth": {"mode": "token"},
            "reload": {"mode": "hybrid"},
            "http": {"endpoints": {"responses": {"enabled": True}}},
        },
        "agents": {"defaults": {"model": f"stub/{MODELS[0]}", "heartbeat": {"every": "0m"}}, **(agents or {})},
        "update": {"checkOnStart": False},
        "discovery": {"mdns": {"mode": "off"}},
        "logging": {"file": str(log)},
        "models": {"mode": "replace", "providers": {"stub": provider}},
    }
    if version >= "2026.8":
        # Unknown to the older one, and an unknown key is an error.
        config["telemetry"] = {"enabled": False}
        config["models"]["catalogRefresh"] = {"enabled": False}
    return config


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@contextlib.contextmanager
def ended(gateway: RealGateway) -> Iterator[RealGateway]:
    """End the gateway with the test, however it went."""
    try:
        yield gateway
    finally:
        gateway._end(signal.SIGTERM)
