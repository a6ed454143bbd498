"""Servers that become side services on official images: which image, how it keeps data, what its client is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import msgspec

from profiles.migrate.draft import Beside, Draft
from profiles.migrate.model import Area


class Family(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of server.

    `packages`: pattern of the packages that bring it; a group is its version. `tags`: versions, by prefix of what
    the package says, whose image tag is another; "" = where the package names none. `keeps`: the folder with its data.
    `client`: the package of Debian 12 with its client, empty = Debian has none. `health`: the health check's words.
    `units`, `programs`: systemd units and commands that belong to it. `setup`: its image runs scripts at first start.
    """

    name: str
    image: str
    packages: str
    tags: Mapping[str, str]
    port: int
    health: tuple[str, ...]
    keeps: str = ""
    client: str = ""
    environment: Mapping[str, str] = {}
    schemes: tuple[str, ...] = ()
    variables: str = ""
    units: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    setup: bool = False
    unsure: str = ""


_NO_CLIENT: Final = "Debian 12 has no client of it"
FAMILIES: Final = (
    Family(
        name="postgres", image="postgres", packages=r"postgresql(?:-(\d+(?:\.\d+)?))?|postgresql-(?:server-dev|contrib)"
        r"(?:-\d+)?|postgresql-common", tags={"": "15"}, port=5432, keeps="/var/lib/postgresql/data",
        health=("CMD-SHELL", "pg_isready -U postgres -h 127.0.0.1"), client="postgresql-client",
        environment={"POSTGRES_HOST_AUTH_METHOD": "trust"}, schemes=("postgres", "postgresql", "postgis", "psycopg2"),
        variables=r"PG|POSTGRES|DATABASE|DB", units=("postgresql",), users=("postgres",), setup=True,
        programs=("psql", "createdb", "createuser", "dropdb", "dropuser", "pg_restore", "pg_ctlcluster"),
    ),
    Family(
        name="mysql", image="mysql", packages=r"mysql-server(?:-core)?(?:-(\d+\.\d+))?", tags={"": "8.0"}, port=3306,
        keeps="/var/lib/mysql", health=("CMD-SHELL", "mysqladmin ping -h 127.0.0.1 --silent"),
        client="default-mysql-client", environment={"MYSQL_ALLOW_EMPTY_PASSWORD": "yes"}, schemes=("mysql", "mysql2"),
        variables=r"MYSQL|DATABASE|DB", units=("mysql", "mysqld"), users=("mysql",), setup=True,
        programs=("mysql", "mysqladmin", "mysqlimport"),
    ),
    Family(
        name="mariadb", image="mariadb", packages=r"mariadb-server(?:-core)?(?:-(\d+\.\d+))?", tags={"": "10.11"},
        port=3306, keeps="/var/lib/mysql", health=("CMD-SHELL", "healthcheck.sh --connect --innodb_initialized"),
        client="default-mysql-client", environment={"MARIADB_ALLOW_EMPTY_ROOT_PASSWORD": "yes"},
        schemes=("mysql", "mysql2", "mariadb"), variables=r"MYSQL|MARIADB|DATABASE|DB",
        units=("mariadb", "mysql", "mysqld"), users=("mysql",), setup=True,
        programs=("mysql", "mariadb", "mysqladmin", "mariadb-admin", "mysqlimport"),
    ),
    Family(
        name="redis", image="redis", packages=r"redis(?:-server)?", tags={"": "7"}, port=6379, keeps="/data",
        health=("CMD", "redis-cli", "ping"), client="redis-tools", schemes=("redis", "rediss"),
        variables=r"REDIS|CACHE",        units=("redis", "redis-server"), users=("redis",), programs=("redis-cli",),
    ),
    Family(
        name="mongo", image="mongo", packages=r"mongodb(?:-server)?|mongodb-org(?:-server)?(?:-(\d+\.\d+))?",
        tags={"": "7"}, port=27017, keeps="/data/db",
        health=("CMD-SHELL", "mongosh --quiet --eval 'db.runCommand({ping: 1})' || mongo --quiet --eval 'db.stats()'"),
        schemes=("mongodb", "mongodb+srv"), variables=r"MONGO", units=("mongod", "mongodb"),
        programs=("mongo", "mongosh", "mongorestore", "mongoimport"), unsure=_NO_CLIENT,
    ),
    Family(
        name="rabbitmq", image="rabbitmq", packages=r"rabbitmq-server", tags={"": "3"}, port=5672,
        keeps="/var/lib/rabbitmq", health=("CMD", "rabbitmq-diagnostics", "-q", "ping"), client="amqp-tools",
        schemes=("amqp", "amqps"), variables=r"RABBIT|AMQP|BROKER", units=("rabbitmq-server", "rabbitmq"),
        users=("rabbitmq",), programs=("rabbitmqctl", "rabbitmq-plugins"),
    ),
    Family(
        name="memcached", image="memcached", packages=r"memcached", tags={"": "1.6"}, port=11211,
        health=("CMD-SHELL", "bash -c 'exec 3<>/dev/tcp/127.0.0.1/11211'"), client="libmemcached-tools",
        schemes=("memcached", "memcache"), variables=r"MEMCACHE|CACHE", units=("memcached",), users=("memcache",),
    ),
    Family(
        name="elasticsearch", image="elasticsearch", packages=r"elasticsearch", tags={"": "8.17.0"}, port=9200,
        keeps="/usr/share/elasticsearch/data",
        health=("CMD-SHELL", "curl -fsS http://127.0.0.1:9200/_cluster/health"),
        environment={"discovery.type": "single-node", "xpack.security.enabled": "false"}, variables=r"ELASTIC|ES",
        units=("elasticsearch",), programs=("elasticsearch-plugin",),
        unsure="Elasticsearch has no tag for a major version alone, and the package names no version",
    ),
    Family(
        name="influxdb", image="influxdb", packages=r"influxdb", tags={"": "1.8"}, port=8086, keeps="/var/lib/influxdb",
        health=("CMD", "influx", "-execute", "SHOW DATABASES"), client="influxdb-client", variables=r"INFLUX",
        units=("influxdb", "influxd"), programs=("influx",),
    ),
)  # fmt: skip
BY_NAME: Final = {family.name: family for family in FAMILIES}
UBUNTU: Final[Mapping[str, Mapping[str, str]]] = {
    "20.04": {"postgres": "12", "mariadb": "10.3", "redis": "5", "mongo": "3.6"},
    "22.04": {"postgres": "14", "mariadb": "10.6", "redis": "6"},
    "24.04": {"postgres": "16", "mariadb": "10.11"},
}
"""What the packages without a version were in the VM's own system."""
CODE_NAMES: Final = {"focal": "20.04", "jammy": "22.04", "noble": "24.04", "lts": "24.04"}


