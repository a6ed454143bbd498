"""Agents as plain processes of this machine: works everywhere, isolates nothing."""

from hub.drivers.process.driver import ProcessDriver

__all__ = ["ProcessDriver"]
