-- Leases deliveries to one worker. The attempt is counted now, so that a crash counts.
--
-- ARGV: lease ms, most crashes, worker's name, whether to keep RQ's books (our own worker: 1; RQ keeps
-- its own when a stock worker runs the job: 0), traces of a poisoned one and of one without its body, look ms,
-- how many queues,
-- then (queue, how many to take) pairs, then job or delivery ids that were taken already.
-- Replies a list each: {run, delivery, fence, attempt, crashes, source, type, provider's id, received ms,
-- processor, event, headers and body} or {another word, delivery, processor, source}:
-- busy | waiting | pending | blocked | done | overtaken | dead | missing | poison | body_missing | replayed
-- | foreign
local lease_ms, most_crashes, worker = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
local keep_books, poison_trace, body_trace = ARGV[4] == '1', ARGV[5], ARGV[6]
look_ms = tonumber(ARGV[7])
local replies = {}
write_though_memory_is_full()

local function mark_started(job, queue, delivery, processor, fence)
  if redis.call('EXISTS', rq .. ':job:' .. job) == 0 then
    write_job(job, queue, 'look', delivery, processor, 'started')
  end
  redis.call('HSET', rq .. ':job:' .. job, 'status', 'started', 'started_at', stamp, 'worker_name', worker)
  -- RQ's clean-up declares what has expired here abandoned; whether it is, our lease says.
  zadd_later(rq .. ':wip:' .. queue, NEVER, job .. ':' .. fence)
end

-- A bell that rang twice leaves a job behind: it goes, unless it is the look that runs or is scheduled.
local function drop_job(delivery, look, fence, state)
  local runs, scheduled = state == 'leased' and look == fence, state == 'waiting' and look == fence + 1
  if keep_books and look and not runs and not scheduled then
    redis.call('DEL', rq .. ':job:' .. delivery .. '-' .. look)
  end
end

-- Why one that keeps an order may not run now; nil when it may. Only the holder of the turn may, and takes it
-- anew where it got lost.
local function out_of_order(id, number, delivery, source, processor, fence, key)
  local of = redis.call('HMGET', event_key(id), number .. 'l', number .. 'v')
  if of[2] and order().is_overtaken(key, of[2]) then
    order().overtake(id, number, delivery, source, processor)
    redis.call('ZREM', prefix .. ':pending:' .. source, delivery)
    forget_next_look(delivery, fence)
    end_if_all_done(id)
    order().pass_turn(key, delivery)
    return 'overtaken'
  elseif not order().take_turn(key, delivery) then
    order().stand_in_line(id, number, delivery, source, key, of[1])
    return 'blocked'
  end
end

-- Headers and body; false when they are gone. The release before this one kept them in a hash.
local function kept(id)
  local stored = redis.pcall('GET', body_key(id))
  if type(stored) ~= 'table' then return stored end
  stored = redis.call('HMGET', body_key(id), 'h', 'b')
  return stored[2] and stored[1] .. '\n' .. stored[2]
end

local function lease(id, number, delivery, look)
  local record = event_key(id)
  local of = redis.call('HMGET', record, number .. 's', number .. 'a', number .. 'c', number .. 'f', number .. 't',
    number .. 'p', 's', 'q', 't', 'p', 'r', number .. 'k')
  local state, processor, source, queue = of[1], of[6], of[7], of[8]
  local attempts, crashes, fence = tonumber(of[2]), tonumber(of[3]), tonumber(of[4] or -1)
  local early = (state == 'leased' or state == 'waiting') and tonumber(of[5]) > now
  if not state or state == 'done' or state == 'dead' or state == 'blocked' or early then
    drop_job(delivery, look, fence, state)
    return {state == 'leased' and 'busy' or state or 'missing', delivery, processor or '', source or ''}
  end
  if state == 'leased' then
    crashes = crashes + 1
    redis.call('HSET', record, number .. 'c', crashes)
    count('attempts', source, processor, 'crashed')
    forget_look(delivery, queue, fence)
    if crashes >= most_crashes then
      bury(id, number, delivery, 'poison', poison_trace)
      return {'poison', delivery, processor, source}
    end
  elseif state == 'waiting' then
    redis.call('ZREM', rq .. ':scheduled:' .. queue, delivery .. '-' .. (fence + 1))
  end
  local word = of[12] and out_of_order(id, number, delivery, source, processor, fence, of[12])
  if word then
    drop_job(delivery, look, fence, word)
    return {word, delivery, processor, source}
  end
  local stored = kept(id)
  if not stored then
    bury(id, number, delivery, 'body_missing', body_trace)
    return {'body_missing', delivery, processor, source}
  end
  attempts, fence = attempts + 1, fence + 1
  redis.call('HSET', record, number .. 's', 'leased', number .. 'a', attempts, number .. 'f', fence,
    number .. 't', now + lease_ms)
  zadd_later(prefix .. ':pending:' .. source, now + lease_ms, delivery)
  if keep_books then mark_started(delivery .. '-' .. fence, queue, delivery, processor, fence) end
  return {'run', delivery, fence, attempts, crashes, source, of[9], of[10], of[11], processor, id, stored}
end

-- A job id without a look is a dead letter's: somebody pressed Requeue.
local function requeued(id, number, delivery)
  local word = revive(id, number, delivery, false)
  if keep_books and word ~= 'body_missing' then
    redis.call('DEL', rq .. ':job:' .. delivery, rq .. ':results:' .. delivery)
  end
  return {word == 'leased' and 'busy' or word, delivery}
end

local function take(text, queue)
  local id, number, delivery, look = parse(text)
  if not id then
    -- Not ours: never drop another program's job. It is put where people see it.
    if queue then
      redis.call('SADD', rq .. ':queues', rq .. ':queue:foreign-' .. queue)
      redis.call('RPUSH', rq .. ':queue:foreign-' .. queue, text)
    end
    return {'foreign', text}
  end
  if queue and not look then return requeued(id, number, delivery) end
  return lease(id, number, delivery, look)
end

local queues = tonumber(ARGV[8])
for i = 1, queues do
  local queue, many = ARGV[7 + i * 2], tonumber(ARGV[8 + i * 2])
  local jobs = many > 0 and redis.call('LPOP', rq .. ':queue:' .. queue, many) or {}
  for _, job in ipairs(jobs) do replies[#replies + 1] = take(job, queue) end
end
for i = 9 + queues * 2, #ARGV, 2 do
  replies[#replies + 1] = take(ARGV[i], ARGV[i + 1] ~= '' and ARGV[i + 1] or nil)
end
do_now()
return replies
