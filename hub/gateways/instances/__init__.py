"""OpenClaw gateways that the hub runs: one container each, with its own network, volumes, folder and limits."""
