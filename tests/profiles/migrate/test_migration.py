"""The migration as a whole: it never fails, it loses nothing in silence, and Docker profiles pass through."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from profiles.errors import ProfileError
from profiles.image import BASE, extend
from profiles.loader import check_text
from profiles.migrate import Area, Migration, Severity, migrate_text, parse_vm_profile
from profiles.migrate.databases import FAMILIES
from profiles.migrate.packages import DROPPED, RENAMED
from profiles.migrate.report import as_data, as_markdown, files, rows
from profiles.migrate.rules import RULES
from profiles.migrate.webservers import ALL

# --- generated input ----------------------------------------------------------------------------------------

PACKAGES = st.sampled_from([
    "git", "jq", "postgresql", "postgresql-14", "mysql-server", "mariadb-server-10.6", "redis-server", "mongodb-org",
    "rabbitmq-server", "memcached", "elasticsearch", "influxdb", "openssh-server", "cloud-init", "snapd", "cron",
    "docker.io", "qemu-kvm", "nvidia-driver-535", "openjdk-11-jdk", "git=1:2.3-1", "tree:amd64", *ALL, *RENAMED,
])  # fmt: skip
WORDS = st.sampled_from([
    *[name for rule in RULES for name in rule.names], "systemctl", "service", "apt-get", "apt", "sudo", "su", "runuser",
    "-", "-u", "postgres", "ubuntu", "-c", "install", "-y", "enable", "start", "nginx", "app", "app.service", "git",
    "clone", "&&", "||", ";", "|", "&", "\n", "(", ")", "{", "}", "'", '"', "`", "$(", "<<EOF", "EOF", "#", "\\", "if",
    "then", "fi", ">", ">>", "2>&1", "/etc/hosts", "/home/ubuntu/x", "~/.bashrc", "~", "$HOME/y", "/opt/app/run.sh",
    "psql", "-f", "createdb", "mysql", "-e", "redis-cli", "config", "set", "rabbitmqctl", "add_user", "useradd",
    "deploy", "chown", "ubuntu:ubuntu", "pip3", "npm", "pm2", "tee", "crontab", "\0", "ü", "cp",
    "/etc/systemd/system/app.service", "cd", "curl", "https://x/y", "timedatectl", "set-timezone", "Europe/Berlin",
    "sed", "-i", "/etc/redis/redis.conf",
])  # fmt: skip
COMMANDS = st.one_of(
    st.lists(WORDS, min_size=1, max_size=12).map(" ".join), st.text(min_size=1, max_size=40), st.just("echo hi")
)
PATHS = st.sampled_from([
    "/home/ubuntu/x", "/home/ubuntu/x/y", "/root/x", "~/.bashrc", "/opt/app/run.sh", "/opt/app", "/etc/hosts", "app/a",
    "/etc/systemd/system/app.service", "/etc/systemd/system/app.timer", "/etc/systemd/system/app.service.d/a.conf",
    "/etc/nginx/nginx.conf", "/workspace/z", "/workspace/home/x", "/etc/redis/redis.conf", "/srv/a", "/usr/local/bin/t",
    "/home/ubuntu/.ssh/authorized_keys", "/etc/cron.d/a", "/x", "//y", "/home/ubuntu/.config/systemd/user/a.socket",
])  # fmt: skip
CONTENTS = st.one_of(
    st.text(max_size=60),
    st.lists(
        st.sampled_from([
            "[Service]\n", "ExecStart=/usr/bin/app --port 80\n", "ExecStart=\n", "ExecStart=-/bin/sh -c 'x $Y %h %i'\n",
            "Environment=A=b \"C=d e\"\n", "EnvironmentFile=-/opt/app/run.sh\n", "WorkingDirectory=/home/ubuntu/x\n",
            "User=root\n", "Type=forking\n", "Type=oneshot\n", "ExecStartPre=/bin/true\n", "postgres://localhost:5432/a\n",
            "listen 99999;\n", "user www-data;\n", "pid /run/x;\n", "ExecStart='\n",
        ]),
        max_size=6,
    ).map("".join),
)  # fmt: skip
SIMPLE = st.one_of(st.none(), st.booleans(), st.integers(-5, 1 << 70), st.floats(), st.text(max_size=20))
ANYTHING = st.recursive(
    SIMPLE,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)),
    max_leaves=6,
)  # fmt: skip
FIELDS = st.sampled_from([
    "gpu", "nested", "image", "ssh", "ports", "network", "networks", "mounts", "cloud_init", "timezone", "sudo",
    "snapshots", "restart", "hostname", "security", "limits", "persona", "volumes", "x", "resources", "services",
    "description",
])  # fmt: skip
VM = st.fixed_dictionaries(
    {"name": st.sampled_from(["box", "My Box", "base", "x" * 60])},
    optional={
        "resources": st.fixed_dictionaries({}, optional={
            "cpu": st.sampled_from([1, "2", 0.5]), "memory": st.sampled_from(["8G", 8, "8 gb", 4096, 1.5, "1536M"]),
            "disk": st.sampled_from(["30G", 30, 32212254720]),
        }),
        "packages": st.lists(PACKAGES, max_size=5),
        "environment": st.dictionaries(
            st.sampled_from(["A", "DB_HOST", "DATABASE_URL", "AGENT_X", "PGHOST", "TZ", "PATH_TO"]),
            st.one_of(
                st.text(max_size=12), st.sampled_from(["localhost", "postgres://a@localhost/x", "/home/ubuntu/x", 5])
            ),
            max_size=4,
        ),
        "files": st.lists(st.fixed_dictionaries({"path": PATHS, "content": CONTENTS}), max_size=5),
        "setup_tasks": st.lists(st.fixed_dictionaries({"command": COMMANDS}), max_size=5),
        "services": st.lists(st.sampled_from(["nginx", "app", "postgresql", "a.timer", "x@y", "docker"]), max_size=3),
    },
)  # fmt: skip
EXTRA = st.dictionaries(FIELDS, ANYTHING, max_size=3)
PATIENT = settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])


@PATIENT
@given(VM, EXTRA)
def test_a_vm_profile_migrates_or_says_what_is_wrong(vm: dict[str, Any], extra: dict[str, Any]) -> None:
    outcome = outcome_of({**extra, **vm})
    if isinstance(outcome, Migration):
        assert_whole(outcome)
    else:
        assert outcome


@PATIENT
@given(VM)
def test_what_the_format_of_vm_profiles_allows_is_never_refused(vm: dict[str, Any]) -> None:
    outcome = outcome_of(vm)
    if isinstance(outcome, Migration):
        assert_whole(outcome)
    else:
        # Text that is none: a blank, or a character that no shell takes.
        assert all(field.endswith(".command") for field in outcome)


def outcome_of(raw: dict[str, Any]) -> Migration | list[str]:
    """The migration, or the fields of what is wrong; nothing else ever comes out."""
    try:
        return migrate_text(json.dumps(raw, default=str), "json", "box")
    except ProfileError as exc:
        return [problem.field or "the whole" for problem in exc.problems]


def assert_whole(migration: Migration) -> None:
    """What holds for every migration: its parts are right, and it passes through itself unchanged."""
    profile = check_text(migration.text, migration.format, migration.name)
    assert profile.name == migration.name
    if migration.dockerfile is not None:
        extend(migration.dockerfile, migration.context, {}, BASE)
        assert not profile.contents.packages
    again = migrate_text(migration.text, migration.format, migration.name)
    assert again.unchanged
    assert again.text == migration.text
    assert as_markdown(migration) == as_markdown(migration)
    assert all(path == path.strip("/") and ".." not in path.split("/") for path in files(migration))
    for found in migration.findings:
        assert found.message
        assert found.reason
        assert bool(found.todo) or found.severity is not Severity.NEEDS_YOU


def test_fields_that_nobody_knows_are_findings_wherever_they_stand() -> None:
    raw = {
        "name": "x",
        "colour": "red",
        "resources": {"iops": 5},
        "files": [{"path": "/home/ubuntu/a", "content": "", "selinux": "x"}],
        "setup_tasks": [{"command": "true", "mood": "good", "timeout": 5}],
    }
    found = {one.field: one.severity for one in migrate_text(json.dumps(raw)).findings}
    for field in ("colour", "resources.iops", "files[0].selinux", "setup_tasks[0].mood"):
        assert found[field] is Severity.NEEDS_YOU
    assert found["setup_tasks[0].timeout"] is Severity.ADAPTED


# --- Docker profiles ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "format"), [
    ('{ "resources": {"cpus": 2},\n\n "packages": ["nginx", "postgresql-14"] }', "json"),
    ("# kept\nresources: {cpus: '2'}\npackages: [nginx]\n", "yaml"),
    ('{"limits": {"pids": 100}, "packages": ["snapd"]}', "json"),
    ('{"packages": ["git"],   "environment": {"A": "b"}}', "json"),
])  # fmt: skip
def test_a_docker_profile_passes_through_byte_for_byte(text: str, format: str) -> None:
    migration = migrate_text(text, format, "mine")
    assert migration.unchanged
    assert migration.text == text
    assert migration.format == format
    assert [found.message for found in migration.findings] == ["unchanged"]
    assert files(migration)[f"mine.{format}"] == text.encode()


# --- bad input --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("raw", "field", "message"), [
    ({"resources": {"cpu": 0}}, "resources.cpu", "not a possible number of cores"),
    ({"resources": {"memory": "8 elephants"}}, "resources.memory", "is not a size"),
    ({"resources": {"memory": True}}, "resources.memory", "is not a size"),
    ({"resources": {"disk": -1}}, "resources.disk", "is not a possible size"),
    ({"resources": []}, "resources", "is not a mapping"),
    ({"packages": "git"}, "packages", "is not a list"),
    ({"packages": ["a b"]}, "packages[0]", "is not a package"),
    ({"environment": {"1A": "x"}}, "environment.1A", "is not the name"),
    ({"environment": {"A": [1]}}, "environment.A", "is not text"),
    ({"environment": ["A"]}, "environment[0]", "is not NAME=VALUE"),
    ({"files": [{"path": "/a/../b", "content": ""}]}, "files[0].path", "is not a path in the VM"),
    ({"files": [{"path": "/a/", "content": ""}]}, "files[0].path", "is not the path of a file"),
    ({"files": [{"path": "/a"}]}, "files[0].content", "is missing"),
    ({"files": [{"path": "/a", "content": "x", "mode": "rwx"}]}, "files[0].mode", "is not a file's mode"),
    ({"files": [{"path": "/a", "content": "?", "encoding": "base64"}]}, "files[0].content", "is not base64"),
    ({"files": [{"path": "/a", "content": "?", "encoding": "rot13"}]}, "files[0].encoding", "is not an encoding"),
    ({"setup_tasks": [{"type": "dance"}]}, "setup_tasks[0].type", "is not a type of setup task"),
    ({"setup_tasks": [{"command": "  "}]}, "setup_tasks[0].command", "is not a command"),
    ({"setup_tasks": [7]}, "setup_tasks[0]", "is not a mapping"),
    ({"services": [3]}, "services[0]", "is not text"),
    ({"name": "???"}, "name", "is not a name"),
])  # fmt: skip
def test_what_a_field_cannot_hold_is_said_with_its_place(raw: dict[str, Any], field: str, message: str) -> None:
    with pytest.raises(ProfileError) as caught:
        parse_vm_profile({"name": "x", **raw})
    assert [problem.field for problem in caught.value.problems] == [field]
    assert message in caught.value.problems[0].message


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(ProfileError) as caught:
        parse_vm_profile({"packages": [1], "resources": {"cpu": "x"}, "setup_tasks": [{}]})
    fields = {problem.field for problem in caught.value.problems}
    assert fields == {"packages[0]", "resources.cpu", "setup_tasks[0].command", "name"}


@pytest.mark.parametrize("text", ["", "[]", "7", '"x"', "{", '{"name": NaN}', "null"])
def test_what_is_no_profile_at_all_is_an_error(text: str) -> None:
    with pytest.raises(ProfileError):
        migrate_text(text, "json", "x")


# --- the report ---------------------------------------------------------------------------------------------------


def test_the_report_has_a_row_for_every_area_and_the_worst_of_its_findings() -> None:
    migration = migrate_text('{"name": "x", "packages": ["snapd", "terraform", "ufw"], "gpu": true}', "json")
    table = {row.area: row for row in rows(migration)}
    assert list(table) == list(Area)
    assert table[Area.PACKAGES].verdict is Severity.NEEDS_YOU
    assert table[Area.PACKAGES].note == "terraform is left out"
    assert table[Area.PACKAGES].findings == 2
    assert table[Area.NETWORK].verdict is Severity.ADAPTED
    assert table[Area.GPU].verdict is Severity.ADAPTED
    assert table[Area.SNAPSHOTS].verdict is Severity.OK
    data = as_data(migration)
    assert data["verdict"] == "needs-you"
    assert json.loads(json.dumps(data)) == data


def test_nothing_that_a_person_wrote_is_markup_in_the_report() -> None:
    raw = {"name": "x", "files": [{"path": "/home/ubuntu/a|b<script>*_x", "content": ""}]}
    page = as_markdown(migrate_text(json.dumps(raw)))
    assert r"/home/ubuntu/a\|b\<script\>\*\_x" in page
    assert "b<script>" not in page


def test_the_report_repeats_no_password() -> None:
    raw = {
        "name": "x",
        "packages": ["postgresql-14", "rabbitmq-server"],
        "environment": {"DATABASE_URL": "postgres://app:geheim@localhost/a"},
        "ssh_key": "geheim",
        "setup_tasks": [
            {"command": "sudo -u postgres psql -c \"CREATE USER a WITH PASSWORD 'geheim'\""},
            {"command": "rabbitmqctl add_user a geheim"},
            {"command": "echo 'ubuntu:geheim' | sudo chpasswd"},
        ],
    }
    migration = migrate_text(json.dumps(raw))
    assert "geheim" not in as_markdown(migration)
    assert "geheim" in (migration.compose or "")
    assert b"geheim" in b"".join(migration.sidecar_files.values())


# --- tables -----------------------------------------------------------------------------------------------------------


def test_every_server_has_all_that_a_side_service_needs() -> None:
    for family in FAMILIES:
        assert family.health[0] in ("CMD", "CMD-SHELL")
        assert family.tags[""]
        assert family.units
        assert family.client or family.unsure
    assert len({family.port for family in FAMILIES}) == len(FAMILIES) - 1  # MySQL and MariaDB


def test_a_package_is_dropped_for_one_reason_only() -> None:
    import re

    names = ["openssh-server", "cloud-init", "snapd", "linux-image-generic", "ufw", "ntp", "grub-pc", "netplan.io"]
    for name in names:
        assert sum(bool(re.fullmatch(pattern, name)) for pattern, *_ in DROPPED) == 1, name
