"""Each kind of package, path, unit, user and command by itself: what becomes of it, and what is said."""

from __future__ import annotations

import json
from typing import Any

import pytest

from profiles.migrate import Area, Migration, Severity, migrate_text
from profiles.migrate.databases import FAMILIES
from profiles.migrate.environment import hosts
from profiles.migrate.files import redis_config
from profiles.migrate.paths import new_path, rewrite, rewrite_tilde
from profiles.migrate.sizes import cpus_text, parse_vm_size, size_text
from profiles.migrate.units import argv_of, read_service
from profiles.migrate.webservers import SERVERS, fit

OK, ADAPTED, NEEDS = Severity.OK, Severity.ADAPTED, Severity.NEEDS_YOU


def migrated(**fields: Any) -> Migration:
    return migrate_text(json.dumps({"name": "x", "resources": {"cpu": 2}, **fields}))


def tasks(*commands: str, **fields: Any) -> Migration:
    return migrated(setup_tasks=[{"command": command} for command in commands], **fields)


def commands_of(migration: Migration) -> list[str]:
    return [task["command"] for task in migration.profile.get("setup_tasks", [])]  # pyright: ignore


def packages_of(migration: Migration) -> list[str]:
    return migration.profile.get("packages", [])  # pyright: ignore


def said(migration: Migration, field: str) -> list[tuple[Severity, Area]]:
    return [(found.severity, found.area) for found in migration.findings if found.field == field]


# --- sizes --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("value", "text", "guessed"), [
    ("8G", "8g", False), ("8g", "8g", False), ("8GB", "8g", False), ("8GiB", "8g", False), ("8 G", "8g", False),
    ("8192M", "8g", False), ("8192MiB", "8g", False), ("1.5G", "1536m", False), ("512m", "512m", False),
    ("1T", "1024g", False), (8, "8g", True), ("8", "8g", True), (8.0, "8g", True), (0.5, "512m", True),
    (8192, "8g", True), ("8192", "8g", True), (8589934592, "8g", False), ("1500000000", "1500000000", False),
    ("2048k", "2m", False),
])  # fmt: skip
def test_sizes_in_all_forms(value: object, text: str, guessed: bool) -> None:
    size, unsure = parse_vm_size("memory", value)
    assert (size_text(size), unsure) == (text, guessed)


@pytest.mark.parametrize(("cpus", "text"), [(4.0, "4"), (0.5, "0.5"), (1.25, "1.25"), (1e-7, "0.0000001")])
def test_cores_as_docker_profiles_write_them(cpus: float, text: str) -> None:
    assert cpus_text(cpus) == text


def test_sizes_beside_resources_count_too() -> None:
    migration = migrate_text('{"name": "x", "cpus": "3", "ram": "2GB", "storage": "10G"}')
    assert migration.profile["resources"] == {"cpus": "3", "memory": "2g", "disk": "10g"}


# --- packages -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("package", [
    "openssh-server", "cloud-init", "snapd", "systemd", "linux-image-generic", "linux-headers-6.5.0-14-generic", "ufw",
    "iptables-persistent", "ntp", "chrony", "qemu-guest-agent", "open-vm-tools", "grub-pc", "grub2-common",
    "netplan.io",
    "unattended-upgrades", "rsyslog", "sudo", "software-properties-common", "nodejs", "npm",
])  # fmt: skip
def test_packages_that_look_after_a_machine_are_left_out(package: str) -> None:
    migration = migrated(packages=[package, "git"])
    assert packages_of(migration) == ["git"]
    assert [severity for severity, _ in said(migration, "packages[0]")] == [ADAPTED]


