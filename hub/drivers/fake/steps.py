"""Where a call of the fake driver can be made to fail."""

from __future__ import annotations

import enum


class Step(enum.StrEnum):
    """Where a call can be made to fail: the steps of a create, and the other calls."""

    CREATE_FOLDER = "create_folder"
    CREATE_START = "create_start"
    START = "start"
    STOP = "stop"
    PAUSE = "pause"
    RESUME = "resume"
    DESTROY = "destroy"
    INSPECT = "inspect"
    LIST = "list"
    ESTIMATE = "estimate"
    CAPTURE = "capture"
    DISCARD = "discard"
    PREPARE = "prepare"
    ACTIVATE = "activate"
    DROP = "drop"
    MEASURE = "measure"
    SURVEY = "survey"
    REMOVE = "remove"
    REPAIR = "repair"
