"""`hookline worker`: an RQ worker that claims, runs and finishes deliveries in batches."""
