"""Agents' WebSockets: handshake, one link per connection, and the table of all links."""
