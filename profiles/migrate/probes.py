"""What can be looked at in an agent of the new profile, to prove that it got everything that the VM had."""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from profiles.migrate.databases import BY_NAME
from profiles.migrate.draft import Draft, Program, Task
from profiles.migrate.model import Probe, ProbeKind
from profiles.migrate.paths import AGENT_HOME
from profiles.migrate.shell import Call, call_of, split

VERSIONS: Final = {
    "build-essential": "gcc --version && make --version", "git": "git --version", "curl": "curl --version",
    "wget": "wget --version", "jq": "jq --version", "python3": "python3 --version", "python3-pip": "pip3 --version",
    "nginx": "nginx -v", "apache2": "apache2 -v", "make": "make --version", "cmake": "cmake --version",
    "gcc": "gcc --version", "g++": "g++ --version", "ffmpeg": "ffmpeg -version", "rsync": "rsync --version",
    "postgresql-client": "psql --version", "default-mysql-client": "mysql --version",
    "redis-tools": "redis-cli --version", "sqlite3": "sqlite3 --version",
    "tmux": "tmux -V", "vim": "vim --version", "unzip": "unzip -v", "zip": "zip -v",
    "golang-go": "go version", "ruby-full": "ruby --version", "default-jdk": "javac -version", "maven": "mvn -version",
    "openjdk-17-jdk": "javac -version", "php-cli": "php --version", "supervisor": "supervisord --version",
    "caddy": "caddy version", "haproxy": "haproxy -v", "lighttpd": "lighttpd -v", "ansible": "ansible --version",
    "openssh-client": "ssh -V", "shellcheck": "shellcheck --version", "tree": "tree --version",
    "htop": "htop --version",
}  # fmt: skip
"""How a package's program says which version it is."""
_PIP_NAME: Final = re.compile(r"[\[=<>~!]")
_WAIT: Final = "for _ in $(seq 60); do {test} && exit 0; sleep 0.5; done; exit 1"


def probes_of(draft: Draft) -> tuple[Probe, ...]:
    return (
        *_packages(draft),
        *_tasks(draft),
        *_files(draft),
        *_environment(draft),
        *_programs(draft),
        *_servers(draft),
    )


def _packages(draft: Draft) -> Iterator[Probe]:
    for package, field in draft.packages.items():
        name = package.partition("=")[0]
        version = VERSIONS.get(name)
        command = version or f"dpkg-query -W -f='${{Status}}' {name} | grep -q 'ok installed'"
        yield Probe(kind=ProbeKind.PACKAGE, subject=package, command=command, field=field, compare=version is not None)


def _tasks(draft: Draft) -> Iterator[Probe]:
    for task in draft.tasks:
        if task.field:
            command = _effect(task)
            yield Probe(kind=ProbeKind.TASK, subject=task.title, command=command, field=f"{task.field}.command")


def _effect(task: Task) -> str:
    """Shell text that sees what a task did; empty when it left nothing that can be named."""
    seen: list[str] = []
    folder = ""
    for unit in split(task.command) or ():
        call = _inner(call_of(unit.pieces[0]))
        if len(unit.pieces) > 1 or re.search(r"[$`*?{]", unit.text) or call.user not in ("", "root", "agent"):
            continue
        if call.name == "cd" and call.plain():
            folder = f"cd {_place(call.plain()[0])}"
        elif found := _seen(call):
            seen += [folder, *found] if folder else found
            folder = ""
    return " && ".join(dict.fromkeys(seen))


def _inner(call: Call) -> Call:
    """What `env HOME=… program` runs."""
    words = call.words
    while words and (words[0] == "env" or re.match(r"\w+=", words[0])):
        words = words[1:]
    return msgspec.structs.replace(call, words=words)


def _seen(call: Call) -> list[str]:
    words = list(call.plain())
    to_file = re.search(r"(?<![\d&>])>>?\s*([/\w.~-]+)\s*$", call.text)
    if to_file and not to_file[1].startswith(("/dev/", "/tmp/", "~")):
        return [f"test -e {shlex.quote(to_file[1])}"]
    if call.name == "npm" and words[:1] in (["install"], ["i"]) and {"-g", "--global"} & set(call.rest):
        named = [word for word in words[1:] if re.fullmatch(r"(@[\w.-]+/)?[\w.-]+(@[\w.^~-]+)?", word)]
        return [f"npm ls -g --depth=0 {shlex.quote(_without_version(word))}" for word in named]
    if call.name in ("pip", "pip3") and words[:1] == ["install"] and call.words[0] == call.name:
        named = [word for word in words[1:] if re.fullmatch(r"[A-Za-z0-9._-]+(\[[\w,-]+\])?([=<>~!].*)?", word)]
        listed = any(word.startswith(("-r", "-e", "--requirement", "--target", "--user")) for word in call.rest)
        return [] if listed else [f"pip3 show -q {_PIP_NAME.split(word)[0]}" for word in named]
    return _made(call, words) or _fetched(call, words)


