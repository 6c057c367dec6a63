-- Looks at open deliveries whose time has come, and rings again where no bell is left.
-- Concurrent sweepers are harmless: each look moves the delivery's next one into the future.
-- And looks after lines, a few at a time: a turn whose holder is gone goes to the first who waits for it.
--
-- ARGV: most deliveries a source, look ms, then sources. Replies {looked at, rung}.
local most, most_lines = ARGV[1], 20
look_ms = tonumber(ARGV[2])
local looked, rung = 0, 0
write_though_memory_is_full()

local function look(source, delivery)
  local id, number = parse(delivery)
  local of = id and redis.call('HMGET', event_key(id), number .. 's', number .. 'q', number .. 'f', 'e',
    number .. 'p') or {}
  local state, processor, fence = of[1], of[5], tonumber(of[3] or 0)
  if not state or state == 'done' or state == 'dead' then
    redis.call('ZREM', prefix .. ':pending:' .. source, delivery)
    return
  end
  redis.call('ZADD', prefix .. ':pending:' .. source, now + look_ms, delivery)
  local _, queue = terms(id, of[4])
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

local function holds(delivery, key)
  local id, number = parse(delivery)
  local of = id and redis.call('HMGET', event_key(id), number .. 's', number .. 'k', number .. 'b') or {}
  local open = of[1] == 'pending' or of[1] == 'leased' or of[1] == 'waiting'
  return of[2] == key and (open or of[1] == 'dead' and of[3] == '1')
end

local function look_after(source, delivery)
  local id, number = parse(delivery)
  local of = id and redis.call('HMGET', event_key(id), number .. 's', number .. 'k', number .. 'l') or {}
  if not of[1] or of[1] == 'done' or of[1] == 'dead' then
    redis.call('ZREM', prefix .. ':pending:' .. source, delivery)
    return
  elseif of[1] ~= 'blocked' then
    redis.call('ZADD', prefix .. ':pending:' .. source, now + look_ms, delivery)
    return
  end
  redis.call('ZADD', prefix .. ':pending:' .. source, FAR + now + look_ms, delivery)
  redis.call('ZADD', prefix .. ':line:' .. of[2], of[3], delivery)
  local holder = redis.call('GET', prefix .. ':turn:' .. of[2])
  if not holder or not holds(holder, of[2]) then
    order().pass_turn(of[2], holder or '')
    rung = rung + 1
  end
end

for i = 3, #ARGV do
  local due = redis.call('ZRANGEBYSCORE', prefix .. ':pending:' .. ARGV[i], '-inf', now, 'LIMIT', 0, most)
  for _, delivery in ipairs(due) do
    looked = looked + 1
    look(ARGV[i], delivery)
  end
  local lines = redis.call('ZRANGEBYSCORE', prefix .. ':pending:' .. ARGV[i], FAR, FAR + now, 'LIMIT', 0, most_lines)
  for _, delivery in ipairs(lines) do look_after(ARGV[i], delivery) end
end
do_now()
return {looked, rung}