@pytest.mark.parametrize(("package", "area"), [
    ("docker.io", Area.NESTED), ("docker-ce", Area.NESTED), ("qemu-kvm", Area.NESTED), ("libvirt-clients", Area.NESTED),
    ("multipass", Area.NESTED), ("vagrant", Area.NESTED), ("openjdk-11-jdk", Area.PACKAGES),
    ("python3.12", Area.PACKAGES),
    ("php8.1-fpm", Area.PACKAGES), ("gcc-13", Area.PACKAGES), ("clang-18", Area.PACKAGES), ("terraform", Area.PACKAGES),
    ("google-chrome-stable", Area.PACKAGES), ("postgresql-client-14", Area.PACKAGES), ("libssl1.1", Area.PACKAGES),
    ("mongodb-mongosh", Area.PACKAGES), ("golang-1.21", Area.PACKAGES), ("ruby3.0", Area.PACKAGES),
])  # fmt: skip
def test_packages_that_debian_12_cannot_give_need_somebody(package: str, area: Area) -> None:
    migration = migrated(packages=[package, "git"])
    assert packages_of(migration) == ["git"]
    assert said(migration, "packages[0]") == [(NEEDS, area)]


@pytest.mark.parametrize("package", [
    "openjdk-17-jdk", "python3.11", "gcc-12", "clang-15", "php8.2-cli", "ruby3.1", "golang-1.19",
    "postgresql-client-15",
    "postgresql-client", "libssl3", "lua5.3", "default-jdk",
])  # fmt: skip
def test_packages_that_debian_12_has_stay_without_a_word(package: str) -> None:
    migration = migrated(packages=[package])
    assert packages_of(migration) == [package]
    assert migration.verdict is OK


@pytest.mark.parametrize(("package", "image", "client"), [
    ("postgresql-14", "postgres:14", "postgresql-client"), ("postgresql-9.6", "postgres:9.6", "postgresql-client"),
    ("postgresql", "postgres:15", "postgresql-client"), ("mysql-server", "mysql:8.0", "default-mysql-client"),
    ("mysql-server-5.7", "mysql:5.7", "default-mysql-client"),
    ("mariadb-server", "mariadb:10.11", "default-mysql-client"),
    ("mariadb-server-10.6", "mariadb:10.6", "default-mysql-client"), ("redis-server", "redis:7", "redis-tools"),
    ("redis", "redis:7", "redis-tools"), ("rabbitmq-server", "rabbitmq:3", "amqp-tools"),
    ("memcached", "memcached:1.6", "libmemcached-tools"), ("influxdb", "influxdb:1.8", "influxdb-client"),
])  # fmt: skip
def test_servers_become_side_services_of_the_same_version(package: str, image: str, client: str) -> None:
    migration = migrated(packages=[package])
    assert [one.image for one in migration.sidecars] == [image]
    assert packages_of(migration) == [client]
    assert migration.verdict is ADAPTED
    assert f"image: {image}" in (migration.compose or "")
    assert migration.profile["network"] == "x-services"


@pytest.mark.parametrize(
    ("image", "version"), [("22.04", "14"), ("noble", "16"), ("ubuntu:20.04", "12"), ("lts", "16")]
)
def test_a_package_without_a_version_has_that_of_the_vms_system(image: str, version: str) -> None:
    migration = migrated(packages=["postgresql"], image=image)
    assert [one.image for one in migration.sidecars] == [f"postgres:{version}"]


def test_packages_that_tasks_install_are_packages() -> None:
    migration = tasks(
        "sudo apt-get update && sudo DEBIAN_FRONTEND=noninteractive apt-get install -y jq postgresql-14 && jq -V"
    )
    assert packages_of(migration) == ["jq", "postgresql-client"]
    assert commands_of(migration) == ["jq -V"]
    assert [one.name for one in migration.sidecars] == ["postgres"]


