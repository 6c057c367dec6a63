"""rq-dashboard, made safe."""
