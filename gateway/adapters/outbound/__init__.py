"""What the gateway asks of the world: keys and certificates of providers, confirmation links."""
