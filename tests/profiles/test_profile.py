"""Whole profiles: what they may say, and that every mistake of a file is told, by its path."""

from __future__ import annotations

from typing import Any

import pytest

from profiles.contents import File, SetupTask
from profiles.errors import ProfileError
from profiles.model import FIELDS, parse_profile
from profiles.parts import Gpu, Health, Limits, Logging, Secret, SecretSource, Security, Tmpfs, Ulimit, Volume
from profiles.persona import Persona, Skill

FULL: dict[str, Any] = {
    "name": "builder",
    "description": "Builds things",
    "resources": {"cpus": "4", "memory": "8g", "disk": "30g"},
    "capabilities": ["git"],
    "labels": {"team": "a"},
    "environment": {"CI": "true"},
    "sudo": True,
    "concurrency": 2,
    "restart": "always",
    "network": "isolated",
    "volumes": ["cache:/workspace/cache", {"source": "/srv/data", "target": "/data/", "read_only": True}, "v:/v:ro"],
    "security": {
        "cap_add": ["CAP_NET_BIND_SERVICE", "sys_time"],
        "read_only": True,
        "tmpfs": ["/tmp", "/run:size=10m", {"path": "/scratch", "size": "1g"}],
        "apparmor": "docker-default",
        "selinux": ["type:container_runtime_t"],
    },
    "limits": {
        "pids": 100,
        "ulimits": {"nofile": {"soft": 1024, "hard": 4096}, "core": 0, "memlock": -1},
        "cpu_shares": 512,
        "cpuset": "0-1,3",
        "memory_swap": -1,
        "memory_reservation": "2g",
        "shm_size": "128m",
    },
    "health": {"interval": "30s", "timeout": 5, "start_period": "1m", "retries": 3},
    "gpu": "all",
    "logging": {"driver": "json-file", "options": {"max-size": "1m"}},
    "stop_grace": "1m",
    "secrets": {"TOKEN": "env://MY_TOKEN", "KEY": "file:///run/keys/deploy key"},
    "packages": ["git", "python3:amd64=3.11.2-1+b1", "git"],
    "files": [
        {"path": "notes.txt", "content": "hi"},
        {"path": "/workspace/a/b", "content": "AAE=", "encoding": "base64", "mode": "0700"},
    ],
    "setup_tasks": [{"type": "exec", "command": "true", "description": "Nothing"}, {"command": "\nmake all\n"}],
    "build_args": {"VERSION": "1"},
    "persona": {"role": "Builder", "model": "gpt-4o", "skills": ["triage", {"slug": "ci", "body": "Look at it."}]},
}  # fmt: skip


def test_everything_at_once() -> None:
    assert set(FULL) == set(FIELDS)
    profile = parse_profile(FULL, "builder")
    machine, contents = profile.machine, profile.contents
    assert (profile.name, profile.description) == ("builder", "Builds things")
    skills = (Skill(slug="triage", name="triage"), Skill(slug="ci", name="ci", body="Look at it."))
    assert profile.persona == Persona(slug="builder", name="builder", role="Builder", model="gpt-4o", skills=skills)
    assert (machine.resources.cpus, machine.resources.memory_bytes) == (4.0, 8 << 30)
    assert machine.volumes == (
        Volume(source="cache", target="/workspace/cache"),
        Volume(source="/srv/data", target="/data", read_only=True),
        Volume(source="v", target="/v", read_only=True),
    )
    assert machine.security == Security(
        cap_add=("NET_BIND_SERVICE", "SYS_TIME"),
        read_only=True,
        tmpfs=(Tmpfs("/tmp"), Tmpfs("/run", 10 << 20), Tmpfs("/scratch", 1 << 30)),
        apparmor="docker-default",
        selinux=("type:container_runtime_t",),
    )
    assert machine.limits == Limits(
        pids=100,
        ulimits={"nofile": Ulimit(1024, 4096), "core": Ulimit(0, 0), "memlock": Ulimit(-1, -1)},
        cpu_shares=512,
        cpuset="0-1,3",
        memory_swap_bytes=-1,
        memory_reservation_bytes=2 << 30,
        shm_size_bytes=128 << 20,
    )
    assert machine.health == Health(interval_seconds=30, timeout_seconds=5, start_period_seconds=60, retries=3)
    assert (machine.gpu, machine.network, machine.sudo) == (Gpu(count=-1), "isolated", True)
    assert machine.logging == Logging(driver="json-file", options={"max-size": "1m"})
    assert machine.stop_grace_seconds == 60
    assert machine.secrets == {
        "TOKEN": Secret(SecretSource.ENVIRONMENT, "MY_TOKEN"),
        "KEY": Secret(SecretSource.FILE, "/run/keys/deploy key"),
    }
    assert str(machine.secrets["TOKEN"]) == "env://MY_TOKEN"
    assert contents.packages == ("git", "python3:amd64=3.11.2-1+b1")
    assert contents.setup_tasks == (SetupTask("true", "Nothing"), SetupTask("\nmake all\n"))
    assert [task.title for task in contents.setup_tasks] == ["Nothing", "make all"]
    assert contents.files == (File("/workspace/notes.txt", b"hi"), File("/workspace/a/b", b"\0\1", 0o700))
    assert (contents.environment, contents.build_arguments) == ({"CI": "true"}, {"VERSION": "1"})


