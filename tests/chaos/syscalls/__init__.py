"""A fault at every system call of gateway, spool, worker and server: `scripts/chaos syscalls`."""
