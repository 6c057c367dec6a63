"""The edge that providers call, and the admin port: uvicorn, Starlette, `limits`, Prometheus."""
