"""Files of a VM: those of the system become findings, units are read, everything else moves into the workspace."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from profiles.contents import WORKSPACE
from profiles.migrate.databases import BY_NAME
from profiles.migrate.draft import Draft
from profiles.migrate.environment import hosts
from profiles.migrate.model import Area, Severity, VmFile
from profiles.migrate.paths import AGENT_HOME, DATA, VM_USERS, absolute, inside, is_hidden_of_home, new_path, rewrite
from profiles.migrate.webservers import fit

UNIT_FOLDERS: Final = r"(/etc|/lib|/usr/lib|/usr/local/lib)/systemd/(system|user)|/home/[\w-]+/\.config/systemd/user"
MAX_PATH: Final = 255
_ADAPTED, _NEEDS = Severity.ADAPTED, Severity.NEEDS_YOU
_CRON_TODO: Final = (
    "Send the command as a task from a scheduler outside: cron of the hub's machine with `clawtui task`."
)
SYSTEM: Final = (
    (r"(/root|/home/[\w-]+)/\.ssh/authorized_keys2?", _ADAPTED, Area.SSH,
     "agents are reached with clawtui shell and exec, with the hub's tokens", ""),
    (r"/etc/ssh/sshd_config(\.d/.*)?|/etc/ssh/ssh_host_.*", _ADAPTED, Area.SSH, "no SSH server runs in an agent", ""),
    (r"/etc/(cron\.[^/]+/.*|crontab|anacrontab)|/var/spool/cron/.*", _NEEDS, Area.SYSTEMD,
     "nothing starts jobs by the clock in a container", _CRON_TODO),
    (r"/etc/sudoers(\.d/.*)?", _ADAPTED, Area.SETUP_TASKS, "setup tasks are root; agents get no sudo by themselves",
     'Write "sudo": true in the profile, if tasks need it.'),
    (r"/etc/(sysctl\.conf|sysctl\.d/.*|modules|modules-load\.d/.*|modprobe\.d/.*)", _NEEDS, Area.RESOURCES,
     "the kernel is the host's, for all containers", "Set it on the engine's machine, if it is still needed."),
    (r"/(var/)?swap(\.?file|\.img|\.swap)?[0-9]?", _ADAPTED, Area.RESOURCES,
     "swap is the host's; limits.memory_swap says how much of it", ""),
    (r"/etc/fstab", _NEEDS, Area.FILES, "a container mounts nothing by itself",
     "Name what the agent needs in the profile's volumes."),
    (r"/etc/(netplan/.*|network/.*|hosts|hostname|resolv\.conf|systemd/(network|resolved)[./].*)", _ADAPTED,
     Area.NETWORK, "the engine sets up names and addresses of a container", ""),
    (r"/etc/(ufw/.*|iptables/.*|nftables\.conf|fail2ban/.*|default/ufw)", _ADAPTED, Area.NETWORK,
     "an agent publishes no port; networks keep agents apart", ""),
    (r"/etc/(cloud/.*|grub\.d/.*|default/grub.*|update-motd\.d/.*|motd|issue(\.net)?)", _ADAPTED, Area.FILES,
     "it is for a machine that boots and lets people log in", ""),
    (r"/usr/share/keyrings/.*|/etc/apt/(sources\.list|preferences|keyrings|trusted\.gpg|apt\.conf).*", _NEEDS,
     Area.PACKAGES, "it is for Ubuntu's apt, the base image is Debian 12",
     "Add the source for Debian 12 in a Dockerfile of the profile, if its packages are needed."),
    (r"/etc/(logrotate\.d/.*|logrotate\.conf|rsyslog\.(conf|d/.*)|systemd/journald[./].*)", _ADAPTED, Area.FILES,
     "the engine keeps and turns over what is printed", ""),
    (r"/etc/security/limits\.(conf|d/.*)", _NEEDS, Area.RESOURCES, "limits of a container are the profile's",
     "Write them as limits.ulimits in the profile."),
    (r"/etc/docker/.*|/etc/containerd/.*", _NEEDS, Area.NESTED, "an agent has no container engine of its own",
     "Set it on the engine's machine, if it is still needed."),
    (r"/etc/systemd/(system|user)\.conf(\.d/.*)?|/etc/systemd/logind.*|/etc/init\.d/.*|/etc/rc\.local", _NEEDS,
     Area.SYSTEMD, "a container has no init system", "Make a setup task or a unit with ExecStart of it."),
    (r"/proc/.*|/sys/.*|/dev/(?!null|std|tty|fd/|u?random|zero).*|/boot/.*|/run/.*", _NEEDS, Area.FILES,
     "it belongs to the kernel or to a running system",
     "Find another place for it, if it is still needed."),
)  # fmt: skip
"""Files that have no meaning below the workspace: pattern, severity, area, why, what to do."""
DATABASE_CONFIG: Final = (
    (r"/etc/redis/.*\.conf", "redis"),
    (r"/etc/postgresql/.*", "postgres"),
    (r"/etc/mysql/.*", "mysql"),
    (r"/etc/mysql/.*", "mariadb"),
    (r"/etc/(mongod?|mongodb)\.conf", "mongo"),
    (r"/etc/rabbitmq/.*", "rabbitmq"),
    (r"/etc/memcached\.conf", "memcached"),
    (r"/etc/elasticsearch/.*", "elasticsearch"),
    (r"/etc/influxdb/.*", "influxdb"),
)


def move_files(draft: Draft) -> None:
    """Sort all files of the VM; what stays gets its place, and what points to it follows."""
    kept = [(index, file) for index, file in enumerate(draft.vm.files) if not _settled(draft, index, file)]
    taken: set[str] = set()
    placed: list[tuple[int, VmFile, str]] = []
    for index, file in kept:
        new = _free(new_path(file.path), absolute(file.path), taken)
        if not new:
            todo = "Give the two files different names."
            draft.needs_you(Area.FILES, f"files[{index}]", f"{file.path} is left out", "its place is taken", todo)
            continue
        taken.add(new)
        placed.append((index, file, new))
        if new != absolute(file.path):
            draft.moved[absolute(file.path)] = new
    for index, file, new in placed:
        _put(draft, index, file, new)


def _settled(draft: Draft, index: int, file: VmFile) -> bool:
    """Whether the file is a unit, a part of the system, or a side service's."""
    where, path = f"files[{index}]", absolute(file.path)
    folder, _, name = path.rpartition("/")
    if re.fullmatch(UNIT_FOLDERS, folder) and "." in name:
        draft.units[name] = (file.content.decode(errors="replace"), where)
        return True
    if re.match(rf"({UNIT_FOLDERS})/", path):
        todo = "Put what it says into the unit itself."
        draft.needs_you(Area.SYSTEMD, where, f"{path} is left out", "a container has no systemd", todo)
        return True
    for pattern, severity, area, reason, todo in SYSTEM:
        if re.fullmatch(pattern, path):
            draft.find(severity, area, where, f"{path} is left out", reason, todo)
            return True
    return any(
        _server_config(draft, where, path, name, file)
        for pattern, name in DATABASE_CONFIG
        if re.fullmatch(pattern, path)
    )


