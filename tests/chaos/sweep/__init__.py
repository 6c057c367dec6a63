"""The sweep over every boundary between two Redis commands: `scripts/chaos sweep`, `campaign.py`."""
