"""The hub: agents dial in, tasks are dispatched, every fact is kept in one registry."""
