"""The applications that are known to work with this server, and the settings each needs."""
