"""Other projects' gateways beside ours, with the same provider, load and accounting."""
