-- Makes a batch of verified events durable, each once: record, body, deliveries, pending index, RQ jobs.
-- A repeat says what became of the first, and brings a dead one back if its source says so.
--
-- ARGV: look ms, then for each event: id, source, queue, type, provider's id, window ms, retention ms,
-- revive dead (0|1), headers, body, how many processors, their names.
-- Replies a word each: accepted | pending | done | dead | revived.
local look_ms = tonumber(ARGV[1])
local replies = {}

local function state_of(record, deliveries)
  local open = false
  for number = 1, deliveries do
    local state = redis.call('HGET', record, number .. 's')
    if state == 'dead' then return 'dead' end
    open = open or state ~= 'done'
  end
  return open and 'pending' or 'done'
end

local function repeated(id, deliveries, revive_dead)
  local state = state_of(event_key(id), deliveries)
  if state ~= 'dead' or not revive_dead then return state end
  local revived = false
  for number = 1, deliveries do
    local delivery = string.gsub(id, '^evt_', 'dlv_') .. '-' .. number
    if revive(id, tostring(number), delivery, look_ms, false) == 'replayed' then revived = true end
  end
  return revived and 'revived' or 'dead'
end

local at = 2
while at <= #ARGV do
  local id, source, queue = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  local processors = tonumber(ARGV[at + 10])
  local record = event_key(id)
  local known = redis.call('HGET', record, 'n')
  if known then
    replies[#replies + 1] = repeated(id, tonumber(known), ARGV[at + 7] == '1')
  else
    redis.call('HSET', record, 's', source, 'q', queue, 't', ARGV[at + 3], 'p', ARGV[at + 4], 'r', now,
      'z', #ARGV[at + 9], 'w', ARGV[at + 5], 'k', ARGV[at + 6], 'n', processors, 'o', processors)
    redis.call('DEL', body_key(id))
    redis.call('HSET', body_key(id), 'h', ARGV[at + 8], 'b', ARGV[at + 9])
    redis.call('ZADD', prefix .. ':events:' .. source, now, id)
    redis.call('SADD', prefix .. ':sources', source)
    for number = 1, processors do
      local delivery, processor = string.gsub(id, '^evt_', 'dlv_') .. '-' .. number, ARGV[at + 10 + number]
      redis.call('HSET', record, number .. 'p', processor, number .. 's', 'pending', number .. 'a', 0,
        number .. 'c', 0, number .. 'f', 0, number .. 't', now)
      redis.call('ZADD', prefix .. ':pending:' .. source, now + look_ms, delivery)
      ring(id, tostring(number), delivery, queue, processor, 1)
    end
    replies[#replies + 1] = 'accepted'
  end
  at = at + 11 + processors
end
return replies
