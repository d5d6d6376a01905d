"""A run's outputs as one page: small tables of what they say, charts of these, and the page around them.

A panel belongs to a stream, not to a job, so every job that writes the stream has it.
"""
