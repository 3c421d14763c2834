"""Models side by side: what differs between them, and what that does."""
