"""The seeded faults keep fitting the code that they are put into; `make faults` runs them."""

from __future__ import annotations

import pytest

from tests.core.faults import FAULTS, Fault
from tests.core.seed_faults import ROOT, patched


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_each_fault_changes_one_place_and_leaves_valid_code(fault: Fault) -> None:
    text = (ROOT / "hub" / "core" / f"{fault.module}.py").read_text()
    broken = patched(text, fault)
    assert broken != text
    compile(broken, fault.module, "exec")


def test_an_anchor_that_is_not_unique_is_an_error() -> None:
    fault = Fault("x", "model", "a", "b")
    for text in ("", "aa"):
        with pytest.raises(ValueError, match="its anchor stands"):
            patched(text, fault)
    assert patched("cac", fault) == "cbc"


def test_every_fault_has_a_name_of_its_own() -> None:
    names = [fault.name for fault in FAULTS]
    assert len(set(names)) == len(names) >= 30
