"""What a machine needs before a job runs: Java and jars."""
