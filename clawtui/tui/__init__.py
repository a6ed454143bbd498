"""The full-screen control center. Only this package imports Textual."""
