"""Caddy itself in front of gateways: names come and go, what it refuses changes nothing, and it outlives the hub."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
from pathlib import Path

import pytest

from hub.contract import AttentionQuery, GatewayHealthQuery, GatewayState, IngressRoute, InstancePhase
from hub.errors import Conflict, NotAvailable
from hub.gateways.ingress.layout import Layout
from hub.gateways.ingress.program import Caddy
from tests.hub.gateways.fake_gateway import Condition, FakeGateway, Turn
from tests.hub.gateways.ingress.fronted import caller, end_caddy, free_port, fronted, instance, loopback, named
from tests.hub.running import RunningHub, running_hub, short_folder

pytestmark = pytest.mark.caddy

NAME = "acme.example.com"


async def seen(hub: RunningHub, state: GatewayState, gateway: str = "acme") -> IngressRoute:
    """The route, once a look through the proxy found it so."""

    def route() -> IngressRoute | None:
        routes = hub.hub.running.ingress.view().routes
        return next((one for one in routes if one.gateway == gateway and one.state is state), None)

    return await hub.until(route, f"{gateway} is {state} through the proxy: {hub.hub.running.ingress.view()}")


def process(layout: Layout) -> int:
    return int((layout.folder / "caddy.pid").read_text())


async def test_a_gateway_with_a_name_answers_there_with_tls_while_the_answer_comes() -> None:
    held = asyncio.Event()
    gateway = FakeGateway(token="", roster=("engineer",))
    gateway.turns = [Turn(pieces=("one", "two"), hold=held)]
    async with gateway.serving(), fronted(loopback()) as hub:
        await named(hub, "acme", NAME, gateway.url)
        route = await seen(hub, GatewayState.READY)
        assert (route.domain, route.upstream, route.problem) == (NAME, gateway.url.removeprefix("http://"), "")
        async with caller(hub.hub.running.ingress.layout, NAME, gateway.token) as client:
            body = {"model": "openclaw:engineer", "input": "hello", "stream": True}
            async with client.stream("POST", "/v1/responses", json=body) as answer:
                pieces = answer.aiter_text()
                text = ""
                async with asyncio.timeout(20):
                    while "one" not in text:
                        text += await anext(pieces)
                    assert "two" not in text
                    # A load of another configuration meanwhile does not cut it.
                    await named(hub, "beta", "beta.example.com", gateway.url)
                    await seen(hub, GatewayState.READY, "beta")
                    held.set()
                    text += "".join([piece async for piece in pieces])
        assert "response.completed" in text
        assert text.endswith("data: [DONE]\n\n")

        checks = await hub.control.gateway_health(GatewayHealthQuery(names="acme", checks=1_000))
        through = [one for one in checks.gateways[0].checks if one.via == "ingress"]
        assert any(one.healthy and one.response_ms is not None for one in through)
        shown = hub.kernel.metrics.exposition().decode()
        assert "clawtui_ingress_up 1.0" in shown
        assert 'clawtui_ingress_gateway_up{gateway="acme"} 1.0' in shown
        assert (hub.hub.running.ingress.layout.folder.stat().st_mode & 0o777) == 0o700


async def test_names_go_with_their_gateways_and_a_gateway_that_is_away_is_told_as_such() -> None:
    gateway = FakeGateway(token="")
    async with gateway.serving(), fronted(loopback()) as hub:
        await named(hub, "acme", NAME, gateway.url)
        await seen(hub, GatewayState.READY)
        gateway.condition = Condition.PROXY
        refused = await seen(hub, GatewayState.REFUSED)
        assert "a proxy that it does not trust" in refused.problem
        gateway.condition = Condition.READY
        await gateway.stop()
        down = await seen(hub, GatewayState.DOWN)
        assert down.problem == f"the proxy does not reach it at {down.upstream} (HTTP 502)"
        await gateway.start()

        await hub.hub.running.instances.room.book.save(instance("acme", NAME, phase=InstancePhase.STOPPED))
        left = await seen(hub, GatewayState.UNKNOWN)
        assert left.problem == "the gateway is stopped"
        sites = hub.hub.running.ingress.layout.sites
        await hub.until(lambda: NAME not in sites.read_text(), "its site is gone")


async def test_what_caddy_refuses_changes_nothing_and_is_said_in_its_words() -> None:
    gateway = FakeGateway(token="")
    with short_folder() as home:
        settings = loopback()
        async with gateway.serving(), fronted(settings, home / "s") as hub:
            await named(hub, "acme", NAME, gateway.url)
            await seen(hub, GatewayState.READY)
            layout = hub.hub.running.ingress.layout
            before = layout.main.read_text(), layout.sites.read_text()
        # Caddy is ended; the next hub wants a port that is taken.
        with socket.create_server(("127.0.0.1", 0)) as taken:
            busy = loopback(https_port=taken.getsockname()[1])
            async with gateway.serving(), fronted(busy, home / "s") as hub:
                with pytest.raises(Conflict) as refused:
                    await hub.control.apply_ingress()
                assert refused.value.code == "ingress_refused"
                assert "address already in use" in refused.value.message
                assert (layout.main.read_text(), layout.sites.read_text()) == before
                view = await hub.control.ingress()
                assert (view.problem, view.applied_at) == (refused.value.message, None)
                asked = (await hub.control.attention(AttentionQuery())).attention
                assert [one.kind for one in asked if one.kind.startswith("ingress")] == ["ingress_refused"]
                assert await hub.audited("ingress.apply") == [("caddy", "failed"), ("caddy", "ok")]
                # What was in force serves on, with the ports that it had.
                async with caller(layout, NAME) as client:
                    assert (await client.get("/healthz")).json() == {"ok": True, "status": "live"}


async def test_a_caddy_that_is_killed_is_started_again() -> None:
    gateway = FakeGateway(token="")
    async with gateway.serving(), fronted(loopback()) as hub:
        await named(hub, "acme", NAME, gateway.url)
        await seen(hub, GatewayState.READY)
        first = process(hub.hub.running.ingress.layout)
        os.kill(first, signal.SIGKILL)
        await hub.until(lambda: process(hub.hub.running.ingress.layout) != first, "another process")
        await seen(hub, GatewayState.READY)


async def test_it_outlives_the_hub_and_ends_with_a_hub_that_wants_none() -> None:
    gateway = FakeGateway(token="")
    with short_folder() as home:
        settings = loopback()
        async with gateway.serving():
            async with running_hub(home / "s", ingress=settings) as hub:
                await named(hub, "acme", NAME, gateway.url)
                await seen(hub, GatewayState.READY)
                layout = hub.hub.running.ingress.layout
            try:
                pid = process(layout)
                async with caller(layout, NAME) as client:
                    assert (await client.get("/readyz")).status_code == 200
                async with running_hub(home / "s", ingress=settings) as hub:
                    await seen(hub, GatewayState.READY)
                    assert process(layout) == pid
                async with running_hub(home / "s") as hub:
                    await hub.until(lambda: not Path(f"/proc/{pid}").exists(), "it has ended")
                    assert (await hub.control.ingress()).kind == ""
                    with pytest.raises(NotAvailable, match="no reverse proxy is set up"):
                        await hub.control.apply_ingress()
            finally:
                await end_caddy(layout)


async def test_a_caddy_that_runs_already_serves_both_its_own_sites_and_ours() -> None:
    gateway = FakeGateway(token="")
    with short_folder() as home:
        main, sites, port, admin = home / "Caddyfile", home / "ours" / "gateways.caddy", free_port(), free_port()
        sites.parent.mkdir()
        theirs = f"http://127.0.0.1:{free_port()} {{\n\trespond mine\n}}\n"
        main.write_text(
            f"{{\n\tadmin localhost:{admin}\n\tskip_install_trust\n\tauto_https disable_redirects\n}}\n"
            f"{theirs}import ours/*.caddy\n"
        )
        settings = loopback(
            https_port=port, caddyfile=main, config=sites, admin=f"localhost:{admin}", ca=home / "root.crt"
        )
        (home / "root.crt").write_text("")
        async with gateway.serving(), running_hub(home / "s", timing=None, ingress=settings) as hub:
            layout = hub.hub.running.ingress.layout
            with pytest.raises(Conflict, match="no Caddy takes configurations at localhost"):
                await hub.control.apply_ingress()
            asked = (await hub.control.attention(AttentionQuery())).attention
            assert [one.kind for one in asked if one.kind.startswith("ingress")] == ["ingress_away"]
            assert not sites.exists()
            caddy = Caddy(layout)
            written = main.read_text()
            main.write_text(written.replace("import ours/*.caddy\n", ""))
            await caddy.start()
            try:
                main.write_text(written)
                await hub.control.apply_ingress()
                assert main.read_text() == written
                await named(hub, "acme", NAME, gateway.url)
                view = await hub.control.apply_ingress()
                assert [one.domain for one in view.routes] == [NAME]
                old = sites.read_text()
                assert f"https://{NAME}:{port} {{" in old
                # A hand-made site with a name of ours: Caddy refuses, and nothing of ours is changed.
                main.write_text(f"{written}https://twin.example.com:{port} {{\n}}\n")
                await named(hub, "twin", "twin.example.com", gateway.url)
                with pytest.raises(Conflict, match=r"Caddy refuses the configuration: .*twin\.example\.com"):
                    await hub.control.apply_ingress()
                assert sites.read_text() == old
            finally:
                await caddy.stop()


async def test_a_program_that_is_not_there_is_named() -> None:
    async with running_hub(ingress=loopback(caddy="/nowhere/caddy")) as hub:
        with pytest.raises(Conflict, match="the program /nowhere/caddy cannot be run: No such file") as refused:
            await hub.control.apply_ingress()
        assert refused.value.hint.startswith("install Caddy")


async def test_a_deep_state_folder_has_no_socket_too_long() -> None:
    with short_folder() as home:
        deep = home / ("d" * 60) / ("e" * 60)
        deep.mkdir(parents=True)
        layout = layout_of(deep)
        caddy = Caddy(layout)
        layout.folder.mkdir()
        layout.main.write_text(f"{{\n\tadmin {layout.admin}\n}}\n")
        await caddy.start()
        try:
            assert await caddy.answers()
        finally:
            await caddy.stop()
        assert not await caddy.answers()
        shutil.rmtree(deep)


def layout_of(folder: Path) -> Layout:
    from hub.gateways.ingress.layout import layout

    return layout(loopback(), folder)
