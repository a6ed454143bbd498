"""Pure decisions: state in, effects out. No I/O, clock, randomness or logging in here."""
