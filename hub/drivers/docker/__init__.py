"""Agents as containers: limits, no capabilities, a network on which they do not see each other."""

from hub.drivers.docker.driver import DockerDriver

__all__ = ["DockerDriver"]
