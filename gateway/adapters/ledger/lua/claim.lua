-- Leases deliveries to one worker. The attempt is counted now, so that a crash counts.
--
-- ARGV: lease ms, most crashes, most that any may have, worker's name, whether to keep RQ's books (our own worker:
-- 1; RQ keeps its own when a stock worker runs the job: 0), token ('' for none), look ms, traces of a poisoned one,
-- of an abandoned one and of one without its body, how many queues,
-- then (queue, how many to take) pairs, then job or delivery ids that were taken already.
-- Whoever claims one again with the token that it was leased with gets the same lease: its reply was lost.
-- Replies a list each: {run, delivery, fence, attempt, crashes, source, type, provider's id, received ms,
-- processor, headers and body, 1 where it is to run alone} or {another word, delivery, processor, source}:
-- busy | waiting | pending | blocked | done | overtaken | dead | missing | poison | abandoned | body_missing
-- | replayed | foreign
local lease_ms, most_crashes, most_at_all, worker = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
local keep_books, token = ARGV[5] == '1', ARGV[6]
look_ms = tonumber(ARGV[7])
local traces, queues_at = {poison = ARGV[8], abandoned = ARGV[9], body_missing = ARGV[10]}, 11
local replies = {}
write_though_memory_is_full()

local function mark_started(job, queue, delivery, processor, fence)
  local new = redis.call('HSET', rq .. ':job:' .. job, 'status', 'started', 'started_at', stamp(),
    'worker_name', worker)
  -- Every job has a status: this one was gone, an operator's tool has deleted it.
  if new == 3 then write_job(job, queue, 'look', processor, 'started') end
  -- RQ's clean-up declares what has expired here abandoned; whether it is, our lease says.
  zadd_later(wip, queue, NEVER, job .. ':' .. text(fence))
end

-- A bell that rang twice leaves a job behind: it goes, unless it is the look that runs or is scheduled.
local function drop_job(delivery, look, fence, state)
  local number = tonumber(look)
  local runs, scheduled = state == 'leased' and number == fence, state == 'waiting' and number == fence + 1
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

-- Headers and body of each job, asked for together; false where they are gone, or where it is not as simple as that.
local function kept_of(jobs)
  local keys = {}
  for i, job in ipairs(jobs) do keys[i] = body_key('evt_' .. string.sub(job, 5, 30)) end
  return #keys > 0 and #keys <= most_arguments and redis.call('MGET', unpack(keys)) or {}
end

-- Headers and body; false when they are gone. An earlier release kept them in a hash.
local function kept(id)
  local stored = redis.pcall('GET', body_key(id))
  if type(stored) ~= 'table' then return stored end
  stored = redis.call('HMGET', body_key(id), 'h', 'b')
  return stored[2] and stored[1] .. '\n' .. stored[2]
end

-- The holder of the lease before has gone. Its own doing is what its holder lived to see, and gave the lease up; and
-- what crashed in a stock worker, whose work horse runs nothing else. Returns how many such there were.
local function note_crash(id, number, delivery, queue, fence, given_up, token_before, crashes, own)
  forget_look(delivery, queue, fence)
  if given_up or token_before and string.match(token_before, ':(%d+)$') == tostring(fence) then own = own + 1 end
  redis.call('HSET', event_key(id), number .. 'c', crashes, number .. 'm', own)
  return own
end

-- Why it is dead then; nil where it may run once more. The first crash may have taken a whole worker along.
local function death_by(crashes, own)
  if crashes >= most_crashes and own >= most_crashes - 1 then return 'poison' end
  return crashes >= most_at_all and 'abandoned' or nil
end

-- What vanished with its worker runs in a process of its own. Where the worker vanishes even so, somebody else
-- killed that: it is free to run among others again, or workers that do not live long would never get it done.
local function runs_alone(crashes, own) return own > 0 or crashes % 2 == 1 end

