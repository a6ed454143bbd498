"""PURE: from what a profile says to what a builder gets. The same contents always give the same bytes.

Layers in the order in which they change least: packages, environment, setup tasks one by one, files.
Nothing that a person wrote is ever shell text or Dockerfile syntax here: packages have passed a
pattern, values are quoted, commands are one JSON string each, and files travel beside the Dockerfile,
which never names them. No heredocs: the classic builder of Docker 20.10 does not know them.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from profiles.contents import WORKSPACE, Contents, SetupTask
from profiles.errors import ProfileError

BASE: Final = "openclaw-agent-base"
"""What a custom Dockerfile extends; the exact tag is put in its place."""
PREFIX: Final = "openclaw-agent-"
HASH_LENGTH: Final = 12
PIP_SECRET: Final = "pip-conf"
"""Id under which BuildKit lends pip's configuration to a setup task, without keeping it."""

_RUN_TASK: Final = 'bash -eo pipefail -c "$1" && find /workspace ! -user agent -exec chown -h agent:agent {} +'
"""The command is an argument, never part of this text. What it left in the workspace is the agent's."""
_CLEAN: Final = "rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/apt /var/log/dpkg.log"
_FROM: Final = re.compile(r"FROM\s+(?:--platform=\S+\s+)?(\S+)(?:\s+AS\s+(\S+))?\s*", re.IGNORECASE | re.ASCII)
_OURS: Final = re.compile(rf"{BASE}(?::latest)?")


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """What a builder gets. `titles` name the Dockerfile's instructions, in order, for people.

    `modes`: of files that are not 0644. `arguments` are the profile's build arguments.
    """

    dockerfile: str
    files: dict[str, bytes] = {}
    modes: dict[str, int] = {}
    titles: tuple[str, ...] = ()
    arguments: dict[str, str] = {}


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """Where a profile's image comes from: what the profile says, or a custom Dockerfile in its place.

    `files` are what a custom Dockerfile can COPY.
    """

    profile: str
    contents: Contents = Contents()
    dockerfile: str | None = None
    files: dict[str, bytes] = {}

    def build(self, base: str, *, pip_secret: bool = False) -> Context:
        """Return the build on the image `base`. Raises ProfileError for a Dockerfile that does not extend it."""
        if self.dockerfile is None:
            return render(self.contents, base, pip_secret=pip_secret)
        return extend(self.dockerfile, self.files, self.contents.build_arguments, base)

    def installs(self) -> str:
        """Name what it puts into an image, for people; empty = nothing."""
        if self.dockerfile is not None:
            return "the Dockerfile"
        parts = {
            "packages": self.contents.packages,
            "setup tasks": self.contents.setup_tasks,
            "files": self.contents.files,
        }
        return ", ".join(name for name, part in parts.items() if part)


def image_name(profile: str) -> str:
    """Return the repository of a profile's images."""
    return f"{PREFIX}{profile}"


def render(contents: Contents, base: str, *, pip_secret: bool = False) -> Context:
    """Return the build of a profile on the image `base`.

    `pip_secret`: setup tasks are lent pip's configuration, which only BuildKit can do; the image is
    the same, so the hash is always taken of the build without.
    """
    lines: list[tuple[str, str]] = [(f"FROM {base}", "the base image"), ("USER root", "the user")]
    if contents.packages:
        lines.append((_packages(contents.packages), f"packages: {' '.join(sorted(contents.packages))}"))
    if contents.environment:
        lines.append((_environment(contents.environment), "the environment"))
    for number, task in enumerate(contents.setup_tasks, 1):
        lines.append((_task(task, pip_secret), f'setup task {number} "{task.title}"'))
    if contents.files:
        lines.append((f"COPY --chown=agent:agent files/ {WORKSPACE}/", "the files"))
    lines.append(("USER agent", "the user"))
    prefix = len(WORKSPACE) + 1
    named = {f"files/{file.path[prefix:]}": file for file in contents.files}
    return Context(
        dockerfile="".join(f"{text}\n" for text, _ in lines),
        files={path: file.content for path, file in named.items()},
        modes={path: file.mode for path, file in named.items()},
        titles=tuple(title for _, title in lines),
    )


