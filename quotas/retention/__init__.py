"""Old calls and their holds: archived, deleted, and still adding up."""
