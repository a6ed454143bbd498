"""`python -m clawtui` is the command `clawtui`."""

from __future__ import annotations

import sys

from clawtui.cli.app import main

sys.exit(main())