def test_the_documented_profile_is_one() -> None:
    documented = {
        "name": "builder",
        "resources": {"cpus": "4", "memory": "8g", "disk": "30g"},
        "packages": ["git", "build-essential"],
        "setup_tasks": [{"type": "exec", "command": "npm install -g yarn", "description": "Install yarn"}],
    }
    assert parse_profile(documented).contents.setup_tasks == (SetupTask("npm install -g yarn", "Install yarn"),)


def test_all_mistakes_are_told_at_once() -> None:
    wrong = {
        "name": "other",
        "resorces": {},
        "resources": {"cpus": "many", "memory": "4X"},
        "packages": ["git", "a b", "-x"],
        "setup_tasks": [{"type": "script"}],
        "files": [{"path": "/etc/passwd", "content": 5}],
        "restart": False,
        "limits": {"ulimits": {"nofiles": 5}},
    }
    with pytest.raises(ProfileError) as caught:
        parse_profile(wrong, "builder")
    assert {problem.field for problem in caught.value.problems} == {
        "name", "resorces", "resources.cpus", "resources.memory", "packages[1]", "packages[2]", "setup_tasks[0].type",
        "setup_tasks[0].command", "files[0].path", "files[0].content", "restart", "limits.ulimits.nofiles",
    }  # fmt: skip
    assert str(caught.value).count(";") == 11
    assert "'nofiles' is not a limit" in str(caught.value)


