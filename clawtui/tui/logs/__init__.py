"""Logs and outputs as a screen reads them: in pages from both ends, merged, filtered, saved."""
