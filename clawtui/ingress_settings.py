"""Settings of the reverse proxy in front of OpenClaw gateways: rows of the table in `clawtui.settings`."""

import dataclasses
from pathlib import Path
from typing import Annotated

from clawtui.values import INGRESS_TLS, INGRESSES, Row, as_ingress, as_ingress_tls, as_list, as_path, as_port, as_size


@dataclasses.dataclass(frozen=True, kw_only=True)
class IngressSettings:
    """Fields of `clawtui.settings.Settings`."""

    ingress: Annotated[
        str,
        Row(
            f"Reverse proxy that leads names to the gateways that the hub runs: {', '.join(INGRESSES)}",
            as_ingress,
            hub="ingress.kind",
        ),
    ] = "off"
    ingress_domain: Annotated[
        str, Row("Domain below which gateways may have names; empty = any", hub="ingress.domain")
    ] = ""
    ingress_config: Annotated[
        Path | None,
        Row(
            "File of the proxy's sites, which the hub writes; empty = ingress/gateways.caddy in the state folder",
            as_path,
            hub="ingress.config",
        ),
    ] = None
    ingress_caddyfile: Annotated[
        Path | None,
        Row(
            "Caddyfile of a Caddy that runs already and imports that file; empty = the hub runs a Caddy of its own",
            as_path,
            hub="ingress.caddyfile",
        ),
    ] = None
    ingress_admin: Annotated[
        str,
        Row(
            "Where Caddy takes a new configuration; empty = a socket in the state folder, and localhost:2019 for one "
            "that runs already",
            hub="ingress.admin",
        ),
    ] = ""
    ingress_caddy: Annotated[str, Row("The caddy program", hub="ingress.caddy")] = "caddy"
    ingress_tls: Annotated[
        str,
        Row(
            f"Where certificates come from: {', '.join(INGRESS_TLS)} (Caddy's own CA, a public CA, the files named "
            "below)",
            as_ingress_tls,
            hub="ingress.tls",
        ),
    ] = "internal"
    ingress_certificate: Annotated[
        Path | None, Row("Certificate (PEM) of all names", as_path, hub="ingress.certificate")
    ] = None
    ingress_key: Annotated[Path | None, Row("Key (PEM) of that certificate", as_path, hub="ingress.key")] = None
    ingress_ca: Annotated[
        Path | None,
        Row("Certificates (PEM) that looks through the proxy trust beside the system's", as_path, hub="ingress.ca"),
    ] = None
    ingress_listen: Annotated[
        tuple[str, ...], Row("Addresses at which the proxy listens; empty = all", as_list, hub="ingress.listen")
    ] = ()
    ingress_http_port: Annotated[
        int, Row("Port that sends browsers to TLS; 0 = none", as_port, hub="ingress.http_port")
    ] = 80
    ingress_https_port: Annotated[int, Row("Port of the names with TLS", as_port, hub="ingress.https_port")] = 443
    ingress_body_bytes: Annotated[
        int, Row("Longest request that the proxy lets through", as_size, hub="ingress.body_bytes")
    ] = 64 * 1024**2
