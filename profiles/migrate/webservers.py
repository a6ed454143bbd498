"""Web servers and other daemons of Debian packages, as programs in the foreground that need no root."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import msgspec


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """How a package's daemon runs beside an agent.

    `argv`: in the foreground. `units`: its systemd units. `ports`: where it listens as it is installed. `prepare`:
    shell text that lets the agent's user run it: its logs, its state, its pid file. `configs`: folders of its
    configuration. `web`: it serves what others ask for, so its ports are named in the Dockerfile.
    """

    argv: tuple[str, ...]
    units: tuple[str, ...]
    ports: tuple[int, ...] = ()
    prepare: str = ""
    web: bool = True


_NGINX: Final = Server(
    argv=("nginx", "-g", "daemon off;"),
    units=("nginx",),
    ports=(80,),
    # The line that is put in comes first: sed begins its next cycle with a deleted one.
    prepare="sed -i --follow-symlinks -E -e '1i pid /tmp/nginx.pid;' -e '/^[[:space:]]*(pid|user)[[:space:]]/d'"
    " /etc/nginx/nginx.conf && ln -sf /dev/stdout /var/log/nginx/access.log"
    " && ln -sf /dev/stderr /var/log/nginx/error.log && chown -hR agent:agent /var/lib/nginx /var/log/nginx",
)
_APACHE: Final = Server(
    argv=("apache2ctl", "-D", "FOREGROUND"),
    units=("apache2", "httpd"),
    ports=(80,),
    prepare="sed -i -e 's|^export APACHE_RUN_DIR=.*|export APACHE_RUN_DIR=/tmp/apache2|'"
    " -e 's|^export APACHE_LOCK_DIR=.*|export APACHE_LOCK_DIR=/tmp/apache2|'"
    " -e 's|^export APACHE_PID_FILE=.*|export APACHE_PID_FILE=/tmp/apache2/apache2.pid|'"
    " -e 's|^export APACHE_RUN_USER=.*|export APACHE_RUN_USER=agent|'"
    " -e 's|^export APACHE_RUN_GROUP=.*|export APACHE_RUN_GROUP=agent|' /etc/apache2/envvars"
    " && echo 'ServerName localhost' > /etc/apache2/conf-enabled/servername.conf"
    " && chown -R agent:agent /var/log/apache2 /var/cache/apache2",
)
SERVERS: Final[Mapping[str, Server]] = {
    "nginx": _NGINX,
    "nginx-full": _NGINX,
    "nginx-light": _NGINX,
    "nginx-extras": _NGINX,
    "nginx-core": _NGINX,
    "apache2": _APACHE,
    "caddy": Server(
        argv=("caddy", "run", "--config", "/etc/caddy/Caddyfile", "--adapter", "caddyfile"),
        units=("caddy",),
        ports=(80,),
        prepare="chown -R agent:agent /var/lib/caddy",
    ),
    "haproxy": Server(
        argv=("haproxy", "-W", "-db", "-f", "/etc/haproxy/haproxy.cfg"),
        units=("haproxy",),
        prepare="sed -i --follow-symlinks -E '/^[[:space:]]*(chroot|user|group|daemon|stats socket)([[:space:]]|$)/d'"
        " /etc/haproxy/haproxy.cfg",
    ),
    "lighttpd": Server(
        argv=("lighttpd", "-D", "-f", "/etc/lighttpd/lighttpd.conf"),
        units=("lighttpd",),
        ports=(80,),
        prepare="sed -i --follow-symlinks -E -e 's|^server.pid-file.*|server.pid-file = \"/tmp/lighttpd.pid\"|'"
        " -e '/^server\\.(username|groupname)/d' /etc/lighttpd/lighttpd.conf"
        " && chown -R agent:agent /var/log/lighttpd /var/cache/lighttpd",
    ),
}
"""Package to web server; each ran as the user `agent` without capabilities in a container of Debian 12."""
DAEMONS: Final[Mapping[str, Server]] = {
    "mosquitto": Server(argv=("mosquitto",), units=("mosquitto",), ports=(1883,), web=False),
    "squid": Server(
        argv=("squid", "-N", "-d", "1"),
        units=("squid",),
        ports=(3128,),
        prepare="chown -R agent:agent /var/log/squid /var/spool/squid /run/squid",
        web=False,
    ),
    "tor": Server(argv=("tor", "--DataDirectory", "/tmp/tor"), units=("tor",), ports=(9050,), web=False),
    "prometheus": Server(
        argv=(
            "prometheus",
            "--config.file=/etc/prometheus/prometheus.yml",
            "--storage.tsdb.path=/workspace/prometheus",
        ),
        units=("prometheus",),
        ports=(9090,),
        web=False,
    ),
    "prometheus-node-exporter": Server(
        argv=("prometheus-node-exporter",), units=("prometheus-node-exporter",), ports=(9100,), web=False
    ),
    "php-fpm": Server(
        argv=("php-fpm8.2", "-F", "-d", "error_log=/dev/stderr"),
        units=("php-fpm", "php8.2-fpm"),
        prepare="sed -i --follow-symlinks -E -e 's|^pid = .*|pid = /tmp/php-fpm.pid|'"
        " -e 's|^error_log = .*|error_log = /dev/stderr|'"
        " /etc/php/8.2/fpm/php-fpm.conf && install -d -o agent -g agent /run/php",
        web=False,
    ),
}
"""Package to other daemons, which run where a unit of theirs is enabled, or as they are installed."""
ALL: Final[Mapping[str, Server]] = {**SERVERS, **DAEMONS, "php8.2-fpm": DAEMONS["php-fpm"]}


def fit(path: str, text: str) -> str:
    """Return a server's main configuration as its Dockerfile would change it: without what needs root."""
    if path == "/etc/nginx/nginx.conf":
        return "pid /tmp/nginx.pid;\n" + re.sub(r"(?m)^[ \t]*(pid|user)\s.*\n?", "", text)
    if path == "/etc/haproxy/haproxy.cfg":
        return re.sub(r"(?m)^[ \t]*(chroot|user|group|daemon|stats socket)([ \t].*)?(\n|$)", "", text)
    if path == "/etc/lighttpd/lighttpd.conf":
        fitted = re.sub(r"(?m)^server\.pid-file.*", 'server.pid-file = "/tmp/lighttpd.pid"', text)
        return re.sub(r"(?m)^server\.(username|groupname).*\n?", "", fitted)
    return text
