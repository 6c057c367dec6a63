-- Put before every script: key names, the clock, and what more than one script does.
--
-- KEYS[1] is Hookline's prefix, KEYS[2] is RQ's. Times are milliseconds of Redis' own clock.
--
-- PREFIX:event:EVT     the event's record and its deliveries, one hash
--     e source|queue ('' where it is called as the source)|dedup window|retention,
--     t type, p provider's id, r received at, z body size, n number of deliveries, o how many of several are not done,
--     x its proof (only where the provider's id is not signed), h 1 where a delivery has steps;
--     of delivery I: Ip processor, Is state, Ia attempts, Ic crashes, If fence (each 0 where it is not there),
--     Iq ring number, Ir reason, Im how many of its crashes were surely its own,
--     Io token and fence of a claim that may be repeated,
--     It since when due (pending; not there: since it was received) | lease ends (leased; 0: given up)
--        | next attempt (waiting) | ended (done, dead) | since when it stands in line (blocked);
--     where it keeps an order: Ik key of its line, Il arrival number, Ib 1 when a dead one keeps its turn,
--     Iv version (a kind and digits; only where a newer one may overtake it)
-- PREFIX:body:EVT      headers as HTTP has them, an empty line, the body; gone after the retention
-- PREFIX:proof:PROOF   which event (the letters of its id) came with this signed content; lives as its record
-- PREFIX:pending:SRC   open deliveries by when someone must look next; the blocked ones far ahead of all time
-- PREFIX:dead:SRC      dead letters by when they died
-- PREFIX:events:SRC    events by when they were received
-- PREFIX:attempts:DLV  what went wrong, one JSON text an attempt, the last 20
-- PREFIX:steps:DLV     what the author's steps gave, JSON by name; lives as the attempts do
-- PREFIX:arrivals      how many deliveries ever asked for a turn
-- PREFIX:turn:KEY      which delivery of a line may run; gone with the last of them
-- PREFIX:line:KEY      those behind it, by arrival number; likewise
-- PREFIX:latest:KEY    the highest version that was accepted; lives for the dedup window from the last arrival
-- PREFIX:rings:QUEUE   how often this queue was rung, ever
-- PREFIX:counters      totals for the metrics
-- PREFIX:marker        a random mark; written by the gateways, read by nobody else
-- PREFIX:armed:SRC     while it lives, a handshake may teach a secret: "open", or the SHA-1 of the one taught
-- PREFIX:learnt:SRC    secrets that handshakes have taught, newest first
-- PREFIX:sources       every source that ever had an event, or a refused request that was kept
-- PREFIX:refused:SRC   the log of refused requests by when they came: bounded, the oldest give way
-- PREFIX:quarantine:SRC  refused requests that are kept whole, by when they came, until an operator acts
-- PREFIX:refused_requests:SRC     one hash; of request REF: REF:h all but its body, REF:b body, REF:r reason;
--     bytes: the size of heads and bodies together
-- PREFIX:quarantine_requests:SRC  likewise
-- PREFIX:secret_use:SRC  of secret REF: count|REF, last|REF (ms), first|REF (ms, when it was first configured)
local prefix, rq = KEYS[1], KEYS[2]
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

-- The year 9000: RQ's registries forget what is older than now, and its dates end with the year 9999.
local NEVER = 221845392000

-- Beyond every due time: where the blocked ones are in `pending`, by when someone looks after their line.
local FAR = NEVER * 1000

-- After how long someone looks at an open delivery; each script sets it that needs it.
local look_ms

local function event_key(id) return prefix .. ':event:' .. id end
local function body_key(id) return prefix .. ':body:' .. id end
local function proof_key(proof) return prefix .. ':proof:' .. proof end

-- Of field `e`: source, queue, dedup window, retention. It is one field because each costs bytes and time; events
-- of the release before have a field for each. Most events of one call have the same: it is taken apart once.
local apart = {}
local function terms(id, e)
  if not e then return unpack(redis.call('HMGET', event_key(id), 's', 'q', 'w', 'k')) end
  if not apart[e] then
    local source, queue, window, retention = string.match(e, '^([^|]*)|([^|]*)|(%d+)|(%d+)$')
    apart[e] = {source, queue == '' and source or queue, window, retention}
  end
  return unpack(apart[e])
end

-- 'dlv_abc-2', or a job id 'dlv_abc-2-5', to event id, delivery number, delivery id, look (nil: no job id).
local function parse(text)
  local digest, number, look = string.match(text, '^dlv_([a-z2-7]+)%-(%d+)%-?(%d*)$')
  if not digest then return nil end
  return 'evt_' .. digest, number, 'dlv_' .. digest .. '-' .. number, tonumber(look)
end

local function count(...)
  redis.call('HINCRBY', prefix .. ':counters', table.concat({...}, '|'), 1)
end

-- What the deliveries of one call need alike is put off, and done once for all of them at its end: a command
-- costs far more than its arguments. Only for what nothing else in the call reads.
local put_off, tallies, most_put_off = {}, {}, 4000
local sources = {} -- that an event was stored for
local bells = {} -- by queue: the jobs that go into it, and how often it was rung before
local function later(name, call)
  local known = put_off[name]
  if known and #known < most_put_off then return known end
  if known then redis.call(unpack(known)) end
  put_off[name] = call
  return call
end

local function zadd_later(key, score, member)
  local call = later('ZADD ' .. key, {'ZADD', key})
  call[#call + 1], call[#call + 2] = score, member
end

local function zrem_later(key, member)
  local call = later('ZREM ' .. key, {'ZREM', key})
  call[#call + 1] = member
end

local function delete_later(key)
  local call = later('DEL', {'DEL'})
  call[#call + 1] = key
end

local function count_later(...)
  local name = table.concat({...}, '|')
  tallies[name] = (tallies[name] or 0) + 1
end

local function do_now()
  for name, call in pairs(put_off) do
    redis.call(unpack(call))
    put_off[name] = nil
  end
  for name, many in pairs(tallies) do
    redis.call('HINCRBY', prefix .. ':counters', name, many)
    tallies[name] = nil
  end
  for source in pairs(sources) do redis.call('SADD', prefix .. ':sources', source) end
  for queue, jobs in pairs(bells) do
    redis.call('SADD', rq .. ':queues', rq .. ':queue:' .. queue)
    for first = 1, #jobs, most_put_off do
      redis.call('RPUSH', rq .. ':queue:' .. queue, unpack(jobs, first, math.min(#jobs, first + most_put_off - 1)))
    end
    redis.call('INCRBY', prefix .. ':rings:' .. queue, #jobs)
    bells[queue] = nil
  end
end

-- A server that is out of memory refuses what takes more of it, unless the script has begun to write.
-- Only `accept` is to be refused: everything else is how the memory becomes free again.
local function write_though_memory_is_full()
  redis.call('DEL', prefix .. ':nothing')
end

-- Civil date of a day number: RQ keeps its times as text.
local function iso(ms)
  local days = math.floor(ms / 86400000) + 719468
  local era = math.floor(days / 146097)
  local doe = days - era * 146097
  local yoe = math.floor((doe - math.floor(doe / 1460) + math.floor(doe / 36524) - math.floor(doe / 146096)) / 365)
  local doy = doe - (365 * yoe + math.floor(yoe / 4) - math.floor(yoe / 100))
  local mp = math.floor((5 * doy + 2) / 153)
  local day = doy - math.floor((153 * mp + 2) / 5) + 1
  local month = mp < 10 and mp + 3 or mp - 9
  local year = yoe + era * 400 + (month <= 2 and 1 or 0)
  local rest = ms % 86400000
  return string.format('%04d-%02d-%02dT%02d:%02d:%02d.%03d000Z', year, month, day, math.floor(rest / 3600000),
    math.floor(rest / 60000) % 60, math.floor(rest / 1000) % 60, rest % 1000)
end

local stamp = iso(now)

-- An RQ job whose id says all, and with what RQ and its tools can not do without. Nothing a sender wrote may stand
-- in it: rq-dashboard shows a description as it is. No time limit of RQ's (-1): ours holds in both kinds of worker.
-- A hash whose values have 64 bytes at most takes half the memory: hence a description without the id.
local function write_job(job, queue, entry, processor, status)
  redis.call('HSET', rq .. ':job:' .. job,
    'created_at', stamp, 'origin', queue, 'status', status,
    'data', '["gateway.jobs.' .. entry .. '",null,[],{}]', 'description', string.sub(processor, 1, 64),
    'timeout', '-1', 'result_ttl', '0')
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
  redis.call('DEL', rq .. ':job:' .. delivery .. '-' .. (fence + 1))
end

-- From the last delivery's end the record lives for the dedup window, the body for the retention.
-- Of a single delivery nobody counts how many are open. `smooth`: it was done at the first attempt, and left no
-- word of any.
local function end_if_all_done(id, lives, smooth)
  local record = event_key(id)
  if not lives then
    local of = redis.call('HMGET', record, 'e', 'n', 'x', 'h')
    local _, _, window, retention = terms(id, of[1])
    lives = {window, retention, of[2], of[3], of[4]}
  end
  if lives[3] ~= '1' and redis.call('HINCRBY', record, 'o', -1) > 0 then return end
  redis.call('PEXPIRE', record, lives[1])
  redis.call('PEXPIRE', body_key(id), lives[2])
  if lives[4] then redis.call('PEXPIRE', proof_key(lives[4]), lives[1]) end
  if smooth and lives[3] == '1' and not lives[5] then return end
  for number = 1, tonumber(lives[3]) do
    local delivery = string.gsub(id, '^evt_', 'dlv_') .. '-' .. number
    redis.call('PEXPIRE', prefix .. ':attempts:' .. delivery, lives[1])
    if lives[5] then redis.call('PEXPIRE', prefix .. ':steps:' .. delivery, lives[1]) end
  end
end
