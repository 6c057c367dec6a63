"""Where verified requests wait on this machine's disk while Redis is away, and how they get back."""
