-- Records how attempts ended, each only with the current fence: a late finisher cannot overwrite.
--
-- ARGV: whether to keep RQ's books (0|1), look ms, then for each: delivery, fence, done|wait|dead|release,
-- delay ms, outcome or reason, attempt's outcome, trace for RQ's tools, what went wrong (JSON, or '').
-- Replies a word each: finished | stale.
local keep_books, look_ms = ARGV[1] == '1', tonumber(ARGV[2])
local replies = {}
write_though_memory_is_full()

-- The usual end. What forget_look and forget_next_look do is done for all of a call together.
local function done(id, number, delivery, source, queue, fence, lives)
  redis.call('HSET', event_key(id), number .. 's', 'done', number .. 't', now, number .. 'r', '')
  zrem_later(prefix .. ':pending:' .. source, delivery)
  local job, next_job = delivery .. '-' .. fence, delivery .. '-' .. (fence + 1)
  if keep_books then
    zrem_later(rq .. ':wip:' .. queue, job .. ':' .. fence)
    zrem_later(rq .. ':failed:' .. queue, job)
    delete_later(rq .. ':job:' .. job)
    delete_later(rq .. ':results:' .. job)
  end
  delete_later(rq .. ':job:' .. next_job)
  end_if_all_done(id, lives)
end

local function wait(id, number, delivery, source, queue, processor, fence, delay)
  local record = event_key(id)
  redis.call('HSET', record, number .. 's', 'waiting', number .. 't', now + delay)
  redis.call('ZADD', prefix .. ':pending:' .. source, now + delay, delivery)
  local job = delivery .. '-' .. (fence + 1)
  write_job(job, queue, 'look', delivery, processor, 'scheduled')
  -- Rounded up: RQ's scheduler, where one runs, must not ring before the time has come.
  redis.call('ZADD', rq .. ':scheduled:' .. queue, math.ceil((now + delay) / 1000), job)
end

-- Given back unrun, on shutdown: it was no attempt.
local function release(id, number, delivery, source, queue, processor, fence)
  redis.call('HSET', event_key(id), number .. 's', 'pending', number .. 't', now)
  redis.call('HINCRBY', event_key(id), number .. 'a', -1)
  redis.call('ZADD', prefix .. ':pending:' .. source, now + look_ms, delivery)
  ring(id, number, delivery, queue, processor, fence + 1)
end

for i = 3, #ARGV, 8 do
  local id, number, delivery = parse(ARGV[i])
  local verdict, delay, reason, outcome = ARGV[i + 2], tonumber(ARGV[i + 3]), ARGV[i + 4], ARGV[i + 5]
  local record = event_key(id)
  local of = redis.call('HMGET', record, number .. 's', number .. 'f', 's', 'q', number .. 'p', 'w', 'k', 'n', 'x')
  local source, queue, processor, fence = of[3], of[4], of[5], tonumber(of[2] or 0)
  if of[1] ~= 'leased' or of[2] ~= ARGV[i + 1] then
    replies[#replies + 1] = 'stale'
  else
    count_later('attempts', source, processor, outcome)
    if ARGV[i + 7] ~= '' then
      redis.call('RPUSH', prefix .. ':attempts:' .. delivery, ARGV[i + 7])
      redis.call('LTRIM', prefix .. ':attempts:' .. delivery, -20, -1)
    end
    if keep_books and verdict ~= 'done' then forget_look(delivery, queue, fence) end
    if verdict == 'done' then
      done(id, number, delivery, source, queue, fence, {of[6], of[7], of[8], of[9]})
    elseif verdict == 'wait' then
      wait(id, number, delivery, source, queue, processor, fence, delay)
    elseif verdict == 'release' then
      release(id, number, delivery, source, queue, processor, fence)
    else
      bury(id, number, delivery, reason, ARGV[i + 6])
    end
    replies[#replies + 1] = 'finished'
  end
end
do_now()
return replies
