"""The sessions job as a user would write it by hand on each engine: what this suite is measured against."""
