"""What the commands share; no module here is a command.

exits: statuses, and how to fail. printing, tables: safe for a terminal. options, listing: how they are
asked. deployment: the files and their faults. server: the way to Redis. desk: finds what is stored.
records, letters: show it. orders, progress: one operation on many deliveries. facts: settings, shown.
published: addresses of providers. preset_page, preset_lists: one preset, and all. proof_words,
handshake_words, source_sample: what a preset says, in sentences and as a file.
"""
