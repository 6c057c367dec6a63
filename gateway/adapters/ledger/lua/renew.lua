-- Extends leases, only for the holder of the fence; with 0 ms it gives them up: they have run out for good,
-- and no renewal that was under way meanwhile brings them back.
-- ARGV: lease ms, then (delivery, fence) pairs. Replies 1 (still yours) or 0 (lost) each.
local lease_ms = tonumber(ARGV[1])
local replies = {}
write_though_memory_is_full()
for i = 2, #ARGV, 2 do
  local id, number, delivery = parse(ARGV[i])
  local of = redis.call('HMGET', event_key(id), number .. 's', number .. 'f', 'e', number .. 't')
  local held = of[1] == 'leased' and of[2] == ARGV[i + 1]
  local given_up = held and tonumber(of[4]) <= 0
  if held and not given_up then
    redis.call('HSET', event_key(id), number .. 't', lease_ms > 0 and now + lease_ms or 0)
    redis.call('ZADD', prefix .. ':pending:' .. terms(id, of[3]), now + lease_ms, delivery)
  end
  replies[#replies + 1] = held and (lease_ms == 0 or not given_up) and 1 or 0
end
return replies
