"""What the commands share; no module here is a command.

exits: statuses, and how to fail. printing, tables: safe for a terminal. options, listing: how they are
asked. deployment: the files and their faults. server: the way to Redis. desk: finds what is stored.
records, letters: show it. orders, progress: one operation on many deliveries. facts: settings, shown.
"""
