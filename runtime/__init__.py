"""The agent runtime: runs tasks beside the work and reports to a hub."""

__version__ = "0.2.0"
