"""The sessions and the engagements job as a user would write it by hand: what this suite is measured against.

Each module is a process of its own, `python -m tests.bench.natives.<name> ORDER`, where the order is JSON:
`source` (a folder of Parquet streams), `output`, `times` (how often to run), `result` (where `Runs` goes), and
what its `job` takes beside that. All of sessions write the columns userId, start, end and actions (eventTime, click,
advertisementId), to `sessions`; those of engagements id, sum, name and type, to `engagements`.
"""
