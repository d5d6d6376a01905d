"""A small typed language of predicates and mappings, for what a job's config says of records."""