@pytest.mark.parametrize(
    ("raw", "field", "hint"),
    [
        ({}, "name", ""),
        ({"name": "x", "description": "two\nlines"}, "description", "200"),
        ({"name": "x", "packages": ["git-"]}, "packages[0]", "apt-cache"),
        ({"name": "x", "packages": ["--force-yes"]}, "packages[0]", "Debian"),
        ({"name": "x", "packages": "git"}, "packages", "list"),
        ({"name": "x", "setup_tasks": [{"command": " \n"}]}, "setup_tasks[0].command", "shell"),
        ({"name": "x", "setup_tasks": [{"command": "a\0"}]}, "setup_tasks[0].command", ""),
        ({"name": "x", "setup_tasks": [{"command": "x" * 4001}]}, "setup_tasks[0].command", "file"),
        ({"name": "x", "setup_tasks": ["true"]}, "setup_tasks[0]", "names with values"),
        ({"name": "x", "files": [{"path": "../x", "content": ""}]}, "files[0].path", ".."),
        ({"name": "x", "files": [{"path": "/workspace", "content": ""}]}, "files[0].path", "/workspace"),
        ({"name": "x", "files": [{"path": "/workspace/../etc/x", "content": ""}]}, "files[0].path", ".."),
        ({"name": "x", "files": [{"path": "/opt/clawtui/x", "content": ""}]}, "files[0].path", "/workspace"),
        ({"name": "x", "files": [{"path": "a", "content": ""}, {"path": "a", "content": ""}]}, "files[1].path", ""),
        ({"name": "x", "files": [{"path": "a", "content": ""}, {"path": "a/b", "content": ""}]}, "files[0].path", ""),
        ({"name": "x", "files": [{"path": "a", "content": "%", "encoding": "base64"}]}, "files[0].content", ""),
        ({"name": "x", "files": [{"path": "a", "content": "", "mode": 493}]}, "files[0].mode", "quotes"),
        ({"name": "x", "files": [{"path": "a", "content": "x" * (2 << 20)}]}, "files[0].content", ""),
        ({"name": "x", "environment": {"A": "x" * (17 << 10)}}, "environment.A", "file"),
        ({"name": "x", "environment": {f"A{n}": "x" * (15 << 10) for n in range(5)}}, "environment", "file"),
        ({"name": "x", "environment": {"A": "a\nb"}}, "environment.A", "file"),
        ({"name": "x", "environment": {"A": 1}}, "environment.A", "quotes"),
        ({"name": "x", "volumes": ["data"]}, "volumes[0]", "SOURCE:TARGET"),
        ({"name": "x", "volumes": ["../x:/y"]}, "volumes[0]", "root"),
        ({"name": "x", "volumes": ["v:/var/lib/clawtui"]}, "volumes[0]", "/workspace"),
        ({"name": "x", "volumes": ["v:/"]}, "volumes[0]", ".."),
        ({"name": "x", "volumes": ["a:/v", "b:/v"]}, "volumes", ""),
        ({"name": "x", "network": "a b"}, "network", "isolated"),
        ({"name": "x", "security": {"cap_add": ["ALL"]}}, "security.cap_add[0]", "needs"),
        ({"name": "x", "security": {"cap_add": ["FLY"]}}, "security.cap_add[0]", "NET_BIND_SERVICE"),
        ({"name": "x", "security": {"tmpfs": ["/tmp:rw"]}}, "security.tmpfs[0]", "size"),
        ({"name": "x", "security": {"apparmor": "a b"}}, "security.apparmor", "docker-default"),
        ({"name": "x", "security": {"selinux": ["x"]}}, "security.selinux[0]", "type:"),
        ({"name": "x", "limits": {"pids": 1}}, "limits.pids", ""),
        ({"name": "x", "limits": {"cpuset": "a-b"}}, "limits.cpuset", "0-3"),
        ({"name": "x", "limits": {"memory_swap": "1g"}}, "limits.memory_swap", "together"),
        ({"name": "x", "limits": {"memory_reservation": "8g"}}, "limits.memory_reservation", ""),
        ({"name": "x", "limits": {"ulimits": {"nofile": {"soft": 5, "hard": 4}}}}, "limits.ulimits.nofile", ""),
        ({"name": "x", "limits": {"ulimits": {"nofile": {"soft": 5}}}}, "limits.ulimits.nofile.hard", ""),
        ({"name": "x", "health": {"interval": "soon"}}, "health.interval", "30s"),
        ({"name": "x", "health": {"interval": "2000m"}}, "health.interval", "30s"),
        ({"name": "x", "health": {"retries": 0}}, "health.retries", ""),
        ({"name": "x", "gpu": 0}, "gpu", "all"),
        ({"name": "x", "gpu": []}, "gpu", "all"),
        ({"name": "x", "secrets": {"A": "env://1"}}, "secrets.A", "env://NAME"),
        ({"name": "x", "secrets": {"a-b": "env://A"}}, "secrets.a-b", "Letters"),
        ({"name": "x", "secrets": {"A": "env://B"}, "environment": {"A": "1"}}, "secrets.A", "snapshots"),
        ({"name": "x", "build_args": {"A B": "1"}}, "build_args.A B", "Letters"),
        ({"name": "x", "persona": []}, "persona", "names with values"),
        ({"name": "x", "persona": {"soul": "\ud800"}}, "persona.soul", "Binary"),
        ({"name": "x", "persona": {"soull": ""}}, "persona.soull", "soul"),
        ({"name": "default", "persona": {}}, "persona.slug", "default-1"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_by_its_path(raw: dict[str, Any], field: str, hint: str) -> None:
    with pytest.raises(ProfileError) as caught:
        parse_profile(raw)
    assert caught.value.field == field
    assert hint in caught.value.hint


def test_a_secret_that_was_written_out_is_never_shown() -> None:
    with pytest.raises(ProfileError) as caught:
        parse_profile({"name": "x", "secrets": {"TOKEN": "hunter2"}})
    assert "hunter2" not in str(caught.value) + caught.value.hint


@pytest.mark.parametrize(("raw", "gpu"), [(2, Gpu(count=2)), (["0", "GPU-8e4f"], Gpu(devices=("0", "GPU-8e4f")))])
def test_gpus(raw: object, gpu: Gpu) -> None:
    assert parse_profile({"name": "x", "gpu": raw}).machine.gpu == gpu
