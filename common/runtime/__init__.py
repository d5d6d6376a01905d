"""What every engine shares: the clock, the frames that are shuffled, a bucket's step, the checkpoint."""
