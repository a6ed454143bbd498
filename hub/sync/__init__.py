"""The sync of personas into gateways: when it runs, what proves that a gateway took it, and what is done where not."""
