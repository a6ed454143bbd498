"""The fault tests: one file per fault or group, named after its number in the list that the tests follow.

1, 2 killed hub · 3 in `tests/end_to_end/test_sigkill.py` · 4, 5, 6 registry · 7 killed agent · 9, 10 repeated
delivery, damaged attempt log · 11 to 13 partitions · 14 half-open · 15, 16 clones, stale results · 17 cancel
races · 19 held stdout · 22 stopped readers · 23 hostile frames · 24, 25 herds · 26 clocks · 30 upgrades of the
hub · 31 broken decisions · and tokens, full disks, starts and stops.
"""

from __future__ import annotations

from tests.end_to_end.conftest import hub

__all__ = ["hub"]
