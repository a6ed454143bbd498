"""Packages of Ubuntu's server images on Debian 12: which stay, which have another name, which make no sense here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from profiles.migrate.databases import add_server
from profiles.migrate.draft import Draft
from profiles.migrate.model import Area
from profiles.migrate.webservers import SERVERS

_HOST = "the host's own system does that for every container"
_ONE = "a container has no init system of its own"
DROPPED: Final = (
    (r"openssh-server|ssh|dropbear.*|mosh|fail2ban", Area.SSH, "agents are reached with clawtui shell and exec"),
    (r"cloud-init|cloud-.*|landscape-.*|ubuntu-(server|standard|minimal|advantage.*|pro.*)", Area.PACKAGES,
     "the image is made once, at its build"),
    (r"snapd", Area.PACKAGES, "snaps need systemd and a loop device"),
    (r"systemd(-sysv|-resolved|-timesyncd|-container|-cron)?|dbus-user-session|init|libpam-systemd",
     Area.SYSTEMD, _ONE),
    (r"linux-(image|headers|modules|generic|virtual|tools|cloud-tools|aws|kvm).*|dkms|initramfs-tools|kmod",
     Area.PACKAGES, "the kernel is the host's"),
    (r"grub.*|shim-signed|efibootmgr|os-prober", Area.PACKAGES, "a container does not boot"),
    (r"ufw|firewalld|iptables-persistent|netfilter-persistent|nftables|iptables", Area.NETWORK,
     "an agent publishes no port and has no right to filter; networks keep agents apart"),
    (r"netplan\.io|ifupdown.*|network-manager|bridge-utils|resolvconf", Area.NETWORK, "the engine sets up the network"),
    (r"ntp(date|sec)?|chrony|openntpd", Area.PACKAGES, f"the clock is the host's: {_HOST}"),
    (r"qemu-guest-agent|open-vm-tools.*|virtualbox-guest-.*|spice-vdagent|hyperv-daemons|xe-guest-utilities",
     Area.PACKAGES, "it talks to a hypervisor, and there is none"),
    (r"unattended-upgrades|update-notifier.*|needrestart|apt-daily.*|update-manager.*", Area.PACKAGES,
     "updates come with the next build of the image"),
    (r"rsyslog|syslog-ng.*|logrotate|auditd", Area.PACKAGES, "the engine keeps and turns over what is printed"),
    (r"acpid|irqbalance|thermald|smartmontools|lvm2|mdadm|parted|open-iscsi|multipath-tools|apparmor.*|plymouth.*",
     Area.PACKAGES, _HOST),
    (r"sudo", Area.PACKAGES, 'setup tasks are root already; agents with "sudo": true get it by themselves'),
    (r"software-properties-common|apt-transport-https|ubuntu-keyring|ppa-purge", Area.PACKAGES,
     "it adds Ubuntu's package sources"),
    (r"language-pack-.*|ubuntu-.*-default-settings", Area.PACKAGES, "Debian has no language packs; C.UTF-8 is there"),
    (r"git|python3|procps|openssh-client|ca-certificates|python3-venv", None, "the base image has it"),
    (r"nodejs|npm|node", Area.PACKAGES, "the base image has Node.js 24 with npm; Debian's would hide behind it"),
)  # fmt: skip
"""Pattern, area, why. Area None: is there already, and may be named again."""
NESTED: Final = (
    r"qemu(-system.*|-kvm|-utils)?|kvm|libvirt-.*|libvirt0|virtinst|virt-manager|virtualbox.*|vagrant|multipass|"
    r"lxd(-.*)?|lxc|incus|cpu-checker|firecracker"
)
ENGINES: Final = r"docker\.io|docker-ce(-.*)?|docker-compose(-plugin|-v2)?|docker|containerd(\.io)?|podman|buildah|runc"
CRON: Final = r"cron|cronie|anacron|systemd-cron|at"
GPU: Final = r"nvidia-.*|cuda.*|libcudnn.*|libnvidia-.*|ubuntu-drivers-common|rocm.*"
RENAMED: Final[Mapping[str, str]] = {
    "mysql-client": "default-mysql-client", "mysql-client-8.0": "default-mysql-client",
    "mysql-client-core-8.0": "default-mysql-client", "chromium-browser": "chromium", "firefox": "firefox-esr",
    "netcat": "netcat-openbsd", "python": "python3", "python-pip": "python3-pip", "python-dev": "python3-dev",
    "python-virtualenv": "python3-virtualenv", "yarn": "yarnpkg",
    "libmysqlclient-dev": "default-libmysqlclient-dev", "awscli-v2": "awscli",
    "redis-cli": "redis-tools", "fonts-ubuntu": "fonts-dejavu-core",
}  # fmt: skip
"""The same thing under Debian 12's name."""
VERSIONED: Final = (
    (r"python3\.(\d+)(?:-.*)?", ("11",), "Python 3.11 is Debian 12's: python3; others come from uv or pyenv."),
    (r"openjdk-(\d+)-.*", ("17",), "Debian 12 has openjdk-17 only; take it, or a Temurin build in a setup task."),
    (r"(?:gcc|g\+\+|gfortran|cpp)-(\d+)", ("11", "12"), "Debian 12 has 11 and 12; build-essential has 12."),
    (r"(?:clang|llvm|lld|clang-format|clang-tidy)-(\d+)", ("13", "14", "15", "16"), "Debian 12 has 13 to 16."),
    (r"(?:libapache2-mod-)?php(\d+\.\d+)(?:-.*)?", ("8.2",), "Debian 12 has php8.2; write php without a version."),
    (r"ruby(\d+\.\d+)(?:-dev)?", ("3.1",), "Debian 12 has ruby3.1; others come from rbenv."),
    (r"golang-(\d+\.\d+)(?:-.*)?", ("1.19",), "Debian 12 has golang-1.19; others come from go.dev in a setup task."),
    (r"postgresql-client-(\d+)", ("15",), "Debian 12 has one client, postgresql-client; it talks to older servers."),
    (r"lua(5\.\d)", ("5.1", "5.2", "5.3", "5.4"), "Debian 12 has 5.1 to 5.4."),
    (r"libssl(\d+(?:\.\d+)*)", ("3",), "Debian 12 has libssl3; what needs an older one is to be rebuilt."),
    (r"nodejs-(\d+)|node-(\d+)", (), "The base image has Node.js 24; others come from nvm in a setup task."),
    (r"dotnet-.*?(\d+\.\d+)", (), "Debian has no .NET: take Microsoft's install script in a setup task."),
    (r"mysql-client-(?:core-)?(\d+\.\d+)", ("8.0",), "default-mysql-client talks to all of them."),
)  # fmt: skip
"""Pattern with the version, what Debian 12 has, what to do."""
ABSENT: Final = (
    r"kubernetes-.*|kubeadm|kubelet|terraform|vault|consul|nomad|packer|google-chrome(-stable|-beta)?|google-cloud-.*|"
    r"azure-cli|code|slack-desktop|mongodb-(mongosh|org-.*|database-tools|clients)|yarn-stable|python2(\..*)?|"
    r"python-minimal|influxdb2.*|grafana(-.*)?|jenkins|gitlab-.*|kibana|logstash|filebeat|metricbeat|helm|"
    r"datadog-agent|newrelic-.*|amazon-cloudwatch-agent|cassandra|couchdb|neo4j|kafka|sbt|powershell|"
    r"linux-tools-.*|bpfcc-tools-.*|ansible-core-ppa|eksctl|temurin-.*|zulu.*|msodbcsql.*|mssql-.*|chefdk|puppet-agent"
)
"""Names that Debian 12 does not have: they come from the package sources of their makers."""


