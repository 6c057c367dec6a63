-- Looks at open deliveries whose time has come, and rings again where no bell is left.
-- Concurrent sweepers are harmless: each look moves the delivery's next one into the future.
--
-- ARGV: most deliveries a source, look ms, then sources. Replies {looked at, rung}.
local most, look_ms = ARGV[1], tonumber(ARGV[2])
local looked, rung = 0, 0
write_though_memory_is_full()

local function look(source, delivery)
  local id, number = parse(delivery)
  local of = id and redis.call('HMGET', event_key(id), number .. 's', number .. 'q', number .. 'f', number .. 'a',
    'q', number .. 'p') or {}
  local state, queue, processor, fence = of[1], of[5], of[6], tonumber(of[3] or 0)
  if not state or state == 'done' or state == 'dead' then
    redis.call('ZREM', prefix .. ':pending:' .. source, delivery)
    return
  end
  redis.call('ZADD', prefix .. ':pending:' .. source, now + look_ms, delivery)
  if state == 'waiting' then
    redis.call('HSET', event_key(id), number .. 's', 'pending')
    redis.call('ZREM', rq .. ':scheduled:' .. queue, delivery .. '-' .. (fence + 1))
  elseif still_rung(queue, of[2]) then
    return
  elseif state == 'leased' then
    forget_look(delivery, queue, fence)
  end
  -- A stock worker may have taken the bell and failed before it claimed.
  forget_look(delivery, queue, fence + 1)
  ring(id, number, delivery, queue, processor, fence + 1)
  rung = rung + 1
end

for i = 3, #ARGV do
  local due = redis.call('ZRANGEBYSCORE', prefix .. ':pending:' .. ARGV[i], '-inf', now, 'LIMIT', 0, most)
  for _, delivery in ipairs(due) do
    looked = looked + 1
    look(ARGV[i], delivery)
  end
end
return {looked, rung}
