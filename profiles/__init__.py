"""Profiles: what an agent is made of."""
