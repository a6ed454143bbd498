"""Where personas come from."""
