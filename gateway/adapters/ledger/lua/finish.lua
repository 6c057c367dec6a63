-- Records how attempts ended, each only with the current fence: a late finisher cannot overwrite.
--
-- ARGV: whether to keep RQ's books (0|1), look ms, then for each: delivery, fence,
-- done|wait|defer|dead|release, delay ms, outcome or reason, attempt's outcome,
-- trace for RQ's tools, what went wrong (JSON, or ''), how many events it emitted, and of each of those what
-- `accept` takes.
-- Replies a word each: finished | stale.
local keep_books = ARGV[1] == '1'
look_ms = tonumber(ARGV[2])
local replies = {}
write_though_memory_is_full()

-- The usual end. What forget_look and forget_next_look do is done for all of a call together.
local function done(id, number, delivery, source, queue, fence, lives, smooth)
  redis.call('HSET', event_key(id), number .. 's', 'done', number .. 't', now)
  zrem_later(prefix .. ':pending:' .. source, delivery)
  local job, next_job = delivery .. '-' .. fence, delivery .. '-' .. (fence + 1)
  if keep_books then
    zrem_later(rq .. ':wip:' .. queue, job .. ':' .. fence)
    zrem_later(rq .. ':failed:' .. queue, job)
    delete_later(rq .. ':job:' .. job)
    delete_later(rq .. ':results:' .. job)
  end
  delete_later(rq .. ':job:' .. next_job)
  end_if_all_done(id, lives, smooth)
end

local function wait(id, number, delivery, source, queue, processor, fence, delay)
  local record = event_key(id)
  redis.call('HSET', record, number .. 's', 'waiting', number .. 't', now + delay)
  redis.call('ZADD', prefix .. ':pending:' .. source, now + delay, delivery)
  local job = delivery .. '-' .. (fence + 1)
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
    count_later('emitted', source, processor, word)
    at = storing().after(at)
  end
end

local i = 3
while i <= #ARGV do
  local id, number, delivery = parse(ARGV[i])
  local verdict, delay, reason, outcome = ARGV[i + 2], tonumber(ARGV[i + 3]), ARGV[i + 4], ARGV[i + 5]
  local record = event_key(id)
  local of = redis.call('HMGET', record, number .. 's', number .. 'f', 'e', number .. 'p', 'n', 'x', 'h', number .. 'k',
    number .. 'r')
  local emitted = tonumber(ARGV[i + 8])
  if of[1] ~= 'leased' or of[2] ~= ARGV[i + 1] then
    replies[#replies + 1] = 'stale'
  else
    local source, queue, window, retention = terms(id, of[3])
    local processor, fence, line = of[4], tonumber(of[2]), of[8]
    count_later('attempts', source, processor, outcome)
    if ARGV[i + 7] ~= '' then
      redis.call('RPUSH', prefix .. ':attempts:' .. delivery, ARGV[i + 7])
      redis.call('LTRIM', prefix .. ':attempts:' .. delivery, -20, -1)
    end
    if keep_books and verdict ~= 'done' then forget_look(delivery, queue, fence) end
    if verdict == 'done' then
      -- Why it was put back, and the token of a stock worker's claim.
      if of[9] or not keep_books then redis.call('HDEL', record, number .. 'r', number .. 'o') end
      local smooth = fence == 1 and ARGV[i + 7] == ''
      done(id, number, delivery, source, queue, fence, {window, retention, of[5], of[6], of[7]}, smooth)
      emit(i + 9, emitted, source, processor)
      if line then order().pass_turn(line, delivery) end
    elseif verdict == 'wait' or verdict == 'defer' then
      -- Deferred by its own wish: it was no attempt.
      if verdict == 'defer' then redis.call('HINCRBY', record, number .. 'a', -1) end
      wait(id, number, delivery, source, queue, processor, fence, delay)
    elseif verdict == 'release' then
      release(id, number, delivery, source, queue, processor, fence)
    else
      bury(id, number, delivery, reason, ARGV[i + 6])
    end
    replies[#replies + 1] = 'finished'
  end
  i = i + 9
  for _ = 1, emitted do i = storing().after(i) end
end
do_now()
return replies
