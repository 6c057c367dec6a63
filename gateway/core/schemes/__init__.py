"""One file per way of proving origin, each with verify and sign. Providers are data: presets."""
