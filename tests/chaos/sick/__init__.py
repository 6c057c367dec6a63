"""`scripts/chaos sick`: servers that are hung, slow, full, weak, strange, replaced or replicated."""
