-- Records what a step of an attempt gave: only with the current fence, so that a stalled, outdated run can not.
-- ARGV: delivery, fence, name, JSON. Replies 1 (recorded) or 0 (outdated).
local id, number, delivery = parse(ARGV[1])
local of = id and redis.call('HMGET', event_key(id), number .. 's', number .. 'f') or {}
if of[1] ~= 'leased' or of[2] ~= ARGV[2] then return 0 end
write_though_memory_is_full()
redis.call('HSET', event_key(id), 'h', 1)
redis.call('HSET', prefix .. ':steps:' .. delivery, ARGV[3], ARGV[4])
return 1
