"""Saved agents: taken, compared, restored, forked, deleted, taken on a schedule and cleaned up.

A row in the registry and a folder below `snapshots/` of the state folder are one snapshot; the image, where the
platform has images, belongs to it too. Whatever is begun is a job, so that a killed hub finishes or undoes it.
"""
