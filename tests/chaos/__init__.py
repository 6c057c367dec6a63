"""Campaigns that kill what runs and count what is left, and the rig they share. See `scripts/chaos`."""
