"""A migrated profile proved on a real engine: its image built, a throw-away agent started, probed, and removed again.

Everything is done through the hub's `Control`; only side services are started with Docker Compose on this machine.
`Checker` does the work, `model` holds the answers, the rest is pure.
"""

from clawtui.migration_check.checker import Checker, Tell
from clawtui.migration_check.model import CheckReport, CheckRow, Outcome, Step

__all__ = ["CheckReport", "CheckRow", "Checker", "Outcome", "Step", "Tell"]
