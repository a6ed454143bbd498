"""The panes of the screen: one per place, each behind its own error boundary."""
