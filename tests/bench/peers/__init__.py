"""Other programs that do the same work, measured in the same run. Each runs in a process of its own."""
