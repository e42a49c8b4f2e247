"""Back up the whole database into one encrypted file, and restore it on either database."""
