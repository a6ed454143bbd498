"""Where the parts of the ingress are, out of the settings, checked. Pure but for the paths' being absolute."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Final

import msgspec

from hub.config import Ingress
from hub.errors import StartFailed
from hub.gateways.ingress.sites import is_host_name

SITES_FILE: Final = "gateways.caddy"
MAIN_FILE: Final = "Caddyfile"
OWN_ADMIN: Final = "unix/admin.sock"
"""Seen from the folder, in which every caddy of ours runs: the path of a Unix socket may have 107 bytes only."""
SOCKET: Final = "admin.sock"
FOREIGN_ADMIN: Final = "localhost:2019"
_ADMIN: Final = re.compile(r"unix/[\w./@+-]+|(?:[\w.-]+|\[[0-9a-fA-F:.]+\]):\d{1,5}", re.ASCII)
_UNFIT: Final = frozenset("`{}*?[]\n\r\t")
"""Letters of a path that would be something else in a Caddyfile: quotes, placeholders, patterns of `import`."""


class Layout(msgspec.Struct, frozen=True, kw_only=True):
    """`folder` is ours alone. `sites` is the file that the hub writes, `main` what Caddy is started with; `own`: the
    hub writes that too, and runs Caddy. `admin` as caddy's `--address` wants it."""

    folder: Path
    sites: Path
    main: Path
    own: bool
    admin: str
    settings: Ingress

    @property
    def storage(self) -> Path:
        """Certificates and the keys of Caddy's own CA."""
        return self.folder / "data"

    @property
    def root(self) -> Path:
        """The certificate of Caddy's own CA."""
        return self.storage / "pki" / "authorities" / "local" / "root.crt"

    @property
    def log(self) -> Path:
        return self.folder / "caddy.log"


def layout(settings: Ingress, state_folder: Path) -> Layout:
    """Raises StartFailed: a setting that cannot be; `field` names it."""
    folder = state_folder.absolute() / "ingress"
    own = settings.caddyfile is None
    main = folder / MAIN_FILE if settings.caddyfile is None else settings.caddyfile.absolute()
    sites = folder / SITES_FILE if settings.config is None else settings.config.absolute()
    admin = settings.admin or (OWN_ADMIN if own else FOREIGN_ADMIN)
    found = Layout(folder=folder, sites=sites, main=main, own=own, admin=admin, settings=settings)
    if settings.kind != "off":
        _check(found)
    return found


def _check(found: Layout) -> None:
    settings = found.settings
    if settings.domain and not is_host_name(settings.domain):
        raise _wrong("ingress_domain", f"{settings.domain[:80]!r} is not the name of a domain", "agents.example.com")
    for address in settings.listen:
        try:
            ipaddress.ip_address(address)
        except ValueError as exc:
            hint = "an address of this machine, such as 127.0.0.1; empty for all"
            raise _wrong("ingress_listen", f"{address[:80]!r} is no IP address", hint) from exc
    if settings.https_port == 0:
        raise _wrong("ingress_https_port", "the proxy needs a port with a number", "443")
    if settings.https_port == settings.http_port:
        raise _wrong("ingress_http_port", "both ports of the proxy are the same", "0 switches the one without TLS off")
    if settings.tls == "files" and (settings.certificate is None or settings.key is None):
        raise _wrong("ingress_certificate", "ingress_tls = files needs a certificate and its key", "ingress_key")
    if _ADMIN.fullmatch(found.admin) is None:
        raise _wrong("ingress_admin", f"{found.admin[:80]!r} is no address", "localhost:2019")
    paths = {"ingress_config": found.sites, "home": found.folder, "ingress_certificate": settings.certificate}
    for field, path in {**paths, "ingress_key": settings.key}.items():
        if path is not None and (found_in := sorted(_UNFIT & set(str(path)))):
            raise _wrong(field, f"a path with {found_in[0]!r} cannot be written into a Caddyfile", "choose another one")


def _wrong(field: str, message: str, hint: str) -> StartFailed:
    return StartFailed(f"setting {field}: {message}", field=field, hint=hint, code="ingress_settings")