def test_packages_that_have_no_name_stay_a_command() -> None:
    assert commands_of(tasks("apt-get install -y ./x.deb")) == ["apt-get update && apt-get install -y ./x.deb"]


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_addresses_of_this_machine_lead_to_the_side_service(family: Any) -> None:
    assert hosts(f"127.0.0.1:{family.port}", [family.name]) == f"{family.name}:{family.port}"
    assert hosts(f"http://localhost:{family.port}/x", [family.name]) == f"http://{family.name}:{family.port}/x"
    assert hosts(f"localhost:{family.port}1", [family.name]) == f"localhost:{family.port}1"
    for scheme in family.schemes:
        assert hosts(f"{scheme}://a:b@localhost/c", [family.name]) == f"{scheme}://a:b@{family.name}/c"
        assert hosts(f"{scheme}://localhost.example/c", [family.name]) == f"{scheme}://localhost.example/c"


@pytest.mark.parametrize(("variable", "server"), [
    ("PGHOST", "postgres"), ("DB_HOST", "postgres"), ("POSTGRES_HOST", "postgres"), ("APP_DATABASE_HOST", "postgres"),
    ("REDIS_HOST", "redis"), ("CACHE_SERVER", "redis"), ("SMTP_HOST", "localhost"),
])  # fmt: skip
def test_variables_with_a_host_lead_to_the_side_service(variable: str, server: str) -> None:
    migration = migrated(packages=["postgresql", "redis"], environment={variable: "localhost"})
    environment: Any = migration.profile["environment"]
    assert environment[variable] == server


# --- web servers and units ------------------------------------------------------------------------------------


@pytest.mark.parametrize("package", list(SERVERS))
def test_a_web_server_becomes_a_program_of_the_image(package: str) -> None:
    migration = migrated(packages=[package])
    dockerfile = migration.dockerfile or ""
    assert f"CMD {json.dumps(list(SERVERS[package].argv))}" in dockerfile
    assert ("EXPOSE 80" in dockerfile) == bool(SERVERS[package].ports)
    assert "packages" not in migration.profile
    assert migration.verdict is ADAPTED


def test_a_web_server_that_is_switched_off_does_not_run() -> None:
    migration = tasks("systemctl disable --now nginx", packages=["nginx"])
    assert migration.dockerfile is None
    assert packages_of(migration) == ["nginx"]


@pytest.mark.parametrize(("path", "text", "fitted"), [
    ("/etc/nginx/nginx.conf", "user www-data;\npid /run/nginx.pid;\nevents {}\n", "pid /tmp/nginx.pid;\nevents {}\n"),
    ("/etc/haproxy/haproxy.cfg", "global\n  daemon\n  user haproxy\n  log x\n", "global\n  log x\n"),
    ("/etc/lighttpd/lighttpd.conf", 'server.username = "a"\nserver.port = 80\n', "server.port = 80\n"),
    ("/etc/other.conf", "user x\n", "user x\n"),
])  # fmt: skip
def test_configurations_lose_what_needs_root(path: str, text: str, fitted: str) -> None:
    assert fit(path, text) == fitted
    assert fit(path, fitted) == fitted


UNIT = "[Service]\nExecStart=/usr/bin/app --port 8000\n"


def unit(text: str, *commands: str) -> Migration:
    return tasks(*commands, files=[{"path": "/etc/systemd/system/app.service", "content": text}])


def test_an_enabled_unit_is_the_command_of_the_image() -> None:
    migration = unit(UNIT, "sudo systemctl enable --now app.service")
    assert 'CMD ["/usr/bin/app", "--port", "8000"]' in (migration.dockerfile or "")
    assert "EXPOSE 8000" in (migration.dockerfile or "")


@pytest.mark.parametrize("command", [
    "systemctl enable app", "service app start", "systemctl restart app.service", "update-rc.d app defaults",
    "systemctl --now enable app",
])  # fmt: skip
def test_every_way_to_start_a_unit_counts(command: str) -> None:
    assert unit(UNIT, command).dockerfile is not None


def test_a_unit_that_nobody_starts_does_not_run() -> None:
    migration = unit(UNIT)
    assert migration.dockerfile is None
    assert said(migration, "files[0]") == [(ADAPTED, Area.SYSTEMD)]


