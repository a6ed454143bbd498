"""What the scripted fleet is made from and what it takes of disks. All data."""

from __future__ import annotations

from typing import Any, Final

from msgspec.structs import replace

from hub.contract import (
    AgentView,
    BuildLogLine,
    DiskAgent,
    DiskObject,
    DiskRow,
    DiskView,
    ImageList,
    ImageView,
    JobList,
    JobView,
    ProblemView,
    ProfileCheck,
    ProfileList,
    ProfileView,
    PrunePlan,
)
from hub.errors import NotFound
from tests.hub.api.scripted import Stream
from tests.tui.office_script import ago

MIB: Final = 1 << 20
_EFFECTIVE: Final[dict[str, Any]] = {
    "machine": {
        "resources": {"cpus": 4.0, "memory_bytes": 8 << 30, "disk_bytes": 30 << 30}, "concurrency": 2,
        "capabilities": ["exec", "files", "git"], "environment": {"CI": "true"},
        "restart": "unless-stopped",
    },
    "contents": {
        "packages": ["git", "build-essential", "curl", "make"],
        "setup_tasks": [{"command": "npm install -g yarn", "description": "Install yarn"}],
    },
}  # fmt: skip


def _profile(name: str, source: str, about: str, *, built: bool | None, tag: str, **more: Any) -> ProfileView:
    return ProfileView(
        name=name, source=source, valid=True, description=about, path=f"/srv/clawtui/profiles/{name}.json",
        repository=f"openclaw-agent-{name}", image=f"openclaw-agent-{name}:{tag}", built=built, effective=_EFFECTIVE,
        text=f'{{"name": "{name}"}}\n', dockerfile_text="FROM openclaw-agent-base\nUSER agent\n", **more,
    )  # fmt: skip


PROBLEM: Final = ProblemView(field="packages[1]", message="'git x' is not a package", hint="As apt-cache search says.")
PROFILES: Final = {
    one.name: one
    for one in (
        _profile("builder", "built-in", "Compilers and package managers", built=True, tag="4f2a91c0de11"),
        _profile("crawler", "project", "Fetches pages", built=True, tag="77d10c9ab2e4"),
        replace(
            _profile("mine", "user", "", built=None, tag=""), valid=False, problems=[PROBLEM], effective=None,
            image=None, text='{\n  "name": "mine",\n  "packages": ["curl", "git x"],\n  "environment": {}\n}\n',
        ),
        _profile("tester", "user", "Runs test suites", built=False, tag="a0b1c2d3e4f5", shadows=["built-in"]),
        _profile("trainer", "user", "PyTorch with CUDA", built=True, tag="c0ffee12ab34"),
    )
}  # fmt: skip
IMAGES: Final = [
    ImageView(name=f"openclaw-agent-{name}", tag=tag, id=f"sha256:{tag}", profile=name, created_at=ago(age),
              size_bytes=size * MIB, latest=True)
    for name, tag, age, size in (
        ("builder", "4f2a91c0de11", 86_400, 612), ("builder", "0d1e2f3a4b5c", 900_000, 604),
        ("crawler", "77d10c9ab2e4", 40_000, 388), ("trainer", "c0ffee12ab34", 12_000, 7_912),
    )
]  # fmt: skip
_UNUSED: Final = [
    DiskObject(kind="images", place="docker", id="i-1", name="openclaw-agent-builder:0d1e2f3a4b5c",
               size_bytes=604 * MIB, frees_bytes=289 * MIB, unused="no container uses it; there is a newer one"),
    DiskObject(kind="cache", place="docker", id="c-1", name="c1eeb1a67669", size_bytes=314 * MIB, frees_bytes=91 * MIB,
               unused="an earlier build; no tag leads to it"),
    DiskObject(kind="volumes", place="docker", id="v-1", name="openclaw-agent-scratch-2", size_bytes=1_204 * MIB,
               frees_bytes=1_204 * MIB, unused="agent scratch-2 is not there any more", data=True),
]  # fmt: skip
_USED: Final = [
    DiskObject(kind="images", place="docker", id="i-2", name="openclaw-agent-builder:4f2a91c0de11",
               size_bytes=612 * MIB, used_by="agents builder-1, builder-2"),
]  # fmt: skip


