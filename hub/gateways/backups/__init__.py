"""Saved gateways: taken while they stand still, restored into new ones, and gateways of others that are taken in."""
