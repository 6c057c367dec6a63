"""The outside world, one technology per file. Nothing here decides; the floors below do."""
