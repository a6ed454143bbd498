"""Personas become the workspaces and the roster of an OpenClaw gateway."""
