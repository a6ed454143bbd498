"""The Caddyfiles as they are written, the settings that cannot be, and Caddy's words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hub.config import Ingress
from hub.errors import StartFailed
from hub.gateways.ingress.caddy import main_text, sites_text
from hub.gateways.ingress.layout import layout
from hub.gateways.ingress.program import words
from hub.gateways.ingress.sites import Site
from tests.hub.gateways.ingress.fronted import STATE

SITES = [Site("beta", "b.example.com", "127.0.0.1:19101"), Site("acme", "a.example.com", "127.0.0.1:19100")]

MAIN = """\
# Written by clawtui: what is changed here is lost. Put sites of your own into another file.
{
	admin unix/admin.sock
	skip_install_trust
	https_port 8443
	http_port 8080
	storage file_system `/srv/state/ingress/data`
	servers {
		protocols h1 h2
	}
	log {
		output file `/srv/state/ingress/caddy.log` {
			roll_size 10MiB
			roll_keep 3
		}
	}
}
import `/srv/state/ingress/gateways.caddy`
"""

GOLDEN = """\
# Written by clawtui: what is changed here is lost. Put sites of your own into another file.

# gateway acme
https://a.example.com:8443 {
	bind 127.0.0.1 ::1
	tls internal
	request_body {
		max_size 67108864
	}
	reverse_proxy 127.0.0.1:19100 {
		flush_interval 1ms
		header_up -X-Forwarded-For
		header_up -X-Forwarded-Proto
		header_up -X-Forwarded-Host
		transport http {
			dial_timeout 5s
			keepalive off
		}
	}
}

# gateway beta
https://b.example.com:8443 {
	bind 127.0.0.1 ::1
	tls internal
	request_body {
		max_size 67108864
	}
	reverse_proxy 127.0.0.1:19101 {
		flush_interval 1ms
		header_up -X-Forwarded-For
		header_up -X-Forwarded-Proto
		header_up -X-Forwarded-Host
		transport http {
			dial_timeout 5s
			keepalive off
		}
	}
}
"""


def test_the_files_of_a_caddy_of_the_hubs_own() -> None:
    chosen = layout(Ingress(kind="caddy", https_port=8443, http_port=8080, listen=("127.0.0.1", "::1")), STATE)
    assert main_text(chosen) == MAIN
    assert sites_text(SITES, chosen) == GOLDEN


def test_what_settings_change_in_them() -> None:
    files = Ingress(
        kind="caddy", tls="files", certificate=Path("/c/a b.pem"), key=Path("/c/k.pem"), http_port=0, body_bytes=0
    )
    chosen = layout(files, STATE)
    text = sites_text(SITES[:1], chosen)
    assert "\nhttps://b.example.com {\n\ttls `/c/a b.pem` `/c/k.pem`\n\treverse_proxy " in text
    assert "\tauto_https disable_redirects\n" in main_text(chosen)
    assert "http_port" not in main_text(chosen)
    public = sites_text(SITES[:1], layout(Ingress(kind="caddy", tls="automatic"), STATE))
    assert "tls" not in public


def test_where_one_that_runs_already_is_asked() -> None:
    found = layout(Ingress(kind="caddy", caddyfile=Path("/etc/caddy/Caddyfile"), config=Path("/etc/caddy/g")), STATE)
    assert (found.own, found.admin) == (False, "localhost:2019")
    assert (str(found.main), str(found.sites)) == ("/etc/caddy/Caddyfile", "/etc/caddy/g")


@pytest.mark.parametrize(
    ("field", "settings"),
    [
        ("ingress_domain", {"domain": "no domain"}),
        ("ingress_domain", {"domain": "*.example.com"}),
        ("ingress_listen", {"listen": ("everywhere",)}),
        ("ingress_listen", {"listen": ("127.0.0.1 {",)}),
        ("ingress_https_port", {"https_port": 0}),
        ("ingress_http_port", {"https_port": 80}),
        ("ingress_certificate", {"tls": "files"}),
        ("ingress_admin", {"admin": "localhost:2019 }"}),
        ("ingress_admin", {"admin": "localhost"}),
        ("ingress_config", {"config": Path("/etc/`}\nadmin")}),
        ("ingress_config", {"config": Path("/etc/*.caddy")}),
        ("ingress_key", {"tls": "files", "certificate": Path("/c"), "key": Path("/{env.HOME}")}),
    ],
)
def test_a_setting_that_cannot_be_is_named(field: str, settings: dict[str, Any]) -> None:
    with pytest.raises(StartFailed) as refused:
        layout(Ingress(kind="caddy", **settings), STATE)
    assert (refused.value.field, refused.value.code) == (field, "ingress_settings")
    layout(Ingress(**settings), STATE)


@pytest.mark.parametrize(
    ("output", "said"),
    [
        (
            '{"level":"info"}\nError: adapting config: x\x1b:3: bad\nError: caddy process exited',
            "adapting config: x :3: bad",
        ),
        ("validate: error: no such file", "no such file"),
        ('panic\n{"level":"error"}\nlast', "panic"),
        ("", ""),
    ],
)
def test_caddys_words_are_what_is_not_its_log(output: str, said: str) -> None:
    assert words(output) == said
