"""What a call costs when many tenants call in turn."""
