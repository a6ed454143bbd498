"""Commands that mean something to a machine of one's own and nothing, or something else, to a container."""

from __future__ import annotations

from typing import Final

import msgspec

from profiles.migrate.model import Area, Severity


class Rule(msgspec.Struct, frozen=True):
    """Commands that leave the setup tasks, with the reason and, where a person is needed, what to do."""

    names: tuple[str, ...]
    area: Area
    reason: str
    todo: str = ""

    @property
    def severity(self) -> Severity:
        return Severity.NEEDS_YOU if self.todo else Severity.ADAPTED


_ENGINE: Final = (
    "Build images with clawtui, use a Docker engine elsewhere (DOCKER_HOST), or run Docker-in-Docker yourself."
)
RULES: Final = (
    Rule(("snap",), Area.PACKAGES, "snaps need systemd and a loop device",
         "Take a Debian package, or the maker's own archive, in packages or a setup task."),
    Rule(("flatpak",), Area.PACKAGES, "flatpaks need a desktop's services", "Take a Debian package in its place."),
    Rule(("add-apt-repository", "apt-add-repository", "apt-key"), Area.PACKAGES,
         "package sources of Ubuntu do not fit Debian 12",
         "Find the packages in Debian 12, or add the maker's source for Debian in a Dockerfile of the profile."),
    Rule(("ufw", "iptables", "ip6tables", "nft", "firewall-cmd", "netfilter-persistent"), Area.NETWORK,
         "an agent publishes no port and has no right to filter; networks keep agents apart"),
    Rule(("netplan", "ifup", "ifdown", "ifconfig", "ip", "brctl", "nmcli", "resolvectl", "route"), Area.NETWORK,
         "the engine sets up the network of a container"),
    Rule(("sysctl",), Area.RESOURCES, "the kernel is the host's, for all containers",
         "Set it on the engine's machine, if it is still needed."),
    Rule(("modprobe", "insmod", "rmmod", "depmod", "dkms"), Area.RESOURCES, "modules belong to the host's kernel",
         "Load the module on the engine's machine, if it is still needed."),
    Rule(("mount", "umount", "losetup", "mkfs", "mkfs.ext4", "mkfs.xfs", "fdisk", "parted", "pvcreate", "vgcreate",
          "lvcreate", "growpart", "resize2fs"), Area.FILES, "a container mounts nothing by itself",
         "Name what the agent needs in the profile's volumes: SOURCE:TARGET."),
    Rule(("swapon", "swapoff", "mkswap"), Area.RESOURCES, "swap is the host's; limits.memory_swap says how much of it"),
    Rule(("crontab",), Area.SYSTEMD, "nothing starts jobs by the clock in a container",
         "Send the command as a task from a scheduler outside: cron of the hub's machine with `clawtui task`."),
    Rule(("at", "batch"), Area.SYSTEMD, "nothing starts jobs by the clock in a container",
         "Send the command as a task from a scheduler outside: cron of the hub's machine with `clawtui task`."),
    Rule(("reboot", "shutdown", "poweroff", "halt", "init", "telinit"), Area.SYSTEMD,
         "an image is built without a machine that could be started again"),
    Rule(("update-grub", "grub-install", "update-initramfs", "do-release-upgrade", "unattended-upgrade",
          "dpkg-reconfigure", "cloud-init", "pro", "ua"), Area.PACKAGES, "it looks after a system that boots"),
    Rule(("hostname", "hostnamectl"), Area.NETWORK, "an agent's name is that of its create"),
    Rule(("journalctl", "loginctl", "systemd-analyze", "systemd-tmpfiles", "systemd-sysusers", "busctl"), Area.SYSTEMD,
         "a container has no systemd"),
    Rule(("systemd-run",), Area.SYSTEMD, "a container has no systemd", "Make a unit with ExecStart of it, or a task."),
    Rule(("passwd", "chpasswd", "chage", "visudo", "ssh-import-id", "ssh-import-id-gh", "pam-auth-update"), Area.SSH,
         "nobody logs in to an agent; clawtui shell and exec need no password"),
    Rule(("locale-gen", "update-locale", "localectl"), Area.ENVIRONMENT, "C.UTF-8 is there without being made"),
    Rule(("docker", "docker-compose", "podman", "buildah", "nerdctl", "ctr", "k3s", "minikube", "kind"), Area.NESTED,
         "an agent has no container engine of its own", _ENGINE),
    Rule(("multipass", "vagrant", "virsh", "virt-install", "virt-customize", "qemu-system-x86_64", "qemu-img", "kvm-ok",
          "lxc", "lxd", "incus", "VBoxManage"), Area.NESTED, "a container starts no virtual machines",
         "Give this work to an agent of the VM driver, or to a host that has KVM."),
    Rule(("nvidia-smi", "ubuntu-drivers", "nvidia-ctk", "nvidia-xconfig"), Area.GPU,
         "the driver and its libraries come from the host, and an image is built without a GPU"),
    Rule(("mysql_secure_installation", "pg_lsclusters", "pg_createcluster", "pg_dropcluster", "mysql_install_db",
          "mysql_tzinfo_to_sql"), Area.SETUP_TASKS, "the side service's image sets up its own data"),
)  # fmt: skip
BY_NAME: Final = {name: rule for rule in RULES for name in rule.names}
SYSTEMD: Final = frozenset(
    {"systemctl", "service", "update-rc.d", "invoke-rc.d", "rc-service", "rc-update", "chkconfig"}
)
APT: Final = frozenset({"apt", "apt-get", "aptitude"})
IGNORED_UNITS: Final = (
    r"sshd?|ufw|firewalld|cron|crond|atd|cloud-.*|snapd.*|ntp(sec|d)?|chronyd?|systemd-.*|unattended-upgrades|rsyslog|"
    r"fail2ban|apt-daily.*|multipathd?|qemu-guest-agent|open-vm-tools|networking|NetworkManager|avahi-daemon|dbus|"
    r"fstrim.*|logrotate.*|acpid|irqbalance|polkit|auditd|apparmor|udisks2|ModemManager|motd-news.*|getty.*|"
    r"serial-getty.*|netplan.*|iptables|nftables|netfilter-persistent|multi-user|graphical|default|vm-agent|man-db.*"
)
"""Units that look after a machine."""
ENGINE_UNITS: Final = (
    r"docker|containerd|podman|libvirtd?|libvirt-.*|virtlogd|lxd.*|snap\.lxd.*|multipassd?|k3s|kubelet"
)
PRIVILEGED_GROUPS: Final = frozenset({
    "sudo", "wheel", "docker", "kvm", "libvirt", "libvirtd", "lxd", "adm", "admin", "systemd-journal", "netdev",
    "plugdev", "dialout", "video", "render", "ssl-cert",
})  # fmt: skip
SERVER_TOOLS: Final = {
    "curl": "curl", "wget": "wget", "gpg": "gnupg", "rsync": "rsync", "xz": "xz-utils", "bzip2": "bzip2",
    "file": "file", "less": "less", "vim": "vim", "nano": "nano", "lsb_release": "lsb-release", "bc": "bc",
    "patch": "patch",    "nc": "netcat-openbsd", "htop": "htop", "tmux": "tmux", "screen": "screen", "telnet": "telnet",
    "dig": "bind9-dnsutils", "lsof": "lsof", "pip": "python3-pip", "pip3": "python3-pip",
}  # fmt: skip
"""Programs that Ubuntu's server images bring along, with Debian's package. Anything else has come from the profile."""
