"""What an agent uses over time: read, brought into columns, drawn."""
