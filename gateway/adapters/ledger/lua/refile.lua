-- Dead letters that RQ's tools do not show among the failed jobs any more. Somebody deleted the job, or emptied the
-- registry: it is filed there again. Or Requeue was pressed, and who took that job from its queue died with it:
-- then it is replayed, as was asked.
--
-- ARGV: source, from which of its dead letters on, how many, look ms, then (reason, trace) pairs.
-- Replies {looked at, filed again, replayed, how many this source has}.
local source, first, most = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
look_ms = tonumber(ARGV[4])
local most_searches, deepest = 50, 10000
local long_ago, traces = iso(now - look_ms), {}
for i = 5, #ARGV, 2 do traces[ARGV[i]] = ARGV[i + 1] end
local searches, filed, replayed = 0, 0, 0
write_though_memory_is_full()

-- Whether the job of a pressed Requeue may still be run: it is young, or lies in its queue, or that is too long to say.
local function is_on_its_way(delivery, queue, enqueued_at)
  if enqueued_at and enqueued_at > long_ago or searches >= most_searches then return true end
  searches = searches + 1
  local list = rq .. ':queue:' .. queue
  return redis.call('LLEN', list) > deepest or redis.call('LPOS', list, delivery)
end

local function look(delivery)
  local id, number = parse(delivery)
  local of = id and redis.call('HMGET', event_key(id), number .. 's', number .. 'p', number .. 'r', 'e') or {}
  if of[1] ~= 'dead' then
    redis.call('ZREM', prefix .. ':dead:' .. source, delivery)
    return
  end
  local _, queue = terms(id, of[4])
  local job = redis.call('HMGET', rq .. ':job:' .. delivery, 'status', 'enqueued_at')
  local is_shown = redis.call('ZSCORE', rq .. ':failed:' .. queue, delivery)
  if is_shown and job[1] then return end
  if not is_shown and (job[1] == 'queued' or job[1] == 'started') then
    if is_on_its_way(delivery, queue, job[2]) then return end
    if ends().revive(id, number, delivery, false) == 'replayed' then replayed = replayed + 1 end
    return
  end
  redis.call('ZREM', rq .. ':canceled:' .. queue, delivery)
  ends().file_failed(delivery, queue, of[2], traces[of[3]])
  filed = filed + 1
end

local letters = redis.call('ZRANGE', prefix .. ':dead:' .. source, first, first + most - 1)
for _, delivery in ipairs(letters) do look(delivery) end
do_now()
return {#letters, filed, replayed, redis.call('ZCARD', prefix .. ':dead:' .. source)}