@pytest.mark.parametrize(("text", "word"), [
    ("[Service]\nType=forking\nExecStart=/bin/a\n", "background"),
    ("[Service]\nRestart=always\n", "no ExecStart"),
    ("[Service]\nExecStart=/bin/a %i\n", "%i"),
    ("[Service]\nExecStart=/bin/a\nExecStart=/bin/b\n", "several"),
])  # fmt: skip
def test_units_that_only_systemd_can_run_need_somebody(text: str, word: str) -> None:
    migration = unit(text, "systemctl enable app")
    found = next(one for one in migration.findings if one.severity is NEEDS)
    assert word in found.reason
    assert migration.dockerfile is None


@pytest.mark.parametrize(("lines", "argv"), [
    ("ExecStart=/bin/a 'b c'", ("/bin/a", "b c")),
    ("ExecStart=-/bin/a", ("/bin/a",)),
    ("WorkingDirectory=/x\nExecStart=/bin/a", ("env", "-C", "/x", "/bin/a")),
    ('Environment=A=1 "B=2 3"\nExecStart=/bin/a', ("env", "A=1", "B=2 3", "/bin/a")),
    ("ExecStart=/bin/a $X", ("/bin/bash", "-ec", "exec /bin/a $X")),
    ("EnvironmentFile=-/e\nExecStart=/bin/a", ("/bin/bash", "-ec", "set -a; . /e; set +a; exec /bin/a")),
    ("ExecStartPre=/bin/p\nExecStart=/bin/a", ("/bin/bash", "-ec", "/bin/p; exec /bin/a")),
    ("ExecStart=/bin/old\nExecStart=\nExecStart=/bin/a", ("/bin/a",)),
    ("ExecStart=/bin/a \\\n  b", ("/bin/a", "b")),
    ("ExecStart=/bin/a 100%%", ("/bin/a", "100%")),
])  # fmt: skip
def test_what_a_unit_starts(lines: str, argv: tuple[str, ...]) -> None:
    service = read_service("app.service", f"[Unit]\n# ExecStart=/no\n[Service]\n{lines}\n")
    assert service.problem == ""
    assert argv_of(service) == argv


def test_several_units_run_under_a_process_manager() -> None:
    files = [{"path": f"/etc/systemd/system/{name}.service", "content": f"[Service]\nExecStart=/bin/{name} 100%\n"}
             for name in ("one", "two")]  # fmt: skip
    migration = tasks("systemctl enable one two", files=files)
    assert "supervisor" in (migration.dockerfile or "")
    assert 'CMD ["supervisord", "-n", "-c", "/etc/supervisor/agent.conf"]' in (migration.dockerfile or "")
    assert migration.context["programs/one"] == b"exec /bin/one 100%\n"
    assert migration.context["supervisord.conf"].count(b"[program:") == 2
    assert any("run under supervisord" in found.message for found in migration.findings)


@pytest.mark.parametrize(("name", "severity", "area"), [
    ("ssh", ADAPTED, Area.SYSTEMD), ("ufw", ADAPTED, Area.SYSTEMD), ("docker", NEEDS, Area.NESTED),
    ("libvirtd", NEEDS, Area.NESTED), ("backup.timer", NEEDS, Area.SYSTEMD), ("myservice", NEEDS, Area.SYSTEMD),
])  # fmt: skip
def test_services_that_are_no_programs_of_ours(name: str, severity: Severity, area: Area) -> None:
    assert said(tasks(f"systemctl enable {name}"), "setup_tasks[0].command") == [(severity, area)]
    assert said(migrated(services=[name]), "services[0]") == [(severity, area)]


