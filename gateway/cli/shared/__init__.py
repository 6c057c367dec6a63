"""What the commands share; no module here is a command.

exits: statuses, and how to fail. printing, tables: safe for a terminal. options, listing: how they are
asked. deployment: the files and their faults. server: the way to Redis. desk: finds what is stored.
records, letters: show it. orders, progress: one operation on many deliveries. facts: settings, shown.
published: addresses of providers. preset_page, preset_lists: one preset, and all. proof_words,
handshake_words, source_sample: what a preset says, in sentences and as a file. refusals, releasing,
spooled, uses: refused requests, the spool, the use of secrets.

`hookline explain`: cases, judges, explaining, filtering. `dev`: dev_crew and dev_child its processes,
dev_secrets, dev_view, watching. `tail`: happening_lines; live_lines and traces are `dev`'s too.
`replay`: candidates, awaiting; shadowing, shadow_child, shadow_text. `capture`: stored_requests,
capturing, fixture_file, fixture_test. `new`: new_processor, new_source, new_package, new_files, naming;
examples, shapes, payload_models, model_text, scaffold, scaffold_test, layout make the text.
"""
