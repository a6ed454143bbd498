"""The reverse proxy in front of gateways that the hub runs: each name leads to its gateway, with TLS."""
