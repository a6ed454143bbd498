"""Docker hosts beside the hub's own engine, over ssh and over TLS."""