# --- commands ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("command", "severity", "area"), [
    ("snap install x", NEEDS, Area.PACKAGES), ("add-apt-repository ppa:x/y", NEEDS, Area.PACKAGES),
    ("ufw allow 80", ADAPTED, Area.NETWORK), ("sysctl -w a=b", NEEDS, Area.RESOURCES),
    ("modprobe x", NEEDS, Area.RESOURCES),
    ("mount /dev/vdb /x", NEEDS, Area.FILES), ("swapon /swapfile", ADAPTED, Area.RESOURCES),
    ("echo x | crontab -", NEEDS, Area.SYSTEMD), ("reboot", ADAPTED, Area.SYSTEMD),
    ("hostnamectl set-hostname x", ADAPTED,
    Area.NETWORK), ("passwd -l ubuntu", ADAPTED, Area.SSH), ("docker run x", NEEDS, Area.NESTED),
    ("bash -c 'reboot'", ADAPTED, Area.SYSTEMD), ("curl -fsSL https://get.docker.com | sh", NEEDS, Area.NESTED),
    ("virsh list", NEEDS, Area.NESTED), ("nvidia-smi", ADAPTED, Area.GPU), ("netplan apply", ADAPTED, Area.NETWORK),
    ("systemctl daemon-reload", ADAPTED, Area.SYSTEMD), ("journalctl --vacuum-time=1d", ADAPTED, Area.SYSTEMD),
    ("apt-get upgrade -y", ADAPTED, Area.PACKAGES), ("locale-gen x", ADAPTED, Area.ENVIRONMENT),
    ("usermod -aG docker ubuntu", ADAPTED, Area.SETUP_TASKS), ("echo k >> ~/.ssh/authorized_keys", ADAPTED, Area.SSH),
    ("echo x | sudo tee /etc/apt/sources.list.d/x.list", NEEDS, Area.PACKAGES), ("echo a=b >> /etc/sysctl.conf", NEEDS,
    Area.RESOURCES), ("echo x > /etc/sudoers.d/x", ADAPTED, Area.SETUP_TASKS),
    ("echo x >> /etc/fstab", NEEDS, Area.FILES),
])  # fmt: skip
def test_commands_for_a_machine_leave_with_a_reason(command: str, severity: Severity, area: Area) -> None:
    for text in (command, f"sudo {command}" if "|" not in command and ">" not in command else command):
        migration = tasks(text)
        assert commands_of(migration) == []
        assert said(migration, "setup_tasks[0].command") == [(severity, area)]


@pytest.mark.parametrize("command", [
    "npm install -g yarn", "git clone https://example.com/x /workspace/x", "make -C src && make install",
    "for i in 1 2; do echo $i; done", "echo 'systemctl start x' > notes.txt", "echo docker", "true || reboot-later",
])  # fmt: skip
def test_other_commands_stay_as_they_are(command: str) -> None:
    migration = tasks(command)
    assert commands_of(migration) == [command]
    assert migration.verdict is OK


@pytest.mark.parametrize(("command", "new"), [
    ("sudo npm i -g x", "npm i -g x"),
    ("sudo -E bash -c 'a' && b", "bash -c 'a' && b"),
    ("echo a | sudo tee /etc/motd.txt", "echo a | tee /etc/motd.txt"),
    ("sudo -u ubuntu touch a", "runuser -u agent -- env HOME=/home/agent touch a"),
    ("sudo -u www-data touch a", "runuser -u www-data -- env HOME=/home/www-data touch a"),
    ("su - ubuntu -c 'touch a'", "runuser -u agent -- env HOME=/home/agent bash -c 'touch a'"),
    ("sudo chown -R ubuntu:ubuntu /opt/x", "chown -R agent:agent /opt/x"),
    ("sudo chown $USER: /opt/x", "chown agent: /opt/x"),
    ("cd /home/ubuntu && touch a", "cd /workspace && touch a"),
    ("mkdir -p ~/a $HOME/b ${HOME}/c", "mkdir -p /workspace/a /workspace/b /workspace/c"),
    ("if a; then sudo b; fi", "if a; then b; fi"),
    ("a && ufw allow 1 && b", "a && b"),
    ("sudo bash -c 'a && ufw allow 1 && cp x y'", "bash -c 'a && cp x y'"),
    ("sudo sh -c 'a && b'", "sh -c 'a && b'"),
    ("/usr/bin/node x.js && /usr/bin/nodemon", "/usr/local/bin/node x.js && /usr/bin/nodemon"),
])  # fmt: skip
def test_commands_are_rewritten(command: str, new: str) -> None:
    assert commands_of(tasks(command))[0] == new