def extend(dockerfile: str, files: Mapping[str, bytes], arguments: Mapping[str, str], base: str) -> Context:
    """Return the build of a custom Dockerfile, on the image `base`; `files` are what it can COPY.

    Raises:
        ProfileError: its last stage does not extend the base image, or takes the runtime's place.
    """
    lines, titles = _lines(dockerfile), [""]
    known, last = {BASE, f"{BASE}:latest"}, ""
    for start, instruction in instructions(dockerfile):
        word = instruction.split(None, 1)[0].upper()
        if (match := _FROM.fullmatch(instruction)) is not None:
            last = match[1]
            if match[2] and last in known:
                known.add(match[2])
            if _OURS.fullmatch(last):
                at = next(number for number in range(start, len(lines)) if last in lines[number])
                lines[at] = lines[at].replace(last, base, 1)
        elif word == "ENTRYPOINT":
            hint = "The agent's runtime is the first process. Start what you need with a task, or name it in CMD."
            raise ProfileError("dockerfile", f"line {start + 1}: ENTRYPOINT cannot be replaced", hint)
        titles.append(instruction[:120])
    if last not in known:
        hint = f"Its last FROM is to say {BASE}: that image holds the agent's runtime."
        raise ProfileError("dockerfile", f"it does not extend {BASE}", hint)
    text = "".join(f"{line}\n" for line in lines)
    return Context(dockerfile=text, files=dict(files), titles=tuple(titles[1:]), arguments=dict(arguments))


def instructions(dockerfile: str) -> Iterator[tuple[int, str]]:
    """Yield each instruction of a Dockerfile as one line, with the number (from 0) of its first line."""
    start, parts = 0, list[str]()
    for number, line in enumerate(_lines(dockerfile)):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        if not parts:
            start = number
        goes_on = text.endswith("\\")
        if word := text.removesuffix("\\").strip():
            parts.append(word)
        if parts and not goes_on:
            yield start, " ".join(parts)
            parts = []
    if parts:
        yield start, " ".join(parts)


def _lines(dockerfile: str) -> list[str]:
    """As builders cut it: Python knows more characters that end a line, which belong to the text here."""
    return dockerfile.replace("\r\n", "\n").removesuffix("\n").split("\n")


def content_hash(context: Context) -> str:
    """Return what an image's tag is: it changes with anything that gets into the image."""
    digest = hashlib.sha256()

    def add(name: str, content: bytes) -> None:
        digest.update(f"{name}\0{len(content)}\0".encode(errors="surrogateescape"))
        digest.update(content)

    add("Dockerfile", context.dockerfile.encode())
    for name in sorted(context.files):
        add(f"{name}\0{context.modes.get(name, 0o644):o}", context.files[name])
    for name in sorted(context.arguments):
        add(f"--build-arg {name}", context.arguments[name].encode())
    return digest.hexdigest()[:HASH_LENGTH]


def _packages(packages: tuple[str, ...]) -> str:
    names = " ".join(sorted(packages))
    install = f"DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends {names}"
    return f"RUN apt-get update && {install} && {_CLEAN}"


def _environment(environment: Mapping[str, str]) -> str:
    pairs = (f'{name}="{_quoted(value)}"' for name, value in sorted(environment.items()))
    return "ENV " + " \\\n    ".join(pairs)


def _quoted(value: str) -> str:
    """Within double quotes a Dockerfile knows these three characters, and nothing else."""
    return re.sub(r'([\\"$])', r"\\\1", value)


def _task(task: SetupTask, pip_secret: bool) -> str:
    words = json.dumps(["/bin/bash", "-c", _RUN_TASK, "setup", task.command])
    lent = f"--mount=type=secret,id={PIP_SECRET},target=/etc/pip.conf " if pip_secret else ""
    return f"RUN {lent}{words}"
