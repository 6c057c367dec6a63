-- Ends that are no success, and the ways back. Made when the first one comes: see `_order.lua`.
local made_ends
local function ends()
  if made_ends then return made_ends end

  -- A dead letter is a failed job for RQ's tools, under the delivery's own id; its Requeue is our replay.
  -- Without a `trace` what they show of the exception stays as it is.
  local function file_failed(delivery, queue, processor, trace)
    write_job(delivery, queue, 'again', processor, 'failed')
    redis.call('HSET', rq .. ':job:' .. delivery, 'ended_at', stamp(), 'failure_ttl', '-1')
    redis.call('ZADD', rq .. ':failed:' .. queue, NEVER + now / 1000, delivery)
    if not trace then return end
    redis.call('DEL', rq .. ':results:' .. delivery)
    redis.call('XADD', rq .. ':results:' .. delivery, '*', 'type', '2', 'exc_string', trace)
  end

  local function bury(id, number, delivery, reason, trace)
    local record = event_key(id)
    local of = redis.call('HMGET', record, 'e', number .. 'p', number .. 'f', number .. 'k', number .. 'b')
    local source, queue = terms(id, of[1])
    redis.call('HSET', record, number .. 's', 'dead', number .. 't', now, number .. 'r', reason)
    redis.call('ZREM', prefix .. ':pending:' .. source, delivery)
    redis.call('ZADD', prefix .. ':dead:' .. source, now, delivery)
    forget_next_look(delivery, tonumber(of[3] or 0))
    file_failed(delivery, queue, of[2], trace)
    count('dead', source, reason)
    if of[4] and of[5] ~= '1' then order().pass_turn(of[4], delivery) end
  end

  local function unbury(delivery, source, queue)
    redis.call('ZREM', prefix .. ':dead:' .. source, delivery)
    redis.call('ZREM', rq .. ':failed:' .. queue, delivery)
    redis.call('DEL', rq .. ':job:' .. delivery, rq .. ':results:' .. delivery)
  end

  -- Puts a dead (or done) delivery back as if it had just been accepted. Returns what happened.
  local function revive(id, number, delivery, also_done)
    local record = event_key(id)
    local of = redis.call('HMGET', record, 'e', 'n', number .. 'p', number .. 's', number .. 'f', 'x', 'h',
      number .. 'k', number .. 'l')
    local processor, state = of[3], of[4]
    if not state then return 'missing' end
    if state ~= 'dead' and not (also_done and state == 'done') then return state end
    local source, queue = terms(id, of[1])
    if redis.call('EXISTS', body_key(id)) == 0 then
      -- A pressed Requeue has taken it out of the failed ones.
      if state == 'dead' and not redis.call('ZSCORE', rq .. ':failed:' .. queue, delivery) then
        file_failed(delivery, queue, processor)
      end
      return 'body_missing'
    end
    unbury(delivery, source, queue)
    if state == 'done' and of[2] ~= '1' then redis.call('HINCRBY', record, 'o', 1) end
    redis.call('HSET', record, number .. 's', 'pending', number .. 'a', 0, number .. 'c', 0,
      number .. 'm', 0, number .. 't', now, number .. 'r', 'replayed')
    redis.call('PERSIST', record)
    redis.call('PERSIST', body_key(id))
    if of[6] then redis.call('PERSIST', proof_key(of[6])) end
    redis.call('PERSIST', prefix .. ':attempts:' .. delivery)
    if of[7] then redis.call('PERSIST', prefix .. ':steps:' .. delivery) end
    if of[8] and not order().take_turn(of[8], delivery) then
      order().stand_in_line(id, number, delivery, source, of[8], of[9])
    else
      redis.call('ZADD', prefix .. ':pending:' .. source, now + look_ms, delivery)
      ring(id, number, delivery, queue, processor, tonumber(of[5] or 0) + 1)
    end
    count('replays', source)
    return 'replayed'
  end

  made_ends = {file_failed = file_failed, bury = bury, unbury = unbury, revive = revive}
  return made_ends
end
