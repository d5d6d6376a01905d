"""Data out of databases, into streams: by query, by outbox, by log. README.md compares them."""
