"""`Control` in process: what a caller may ask of the hub, grouped by noun."""
