"""Widgets of the screen that know nothing of a hub."""