def _server_config(draft: Draft, where: str, path: str, name: str, file: VmFile) -> bool:
    beside = draft.beside.get(name)
    if beside is None:
        return False
    if name == "redis":
        beside.config = redis_config(file.content)
        reason = "the server runs there; addresses, pid file and data folder are the image's"
        draft.adapted(Area.FILES, where, f"{path} goes to the side service redis", reason)
        return True
    todo = f"Give the service {name} in the Compose file what is still needed of it, as {BY_NAME[name].image} wants it."
    draft.needs_you(Area.FILES, where, f"{path} is left out", f"the server is the side service {name}", todo)
    return True


def redis_config(content: bytes) -> bytes:
    """Return a Redis configuration for a container: what binds it to one machine is not in it."""
    drop = (
        "bind",
        "protected-mode",
        "daemonize",
        "supervised",
        "pidfile",
        "logfile",
        "dir",
        "unixsocket",
        "unixsocketperm",
    )
    lines = content.decode(errors="replace").splitlines()
    kept = [line for line in lines if (line.split() or [""])[0].lower() not in drop]
    return "".join(f"{line}\n" for line in [*kept, "bind * -::*", "protected-mode no", "dir /data"]).encode()


def _free(wanted: str, old: str, taken: set[str]) -> str:
    """Return a path that is no file or folder of another's; empty when there is none."""
    for path in (wanted, f"{WORKSPACE}/vm{old}"):
        clash = any(inside(path, other) or inside(other, path) for other in taken)
        if not clash and path != WORKSPACE and len(path.encode()) <= MAX_PATH:
            return path
    return ""


def _put(draft: Draft, index: int, file: VmFile, new: str) -> None:
    where, old = f"files[{index}]", absolute(file.path)
    for name in file.notes:
        todo = "Say it with a field that files have (docs/profiles.md), or leave it out."
        draft.needs_you(Area.FILES, f"{where}.{name}", f"{name} is left out", "no such field is known", todo)
    content = _rewritten(draft, where, file)
    draft.files.append(msgspec.structs.replace(file, path=new, content=content, owner="", notes=()))
    draft.file_fields[new] = where
    if file.owner and file.owner.partition(":")[0] not in VM_USERS | {"root", "agent"}:
        reason = "files of the workspace belong to the agent, which runs everything"
        draft.adapted(Area.FILES, f"{where}.owner", f"the owner {file.owner} is left out", reason)
    if new == old:
        return
    if link := _link(old):
        draft.links[link] = new
    way = f", with a link at {link}" if link else ""
    reason = (
        "only the workspace is kept"
        if not link
        else "only the workspace is kept; programs look for it at the old place"
    )
    draft.adapted(Area.FILES, f"{where}.path", f"{file.path} moves to {new}{way}", reason)


def _fitted(draft: Draft, where: str, file: VmFile, text: str) -> str:
    new = fit(absolute(file.path), text)
    if new != text:
        reason = "the server runs as the user agent, without root"
        draft.adapted(Area.FILES, f"{where}.content", f"what needs root is left out of {file.path}", reason)
    return new


def _link(old: str) -> str:
    """Where programs will look for a moved file; empty when only what the profile says leads to it."""
    if hidden := is_hidden_of_home(old):
        return f"{AGENT_HOME}/{hidden}"
    if any(inside(old, folder) for folder in ("/home", "/root", "/tmp", *DATA)):
        return ""
    return old


def _rewritten(draft: Draft, where: str, file: VmFile) -> bytes:
    try:
        text = file.content.decode()
    except UnicodeDecodeError:
        return file.content
    led = rewrite(text, draft.moved)
    if led != text:
        reason = "they point to the VM's home, to data folders, to files that moved or to Node.js"
        draft.adapted(Area.FILES, f"{where}.content", f"paths in {file.path} are rewritten", reason)
    led = _fitted(draft, where, file, led)
    new = hosts(led, draft.beside)
    if new != led:
        reason = "the servers are side services, which are reached by their names"
        draft.adapted(Area.FILES, f"{where}.content", f"hosts in {file.path} are rewritten", reason)
    return new.encode()
