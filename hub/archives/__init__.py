"""Archives of workspaces: written, checked, listed, compared and unpacked. Plain files; nothing here knows a hub.

The format is tar with numeric owners, names in the order of a walk that sorts each folder, holes kept as holes.
"""
