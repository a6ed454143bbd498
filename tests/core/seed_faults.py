"""Put each fault of `faults.py` into a copy of the code, one at a time, and see whether the core's tests notice.

    python tests/core/seed_faults.py [--machines] [PART OF A NAME …]

`--machines` leaves the examples out, to see what the state machines notice alone. Prints which test noticed each fault;
exit code 1 when any went unnoticed, 2 when the tests fail without a fault.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.core.faults import FAULTS, Fault  # noqa: E402

COPIED = ("hub", "runtime", "tests/core", "tests/conftest.py", "pyproject.toml")
SUITE_TIMEOUT_SECONDS = 300
"""A fault may make the core loop for ever; that counts as noticed."""


def copy_code(target: Path) -> None:
    for name in COPIED:
        source, place = ROOT / name, target / name
        place.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, place, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, place)


def patched(text: str, fault: Fault) -> str:
    """Return `text` with the fault in it; an anchor that does not stand exactly once is an error."""
    found = text.count(fault.anchor)
    if found != 1:
        raise ValueError(f"{fault.name}: its anchor stands {found} times in hub/core/{fault.module}.py")
    return text.replace(fault.anchor, fault.patch)


def first_failure(folder: Path, *, machines_only: bool) -> str | None:
    """Run the core's tests up to the first failure and return its name, or None when all passed."""
    # The quickest to fail first: examples, then the walks, which do not shrink what they find.
    machines = sorted(
        (str(path.relative_to(folder)) for path in folder.glob("tests/core/test_*_machine.py")), reverse=True
    )
    examples = sorted({str(path.relative_to(folder)) for path in folder.glob("tests/core/test_*.py")} - set(machines))
    examples.remove("tests/core/test_faults.py")
    if machines_only:
        examples = []
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--no-header", "--tb=no", "-p", "no:cacheprovider"]
    environment = {
        name: value for name, value in os.environ.items() if name not in ("CLAWTUI_SOAK", "HYPOTHESIS_PROFILE")
    }
    try:
        done = subprocess.run(
            [*command, *examples, *machines],
            cwd=folder,
            env=environment | {"PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            timeout=SUITE_TIMEOUT_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return "(does not come to an end)"
    if done.returncode == 0:
        return None
    failed = re.search(r"^(?:FAILED|ERROR) tests/core/(\S+)", done.stdout, re.MULTILINE)
    return failed[1] if failed is not None else f"(exit code {done.returncode})"


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main(wanted: list[str]) -> int:
    machines_only = "--machines" in wanted
    wanted = [part for part in wanted if part != "--machines"]
    chosen = [fault for fault in FAULTS if not wanted or any(part in fault.name for part in wanted)]
    began, missed = time.monotonic(), list[str]()
    with tempfile.TemporaryDirectory(prefix="clawtui-faults-") as name:
        folder = Path(name)
        copy_code(folder)
        if (failure := first_failure(folder, machines_only=machines_only)) is not None:
            say(f"without any fault the tests fail at {failure}")
            return 2
        width = max(len(fault.name) for fault in chosen)
        for fault in chosen:
            path = folder / "hub" / "core" / f"{fault.module}.py"
            sound = path.read_text()
            path.write_text(patched(sound, fault))
            failure = first_failure(folder, machines_only=machines_only)
            path.write_text(sound)
            if failure is None:
                missed.append(fault.name)
            say(f"{'MISSED' if failure is None else 'caught'}  {fault.name:<{width}}  {failure or ''}")
    seconds = time.monotonic() - began
    say(f"{len(chosen) - len(missed)} of {len(chosen)} faults caught in {seconds:.0f} s")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
