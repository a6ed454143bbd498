"""Keeps gateways that the hub runs alive."""
