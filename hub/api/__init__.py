"""The hub over HTTP: one route table, the rules of access, and the sockets it is served on."""