def family_of(package: str) -> tuple[Family, str] | None:
    """Return which server a package brings, and the version in its name (empty = none)."""
    for family in FAMILIES:
        if match := re.fullmatch(family.packages, package):
            return family, (match[1] or "") if match.lastindex else ""
    return None


def add_server(draft: Draft, package: str, where: str) -> bool:
    """Make a side service of a server's package; returns whether it is one."""
    found = family_of(package)
    if found is None:
        return False
    family, version = found
    tag = version or _tag(draft, family)
    known = draft.beside.get(family.name)
    if known is None:
        draft.beside[family.name] = Beside(family.name, tag, where)
    elif version and known.version != version:
        known.version = version
    _tell(draft, family, package, where, version, tag)
    if family.client:
        draft.packages.setdefault(family.client, where)
    return True


def _tag(draft: Draft, family: Family) -> str:
    release = release_of(draft)
    return UBUNTU.get(release, {}).get(family.name, family.tags[""])


def release_of(draft: Draft) -> str:
    """The Ubuntu release that the VM says it runs, as far as it does."""
    said = str(draft.vm.extra.get("image", draft.vm.extra.get("release", ""))).lower()
    return next((number for word, number in CODE_NAMES.items() if word in said), said[-5:])


def _tell(draft: Draft, family: Family, package: str, where: str, version: str, tag: str) -> None:
    image = f"{family.image}:{tag}"
    left = f"; {family.client} stays in the agent" if family.client else ""
    message = f"{package} becomes the side service {family.name} on {image}{left}"
    if family.unsure:
        todo = f"Check the image {image} in the Compose file; bring the client that the agent needs, if it needs one."
        draft.needs_you(
            Area.PACKAGES, where, message, f"a server runs in a container of its own, and {family.unsure}", todo
        )
        return
    why = "the same major version" if version else "the package names no version: that of its system, or Debian 12"
    draft.adapted(Area.PACKAGES, where, message, f"a server runs in a container of its own, with its data; {why}")
