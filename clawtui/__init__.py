"""Front ends of the control center: command line and terminal screen."""

__version__ = "0.2.0"
