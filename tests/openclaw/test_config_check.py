"""Our own check of a config says what the real gateways say, and what we write is valid to them."""

from __future__ import annotations

from pathlib import Path

import pytest

from profiles.sync.openclaw import Roster, RosterEntry, Shape, check_config, merge_config
from tests.openclaw.gateway import RealGateway
from tests.openclaw.installation import CURRENT, OLDER

pytestmark = pytest.mark.openclaw

LOCAL = "gateway:{mode:'local'}"


def agents(text: str) -> str:
    return f"{{{LOCAL},agents:{{{text}}}}}"


TEXTS = (
    f"{{{LOCAL}}}",
    "{gateway:{mode:'local',bind:'127.0.0.1'}}",
    "{gateway:{mode:'local',reload:{mode:'hot',debounceMs:300}}}",
    f"{{{LOCAL},foo:1}}",
    f"{{{LOCAL},load:{{extraDirs:[]}}}}",
    agents("entries:{}"),
    agents("entries:{},ownership:'explicit'"),
    agents("entries:{a:{}}"),
    agents("entries:{a:{},b:{}}"),
    agents("entries:{a:{},b:{}},ownership:'explicit'"),
    agents("entries:{a:{default:true},b:{}},ownership:'explicit'"),
    agents("entries:{a:{}},list:[{id:'b'}]"),
    agents("list:[{id:'a'},{id:'b'}]"),
    agents("list:[{id:'a',default:true},{id:'b'}]"),
    agents("list:[{id:'a'},{id:'b'}],ownership:'explicit'"),
    agents("list:[{id:'a',default:true},{id:'a'}]"),
    agents("list:[{id:'a',default:true,role:'x'}]"),
    agents("list:[{id:'a',default:true,memorySearch:{enabled:false}}]"),
    agents("list:[{id:'a',default:true,identity:{color:'red'}}]"),
    agents("list:[{id:'a',default:true,identity:{avatar:'../x.png'}}]"),
    agents("list:[{id:'a',default:true,model:{primary:'x/y',fallbacks:['y/z']},params:{temperature:0.5}}]"),
    agents("list:[{id:'a',default:true}],defaults:{systemAgent:{agentId:'a'}}"),
)
STRICTER = "{id:'a',default:true},{id:'a'}"
"""Two agents of which nobody knows which is which; newer gateways refuse them too."""


@pytest.mark.timeout(600)
@pytest.mark.parametrize("version", [CURRENT, OLDER])
async def test_our_check_agrees_with_the_gateway(tmp_path: Path, version: str) -> None:
    gateway = RealGateway(tmp_path / "gateway", version)
    differs: list[str] = []
    for text in TEXTS:
        gateway.config_path.write_text(text)
        said = await gateway.validate()
        ours = check_config(text, version)
        if said["valid"] == bool(ours) and STRICTER not in text:
            differs.append(f"{text}: {said.get('issues')} and we say {ours}")
    assert differs == []


def roster(*slugs: str) -> Roster:
    entries = tuple(
        RosterEntry(
            slug=slug, name=f"{slug} ${{HOME}}", workspace=f"/data/{slug}", theme="calm", emoji="\U0001f980",
            avatar="a.png", model="anthropic/claude-sonnet-4-5", skills=("triage",),
        )
        for slug in slugs
    )  # fmt: skip
    return Roster(entries=entries, skills=("triage",))


@pytest.mark.timeout(600)
@pytest.mark.parametrize("version", [CURRENT, OLDER])
async def test_what_is_merged_is_valid_in_every_shape(tmp_path: Path, version: str) -> None:
    gateway = RealGateway(tmp_path / "gateway", version)
    listed = agents("list:[{id:'boss',default:true,tools:{deny:['exec']}},/* mine */{id:'qa',params:{temperature:1}}]")
    mapped = agents("entries:{boss:{tools:{deny:['exec']}},qa:{}},ownership:'explicit'")
    texts = [
        merge_config(text, roster("qa", "lead"), Shape.AUTO, version).text for text in (None, listed, mapped, "{}")
    ]
    texts.append(merge_config(mapped, roster("qa", "lead"), Shape.LIST, version).text)
    texts.append(merge_config(texts[1], roster("lead"), Shape.AUTO, version, owned=frozenset(("qa", "lead"))).text)
    for text in texts:
        gateway.config_path.write_text(text)
        said = await gateway.validate()
        assert said["valid"], (said, text)
        assert check_config(text, version) == ()