def _row(kind: str, place: str, count: int, size: int, unused: int = 0, frees: int = 0) -> DiskRow:
    return DiskRow(kind=kind, place=place, count=count, size_bytes=size * MIB, unused_count=unused,
                   unused_bytes=frees * MIB)  # fmt: skip


DISK: Final = DiskView(
    at=ago(4),
    rows=[
        _row("images", "docker", 4, 9_516, 1, 289), _row("cache", "docker", 6, 1_884, 1, 91),
        _row("volumes", "docker", 9, 21_204, 1, 1_204), _row("snapshots", "hub", 7, 4_410), _row("logs", "hub", 24, 64),
        _row("output", "hub", 1, 1_850), _row("registry", "hub", 1, 48),
    ],
    agents=[
        DiskAgent(agent_id="gpu-trainer-1", size_bytes=14_300 * MIB, parts={"volumes": 14_300 * MIB}),
        DiskAgent(agent_id="builder-1", size_bytes=3_120 * MIB, parts={"volumes": 3_000 * MIB, "logs": 120 * MIB}),
    ],
    objects=[*_UNUSED, *_USED],
    disk_total_bytes=512_000 * MIB,
    disk_used_bytes=391_000 * MIB,
)  # fmt: skip
PLAN: Final = PrunePlan(
    id="prune-1", expires_at=ago(-900), objects=_UNUSED, frees_bytes=sum(one.frees_bytes or 0 for one in _UNUSED),
    data=True,
)  # fmt: skip


_BUILD: Final = JobView(
    id="j-77", kind="profile.build", about="tester", state="running", started_at=ago(21), progress=0.62, by="user:ada",
    message="building openclaw-agent-tester:a0b1c2d3e4f5, step 4 of 6: setup task 1 \"Install pytest\"",
)  # fmt: skip
_OUTPUT: Final = (
    "Step 3/6 : RUN apt-get install -y git make", "Setting up git (1:2.39.5-0+deb12u2) ...", " ---> 5f2a91c0de11",
    'Step 4/6 : RUN pip install "pytest<9"', "Collecting pytest<9", "Setting up pytest (8.4.2) ...",
)  # fmt: skip


def build(hub: Any) -> None:
    """The image of tester is being built."""
    hub.answers["jobs"] = JobList(jobs=[_BUILD, *hub.answers["jobs"].jobs])
    hub.tell("job", _BUILD.id)
    hub.answers["build_log"] = lambda _, query: Stream(
        [BuildLogLine(text=line) for line in _OUTPUT], ends=not query.follow
    )


def made(agent: AgentView) -> AgentView:
    """As one agent is answered: with what it was made with, which was less once."""
    machine = {key: value for key, value in _EFFECTIVE["machine"].items() if key != "environment"}
    before = {"cpus": 2.0, "memory_bytes": 4 << 30, "disk_bytes": 30 << 30}
    machine |= {"concurrency": agent.concurrency, "capabilities": agent.capabilities}
    return replace(agent, machine=machine | ({"resources": before} if agent.id == "builder-1" else {}))


def _one(name: str) -> ProfileView | NotFound:
    return PROFILES.get(name) or NotFound(f"there is no profile {name!r}", code="no_such_profile")


def answers() -> dict[str, Any]:
    return {
        "profiles": ProfileList(profiles=list(PROFILES.values())),
        "profile": _one,
        "validate_profile": lambda text: ProfileCheck(valid="git x" not in text.text, problems=[PROBLEM]),
        "images": ImageList(images=IMAGES),
        "disk": DISK,
        "plan_prune": PLAN,
    }
