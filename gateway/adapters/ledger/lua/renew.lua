-- Extends leases, only for the holder of the fence. ARGV: lease ms, then (delivery, fence) pairs.
-- Replies 1 (still yours) or 0 (lost) each.
local lease_ms = tonumber(ARGV[1])
local replies = {}
write_though_memory_is_full()
for i = 2, #ARGV, 2 do
  local id, number, delivery = parse(ARGV[i])
  local of = redis.call('HMGET', event_key(id), number .. 's', number .. 'f', 's')
  local held = of[1] == 'leased' and of[2] == ARGV[i + 1]
  if held then
    redis.call('HSET', event_key(id), number .. 't', now + lease_ms)
    redis.call('ZADD', prefix .. ':pending:' .. of[3], now + lease_ms, delivery)
  end
  replies[#replies + 1] = held and 1 or 0
end
return replies
