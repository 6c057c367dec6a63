"""Those who mean harm: what they could learn from a clock, and what they could fill."""