def test_what_depends_on_something_lost_is_left_out_with_it() -> None:
    migration = tasks("snap install go && go version; echo done")
    assert commands_of(migration) == []
    assert [one.severity for one in migration.findings if one.field == "setup_tasks[0].command"] == [NEEDS, NEEDS]


@pytest.mark.parametrize("command", ["if x; then systemctl start y; fi", "(snap install x)", "nohup x &"])
def test_scripts_that_cannot_run_in_a_build_are_left_out_as_a_whole(command: str) -> None:
    migration = tasks(command)
    assert commands_of(migration) == []
    assert migration.verdict is NEEDS


@pytest.mark.parametrize(("command", "package"), [
    ("curl -o x y", "curl"), ("wget x", "wget"), ("a | gpg --dearmor", "gnupg"), ("pip3 install x", "python3-pip"),
    ("python3 -m pip install x", "python3-pip"),
])  # fmt: skip
def test_tools_of_ubuntus_images_are_added(command: str, package: str) -> None:
    assert packages_of(tasks(command)) == [package]


# --- set-up of servers ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("package", "command", "line"), [
    ("postgresql-14", "sudo -u postgres createdb x", "createdb x"),
    ("postgresql-14", "createuser -h localhost -s x", "createuser -s x"),
    ("postgresql-14", "su - postgres -c \"psql -c 'SELECT 1'\"", "psql -c 'SELECT 1'"),
    ("postgresql-14", "echo 'SELECT 1' | sudo -u postgres psql", "echo 'SELECT 1' | psql"),
    ("postgresql-14", "sudo -u postgres createdb x || true", "createdb x || true"),
    ("mysql-server", "sudo mysql -e 'CREATE DATABASE x'", "mysql -uroot -e 'CREATE DATABASE x'"),
    ("mysql-server", "mysql -u root -psecret -e 'x'", "mysql -u root -e 'x'"),
    ("mariadb-server", "mysqladmin create x", "mysqladmin -uroot create x"),
])  # fmt: skip
def test_set_up_runs_at_the_first_start_of_the_server(package: str, command: str, line: str) -> None:
    migration = tasks(command, packages=[package])
    (script,) = migration.sidecar_files.values()
    assert script.decode().splitlines()[-1] == line
    assert commands_of(migration) == []


def test_another_machines_server_is_none_of_ours() -> None:
    command = "psql -h db.example.com -c 'SELECT 1'"
    assert commands_of(tasks(command, packages=["postgresql-14"])) == [command]


def test_a_script_that_is_no_file_of_the_profile_needs_somebody() -> None:
    migration = tasks("sudo -u postgres psql -f /tmp/none.sql", packages=["postgresql-14"])
    assert (NEEDS, Area.SETUP_TASKS) in said(migration, "setup_tasks[0].command")


def test_a_redis_configuration_binds_to_no_machine() -> None:
    text = redis_config(b"bind 127.0.0.1\ndaemonize yes\nmaxmemory 1gb\ndir /var/lib/redis\n").decode()
    assert text == "maxmemory 1gb\nbind * -::*\nprotected-mode no\ndir /data\n"


# --- paths -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("old", "new"), [
    ("/home/ubuntu/data/config.json", "/workspace/data/config.json"), ("/home/vagrant/x", "/workspace/x"),
    ("/root/x", "/workspace/x"), ("~/x", "/workspace/x"), ("x/y", "/workspace/x/y"), ("/workspace/x", "/workspace/x"),
    ("/etc/app/x", "/workspace/etc/app/x"), ("/opt/x", "/workspace/opt/x"),
    ("/home/other/x", "/workspace/home/other/x"),
])  # fmt: skip
def test_files_move_below_the_workspace(old: str, new: str) -> None:
    assert new_path(old) == new


