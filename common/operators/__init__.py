"""Pure operators: functions over Arrow tables, the same ones on every engine."""
