"""New jobs and streams, from templates: files that pass every check as they are, to be changed from there."""