def _made(call: Call, words: Sequence[str]) -> list[str]:
    """Of commands that make or remove what has a name."""
    places = [_place(word) for word in words if not re.fullmatch(r"[0-7]{3,4}|[ugoa]*[+=-].*", word)]
    if call.name == "mkdir":
        return [f"test -d {place}" for place in places]
    if call.name == "touch":
        return [f"test -e {place}" for place in places if not place.startswith("/tmp/")]
    if call.name == "ln" and len(places) == 2 and not places[1].endswith("/"):
        return [f"test -L {places[1]}"]
    if call.name == "rm":
        return [f"test ! -e {place}" for place in places]
    if call.name == "cp" and len(places) == 2:
        return [f"test -e {places[1]}"]
    if call.name == "useradd":
        return [f"id {places[-1]}"] if places else []
    if call.name == "chmod" and "+x" in call.rest:
        return [f"test -x {place}" for place in places]
    return []


def _fetched(call: Call, words: Sequence[str]) -> list[str]:
    if call.name == "git" and words[:1] == ["clone"] and not {"-b", "--branch", "--depth"} & set(call.rest):
        folder = words[2] if len(words) > 2 else words[-1].rsplit("/", 1)[-1].removesuffix(".git")
        return [f"test -d {_place(folder)}/.git"]
    if call.name in ("curl", "wget"):
        flag = "-o" if call.name == "curl" else "-O"
        places = [call.words[at + 1] for at, word in enumerate(call.words[:-1]) if word == flag]
        return [f"test -s {_place(place)}" for place in places if not place.startswith(("-", "/dev/", "/tmp/"))]
    if call.name == "gem" and words[:1] == ["install"]:
        return [f"gem list -i {shlex.quote(f'^{word}$')}" for word in words[1:]]
    return []


def _place(path: str) -> str:
    """A path as one word; the home folder is named, because nothing within quotes is expanded."""
    return shlex.quote(AGENT_HOME + path[1:] if path == "~" or path.startswith("~/") else path)


def _without_version(package: str) -> str:
    at = package.find("@", 1)
    return package if at < 0 else package[:at]


def _files(draft: Draft) -> Iterator[Probe]:
    for file in draft.files:
        digest = hashlib.sha256(file.content).hexdigest()
        command = f"echo {shlex.quote(f'{digest}  {file.path}')} | sha256sum --check --status"
        if file.path in draft.used:
            # A task may have changed it, as it did in the VM.
            command = f"test -f {shlex.quote(file.path)}"
        yield Probe(kind=ProbeKind.FILE, subject=file.path, command=command, field=draft.file_fields.get(file.path, ""))
    for old, new in draft.links.items():
        command = f'test "$(readlink -f {shlex.quote(old)})" = {shlex.quote(new)}'
        yield Probe(kind=ProbeKind.FILE, subject=old, command=command, field=draft.file_fields.get(new, ""))


def _environment(draft: Draft) -> Iterator[Probe]:
    for name, value in draft.environment.items():
        # By its hash: a probe is printed and kept, and the value may be a password.
        digest = hashlib.sha256(value.encode()).hexdigest()
        command = f"printf %s \"${name}\" | sha256sum | grep -q '^{digest}'"
        yield Probe(kind=ProbeKind.ENVIRONMENT, subject=name, command=command, field=f"environment.{name}")


def _programs(draft: Draft) -> Iterator[Probe]:
    for program in draft.programs:
        for port in program.ports:
            test = f"(exec 3<>/dev/tcp/127.0.0.1/{port}) 2>/dev/null"
            command = f"bash -c {shlex.quote(_WAIT.format(test=test))}"
            yield Probe(kind=ProbeKind.SERVICE, subject=f"{program.name}:{port}", command=command, field=program.field)
        if not program.ports:
            command = f"bash -c {shlex.quote(_WAIT.format(test=_runs(program)))}"
            yield Probe(kind=ProbeKind.SERVICE, subject=program.name, command=command, field=program.field)


def _runs(program: Program) -> str:
    """A process that has the program's words: those of the task that looks do not begin with it."""
    words = list(program.argv)
    if words[:2] == ["/bin/bash", "-ec"]:
        words = words[2].rsplit("exec ", 1)[-1].split()
    while words and (words[0] == "env" or re.match(r"\w+=", words[0])):
        words = words[3:] if words[:2] == ["env", "-C"] else words[1:]
    name = (words or ["?"])[0].rsplit("/", 1)[-1]
    pattern = re.sub(r"([\\.+*?()|\[\]{}^$])", r"\\\1", " ".join([name, *words[1:2]]))
    return f"pgrep -f {shlex.quote('[' + pattern[:1] + ']' + pattern[1:])} >/dev/null"


def _servers(draft: Draft) -> Iterator[Probe]:
    for beside in draft.beside.values():
        port = BY_NAME[beside.family].port
        test = f"(exec 3<>/dev/tcp/{beside.family}/{port}) 2>/dev/null"
        command = f"bash -c {shlex.quote(_WAIT.format(test=test))}"
        subject = f"{beside.family}:{port}"
        yield Probe(kind=ProbeKind.SERVICE, subject=subject, command=command, field=beside.field, sidecar=beside.family)
