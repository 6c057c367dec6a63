-- RQ's books: jobs, bells, and what is taken out of them.

-- How often `by` goes into a number that is not negative.
local function times(number, by) return (number - number % by) / by end

-- Civil date of a day number: RQ keeps its times as text.
local function iso(ms)
  local days = times(ms, 86400000) + 719468
  local era = times(days, 146097)
  local doe = days - era * 146097
  local yoe = times(doe - times(doe, 1460) + times(doe, 36524) - times(doe, 146096), 365)
  local doy = doe - (365 * yoe + times(yoe, 4) - times(yoe, 100))
  local mp = times(5 * doy + 2, 153)
  local day = doy - times(153 * mp + 2, 5) + 1
  local month = mp < 10 and mp + 3 or mp - 9
  local year = yoe + era * 400 + (month <= 2 and 1 or 0)
  return string.format('%04d-%02d-%02dT%02d:%02d:%02d.%03d000Z', year, month, day, times(ms, 3600000) % 24,
    times(ms, 60000) % 60, times(ms, 1000) % 60, ms % 1000)
end

local made_stamp
local function stamp()
  made_stamp = made_stamp or iso(now)
  return made_stamp
end

-- An RQ job whose id says all, and with what RQ and its tools can not do without. Nothing a sender wrote may stand
-- in it: rq-dashboard shows a description as it is. No time limit of RQ's (-1): ours holds in both kinds of worker.
-- A hash whose values have 64 bytes at most takes half the memory: hence a description without the id. That nothing
-- is kept of a job that is over, `gateway.jobs` says when it runs. Returns how many of its fields were not there.
local job_fields = 6
local function write_job(job, queue, entry, processor, status)
  return redis.call('HSET', rq .. ':job:' .. job,
    'created_at', stamp(), 'origin', queue, 'status', status,
    'data', '["gateway.jobs.' .. entry .. '",null,[],{}]', 'description', string.sub(processor, 1, 64),
    'timeout', '-1')
end

-- Puts a job into its queue at the end of this call. The number of this ring.
local function push(job, queue)
  local jobs = bells[queue]
  if not jobs then
    jobs = {before = tonumber(redis.call('GET', prefix .. ':rings:' .. queue) or '0')}
    bells[queue] = jobs
  end
  jobs[#jobs + 1] = job
  return jobs.before + #jobs
end

-- Rings RQ at the end of this call: "look at this delivery now". The number of this look makes the job id, so
-- that what RQ still has to write about the look before can not touch this one.
local function ring(id, number, delivery, queue, processor, look)
  local job = delivery .. '-' .. look
  write_job(job, queue, 'look', processor, 'queued')
  redis.call('HSET', event_key(id), number .. 'q', push(job, queue))
end

-- Whether ring number `ring_number` still lies in the queue. A queue is first in, first out, and every
-- push is counted: what was pushed before the last LLEN pushes has been taken out. What others push makes
-- a lost bell look as if it lay there, until that much has been taken out too.
local function still_rung(queue, ring_number)
  local mine, total = tonumber(ring_number or '0'), tonumber(redis.call('GET', prefix .. ':rings:' .. queue) or '0')
  if mine > total then return false end -- the count was lost
  return mine > total - redis.call('LLEN', rq .. ':queue:' .. queue)
end

-- The number of a look is the fence that its claim gives out. Takes all of it out of RQ's books:
-- started (written by our own worker), failed (by a stock worker whose work horse died), the job itself.
local function forget_look(delivery, queue, look)
  local job = delivery .. '-' .. look
  redis.call('ZREM', rq .. ':wip:' .. queue, job .. ':' .. look)
  redis.call('ZREM', rq .. ':failed:' .. queue, job)
  redis.call('DEL', rq .. ':job:' .. job, rq .. ':results:' .. job)
end

-- The job of a look that is not to come: the sweeper may have rung for a holder that was only late.
local function forget_next_look(delivery, fence)
  redis.call('DEL', rq .. ':job:' .. delivery .. '-' .. text(fence + 1))
end

-- From the last delivery's end the record lives for the dedup window, the body for the retention.
-- `smooth`: it is the only one, was done at the first attempt, and left no word of any.
local function let_expire(id, window, retention, deliveries, proof, has_steps, smooth)
  redis.call('PEXPIRE', event_key(id), window)
  redis.call('PEXPIRE', body_key(id), retention)
  if proof then redis.call('PEXPIRE', proof_key(proof), window) end
  if smooth then return end
  for number = 1, tonumber(deliveries) do
    local delivery = string.gsub(id, '^evt_', 'dlv_') .. '-' .. number
    redis.call('PEXPIRE', prefix .. ':attempts:' .. delivery, window)
    if has_steps then redis.call('PEXPIRE', prefix .. ':steps:' .. delivery, window) end
  end
end

-- Of a single delivery nobody counts how many are open.
local function end_if_all_done(id)
  local of = redis.call('HMGET', event_key(id), 'e', 'n', 'x', 'h')
  local _, _, window, retention = terms(id, of[1])
  if of[2] ~= '1' and redis.call('HINCRBY', event_key(id), 'o', -1) > 0 then return end
  let_expire(id, window, retention, of[2], of[3], of[4], false)
end
