"""OpenClaw gateways that run already: which there are, how they are, and what is said to their agents."""