def place(draft: Draft, written: str, where: str) -> None:
    """Decide about one package: keep it, give it its new name, drop it, or make another thing of it."""
    name, _, version = written.partition("=")
    name = name.partition(":")[0] if name.endswith((":amd64", ":any")) else name
    if version:
        message = f"{name} is installed without its version {version}"
        todo = f"Write the version that Debian 12 has (apt-cache policy {name}), or leave it as it is now."
        draft.needs_you(Area.PACKAGES, where, message, "a version of Ubuntu's package is not in Debian 12", todo)
    if _dropped(draft, name, where) or _special(draft, name, where) or add_server(draft, name, where):
        return
    if _versioned(draft, name, where):
        return
    if re.fullmatch(ABSENT, name):
        todo = f"Install {name} in a setup task as its maker says for Debian 12, or leave it out."
        draft.needs_you(Area.PACKAGES, where, f"{name} is left out", "Debian 12 has no such package", todo)
        return
    renamed = RENAMED.get(name, name)
    if renamed != name:
        draft.adapted(Area.PACKAGES, where, f"{name} becomes {renamed}", "Debian 12 calls it so")
    elif name in SERVERS:
        message, reason = (
            f"{name} is installed by the Dockerfile",
            "a web server runs in the foreground beside the agent",
        )
        draft.adapted(Area.PACKAGES, where, message, reason)
    draft.packages.setdefault(renamed, where)


def _dropped(draft: Draft, name: str, where: str) -> bool:
    for pattern, area, reason in DROPPED:
        if re.fullmatch(pattern, name):
            if area is None:
                draft.packages.setdefault(name, where)
            else:
                draft.adapted(area, where, f"{name} is left out", reason)
            return True
    return False


def _special(draft: Draft, name: str, where: str) -> bool:
    """What asks for more of the platform than a package."""
    if re.fullmatch(NESTED, name):
        todo = "Give this work to an agent of the VM driver, or to a host that has KVM."
        draft.needs_you(Area.NESTED, where, f"{name} is left out", "a container starts no virtual machines", todo)
    elif re.fullmatch(ENGINES, name):
        todo = (
            "Build images with clawtui, use a Docker engine elsewhere (DOCKER_HOST), or run Docker-in-Docker yourself."
        )
        draft.needs_you(Area.NESTED, where, f"{name} is left out", "an agent has no container engine of its own", todo)
    elif re.fullmatch(CRON, name):
        reason = "nothing starts jobs by the clock in a container; the entries have findings of their own"
        draft.adapted(Area.SYSTEMD, where, f"{name} is left out", reason)
    elif re.fullmatch(GPU, name):
        draft.gpu = True
        reason = "the driver and its libraries come from the host, through the NVIDIA Container Toolkit"
        draft.adapted(Area.GPU, where, f'{name} is left out, the profile asks for "gpu": "all"', reason)
    else:
        return False
    return True


def _versioned(draft: Draft, name: str, where: str) -> bool:
    for pattern, there, todo in VERSIONED:
        match = re.fullmatch(pattern, name)
        if match is None:
            continue
        version = next((group for group in match.groups() if group), "")
        if version in there:
            break
        draft.needs_you(Area.PACKAGES, where, f"{name} is left out", "Debian 12 does not have this version", todo)
        return True
    return False