local function lease(id, number, delivery, look, stored)
  local record = event_key(id)
  local of = redis.call('HMGET', record, number .. 's', number .. 'f', number .. 'p', 'e', 't', 'p', 'r',
    number .. 'k')
  local state, processor, line = of[1], of[3], of[8]
  local source, queue = terms(id, of[4])
  -- What a claim before this one has left: there is none before the first.
  local before = of[2] and redis.call('HMGET', record, number .. 'a', number .. 'c', number .. 't',
    number .. 'm', number .. 'o') or {}
  local attempts, crashes, fence = (before[1] or 0) + 0, (before[2] or 0) + 0, (of[2] or 0) + 0
  local lease_ends, own, token_before = (before[3] or 0) + 0, (before[4] or 0) + 0, before[5]
  local again = state == 'leased' and token ~= '' and token_before == token .. ':' .. fence
  local early = not again and (state == 'leased' or state == 'waiting') and lease_ends > now
  if not state or state == 'done' or state == 'dead' or state == 'blocked' or early then
    drop_job(delivery, look, fence, state)
    return {state == 'leased' and 'busy' or state or 'missing', delivery, processor or '', source or ''}
  end
  if state == 'leased' and not again then
    crashes = crashes + 1
    count('attempts', source, processor, 'crashed')
    own = note_crash(id, number, delivery, queue, fence, lease_ends <= 0, token_before, crashes, own)
    local reason = death_by(crashes, own)
    if reason then
      ends().bury(id, number, delivery, reason, traces[reason])
      return {reason, delivery, processor, source}
    end
  elseif state == 'waiting' then
    redis.call('ZREM', rq .. ':scheduled:' .. queue, delivery .. '-' .. (fence + 1))
  end
  local word = line and out_of_order(id, number, delivery, source, processor, fence, line)
  if word then
    drop_job(delivery, look, fence, word)
    return {word, delivery, processor, source}
  end
  stored = stored or kept(id)
  if not stored then
    ends().bury(id, number, delivery, 'body_missing', traces.body_missing)
    return {'body_missing', delivery, processor, source}
  end
  if not again then attempts, fence = attempts + 1, fence + 1 end
  if token ~= '' then redis.call('HSET', record, number .. 'o', token .. ':' .. fence) end
  redis.call('HSET', record, number .. 's', 'leased', number .. 'a', attempts, number .. 'f', fence,
    number .. 't', now + lease_ms)
  zadd_later(pending, source, now + lease_ms, delivery)
  if keep_books then mark_started(delivery .. '-' .. text(fence), queue, delivery, processor, fence) end
  return {'run', delivery, fence, attempts, crashes, source, of[5], of[6], of[7], processor, stored,
    runs_alone(crashes, own) and 1 or 0}
end

-- A job id without a look is a dead letter's: somebody pressed Requeue.
local function requeued(id, number, delivery)
  local word = ends().revive(id, number, delivery, false)
  if keep_books and word ~= 'body_missing' then
    redis.call('DEL', rq .. ':job:' .. delivery, rq .. ':results:' .. delivery)
  end
  return {word == 'leased' and 'busy' or word, delivery}
end

local function take(job, queue, stored)
  local id, number, delivery, look = parse(job)
  if not id then
    -- Not ours: never drop another program's job. It is put where people see it.
    if queue then
      redis.call('SADD', rq .. ':queues', rq .. ':queue:foreign-' .. queue)
      redis.call('RPUSH', rq .. ':queue:foreign-' .. queue, job)
    end
    return {'foreign', job}
  end
  if queue and not look then return requeued(id, number, delivery) end
  return lease(id, number, delivery, look, stored)
end

local queues = tonumber(ARGV[queues_at])
for i = queues_at + 1, queues_at + queues * 2, 2 do
  local queue, many = ARGV[i], tonumber(ARGV[i + 1])
  local jobs = many > 0 and redis.call('LPOP', rq .. ':queue:' .. queue, many) or {}
  local stored = kept_of(jobs)
  for each, job in ipairs(jobs) do replies[#replies + 1] = take(job, queue, stored[each]) end
end
for i = queues_at + 1 + queues * 2, #ARGV, 2 do
  replies[#replies + 1] = take(ARGV[i], ARGV[i + 1] ~= '' and ARGV[i + 1] or nil)
end
do_now()
return replies
