"""How many tasks a job should have: readings of it, a policy over them, and what acts on its decisions."""
