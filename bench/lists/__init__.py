"""Lists and searches over many workspaces, keys and calls."""
