"""This deployment's processors, as worked examples. Every module of them exports `registry`.

They import `gateway.plugins` and nothing else of the gateway. What they do can be seen in the
journal (`journal.py`, the one module here without a registry), by default in `.hookline/journal`.
Replace them with your own; `tests/processors/` shows how a processor is tested: it is called.
"""
