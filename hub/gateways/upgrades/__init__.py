"""Another image for a gateway that the hub runs, with the way back kept open.

The new container gets a copy of everything: what the old one had is never written to again, so that a rollback finds it
exactly as it was, also when the new version has changed its state at the first start.
"""
