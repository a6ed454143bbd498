"""How each task type is executed."""