@pytest.mark.parametrize(("text", "new"), [
    ("/home/ubuntu", "/workspace"), ("/home/ubuntu/a b", "/workspace/a b"), ("/home/ubuntu2/a", "/home/ubuntu2/a"),
    ("/home/ubuntu-x", "/home/ubuntu-x"), ("/home/ubuntu/.npmrc", "/home/agent/.npmrc"),
    ("x=/srv/a", "x=/workspace/srv/a"),
    ("/data", "/workspace/data"), ("/database", "/database"), ("http://a/data", "http://a/data"),
    ("/etc/app/c.conf", "/workspace/etc/app/c.conf"), ("/etc/app/c.conf.bak", "/etc/app/c.conf.bak"),
    ("/opt/app/sub", "/workspace/opt/app/sub"), ("/workspace/data", "/workspace/data"),
])  # fmt: skip
def test_paths_that_point_to_what_moved_follow(text: str, new: str) -> None:
    moved = {"/etc/app/c.conf": "/workspace/etc/app/c.conf", "/opt/app/run": "/workspace/opt/app/run"}
    assert rewrite(text, moved) == new
    assert rewrite(new, moved) == new


@pytest.mark.parametrize(("text", "new"), [
    ("cd ~", "cd /workspace"), ("cp ~/a $HOME/b", "cp /workspace/a /workspace/b"), ("a ~/.x", "a ~/.x"),
    ("a $HOMEPAGE", "a $HOMEPAGE"), ("a~/b", "a~/b"), ("x ~user/y", "x ~user/y"),
])  # fmt: skip
def test_the_home_is_the_workspace_but_for_hidden_files(text: str, new: str) -> None:
    assert rewrite_tilde(text) == new


def test_two_files_for_one_place_are_both_kept() -> None:
    migration = migrated(files=[{"path": "/home/ubuntu/x", "content": "1"}, {"path": "/root/x", "content": "2"}])
    files: Any = migration.profile["files"]
    assert {file["path"]: file["content"] for file in files} == {"/workspace/x": "1", "/workspace/vm/root/x": "2"}


def test_modes_and_bytes_survive() -> None:
    migration = migrated(files=[{"path": "a", "content": "AP8=", "encoding": "base64", "permissions": "755"}])
    assert migration.profile["files"] == [
        {"path": "/workspace/a", "content": "AP8=", "encoding": "base64", "mode": "0755"}
    ]


def test_packages_within_a_shells_script_are_packages_too() -> None:
    migration = tasks("sudo bash -c 'apt-get update && apt-get install -y redis-server && echo ok > x'")
    assert [one.name for one in migration.sidecars] == ["redis"]
    assert commands_of(migration) == ["bash -c 'echo ok > x'"]


def test_units_find_node_where_the_base_image_has_it() -> None:
    migration = unit("[Service]\nExecStart=/usr/bin/node /home/ubuntu/app.js\n", "systemctl enable app")
    assert 'CMD ["/usr/local/bin/node", "/workspace/app.js"]' in (migration.dockerfile or "")


@pytest.mark.parametrize(("lines", "restart", "seconds"), [
    ("Restart=always", "true", 1), ("Restart=on-failure", "unexpected", 1), ("", "unexpected", 1),
    ("Type=oneshot", "false", 0),
])  # fmt: skip
def test_a_process_manager_starts_again_what_systemd_did(lines: str, restart: str, seconds: int) -> None:
    files = [{"path": f"/etc/systemd/system/{name}.service", "content": f"[Service]\nExecStart=/bin/{name}\n{lines}\n"}
             for name in ("one", "two")]  # fmt: skip
    configuration = tasks("systemctl enable one two", files=files).context["supervisord.conf"].decode()
    assert configuration.count(f"autorestart={restart}\nstartsecs={seconds}\n") == 2
