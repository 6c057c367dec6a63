-- Records how attempts ended, each only with the current fence: a late finisher cannot overwrite.
--
-- ARGV: whether to keep RQ's books (0|1), look ms, then for each: delivery, fence, attempt's outcome, what went
-- wrong (JSON, or ''), how many events it emitted, done|wait|defer|dead|release; after wait and defer the delay
-- in ms, after dead the reason and the trace for RQ's tools; and of each emitted event what `accept` takes.
-- Replies a word each: finished | stale.
local keep_books = ARGV[1] == '1'
look_ms = tonumber(ARGV[2])
local replies, more = {}, {wait = 1, defer = 1, dead = 2}
write_though_memory_is_full()

-- The looks that are over, by queue: what forget_look does is done for all of a call together. A result of RQ's
-- is where a stock worker has written down a failure, and nowhere else.
local looks = {}
local function forget_looks()
  for queue, jobs in pairs(looks) do
    if call_with_all('ZREM', failed .. queue, jobs) > 0 then
      for _, job in ipairs(jobs) do delete_later(rq .. ':results:' .. job) end
    end
  end
end

-- The usual end.
local function done(number, delivery, record, source, queue, fence)
  redis.call('HSET', record, number .. 's', 'done', number .. 't', now)
  zrem_later(pending, source, delivery)
  if keep_books then
    local job, jobs = delivery .. '-' .. fence, looks[queue] or {}
    looks[queue], jobs[#jobs + 1] = jobs, job
    zrem_later(wip, queue, job .. ':' .. fence)
    delete_later(rq .. ':job:' .. job)
  end
  delete_later(rq .. ':job:' .. delivery .. '-' .. text(fence + 1))
end

local function wait(id, number, delivery, source, queue, processor, fence, delay)
  local record = event_key(id)
  redis.call('HSET', record, number .. 's', 'waiting', number .. 't', now + delay)
  redis.call('ZADD', prefix .. ':pending:' .. source, now + delay, delivery)
  local job = delivery .. '-' .. text(fence + 1)
  write_job(job, queue, 'look', processor, 'scheduled')
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

-- Events of an attempt that is done. One that nobody wants is counted only; one that an earlier run of this
-- delivery has emitted is there already.
local function emit(at, many, source, processor)
  for _ = 1, many do
    local word = 'accepted'
    if ARGV[at + 8] == '0' then
      word = 'ignored'
    elseif redis.call('EXISTS', event_key(ARGV[at])) == 1 then
      word = 'duplicate'
    else
      storing().store(at)
    end
    count_later('emitted|' .. source .. '|' .. processor .. '|' .. word)
    at = storing().after(at)
  end
end

local i = 3
while i <= #ARGV do
  local id, number, delivery = parse(ARGV[i])
  local outcome, wrong, emitted, verdict = ARGV[i + 2], ARGV[i + 3], ARGV[i + 4] + 0, ARGV[i + 5]
  local record = event_key(id)
  local of = redis.call('HMGET', record, number .. 's', number .. 'f', 'e', number .. 'p', 'n', 'x', 'h',
    number .. 'k', number .. 'r')
  if of[1] ~= 'leased' or of[2] ~= ARGV[i + 1] then
    replies[#replies + 1] = 'stale'
  else
    local source, queue, window, retention = terms(id, of[3])
    local processor, fence, line = of[4], of[2] + 0, of[8]
    count_later('attempts|' .. source .. '|' .. processor .. '|' .. outcome)
    if wrong ~= '' then
      redis.call('RPUSH', prefix .. ':attempts:' .. delivery, wrong)
      redis.call('LTRIM', prefix .. ':attempts:' .. delivery, -20, -1)
    end
    if keep_books and verdict ~= 'done' then forget_look(delivery, queue, fence) end
    if verdict == 'done' then
      -- Why it was put back, and the token of a stock worker's claim.
      if of[9] or not keep_books then redis.call('HDEL', record, number .. 'r', number .. 'o') end
      done(number, delivery, record, source, queue, of[2])
      if of[5] ~= '1' then
        end_if_all_done(id)
      else
        let_expire(id, window, retention, '1', of[6], of[7], fence == 1 and wrong == '' and not of[7])
      end
      emit(i + 6, emitted, source, processor)
      if line then order().pass_turn(line, delivery) end
    elseif verdict == 'wait' or verdict == 'defer' then
      -- Deferred by its own wish: it was no attempt.
      if verdict == 'defer' then redis.call('HINCRBY', record, number .. 'a', -1) end
      wait(id, number, delivery, source, queue, processor, fence, ARGV[i + 6] + 0)
    elseif verdict == 'release' then
      release(id, number, delivery, source, queue, processor, fence)
    else
      ends().bury(id, number, delivery, ARGV[i + 6], ARGV[i + 7])
    end
    replies[#replies + 1] = 'finished'
  end
  i = i + 6 + (more[verdict] or 0)
  for _ = 1, emitted do i = storing().after(i) end
end
forget_looks()
do_now()
return replies
