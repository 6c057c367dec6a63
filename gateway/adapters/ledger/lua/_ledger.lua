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
-- PREFIX:proof:PROOF   (16 bytes, no text) which event (the letters of its id) came with this signed content; lives as its record
-- PREFIX:pending:SRC   open deliveries by when someone must look next; the blocked ones far ahead of all time
-- PREFIX:dead:SRC      dead letters by when they died
-- PREFIX:arrived:SRC   a stream of events by when they were received: an entry for each call that has stored some,
--     whose field e holds the letters of their ids; gone with the last record of an entry
-- PREFIX:events:SRC    the same, a sorted set, as the release before had it; nobody adds to it
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
local now = clock[1] * 1000 + (clock[2] - clock[2] % 1000) / 1000

-- The year 9000: RQ's registries forget what is older than now, and its dates end with the year 9999.
local NEVER = 221845392000

-- Beyond every due time: where the blocked ones are in `pending`, by when someone looks after their line.
local FAR = NEVER * 1000

-- After how long someone looks at an open delivery; each script sets it that needs it.
local look_ms

local pending, wip, failed = prefix .. ':pending:', rq .. ':wip:', rq .. ':failed:'
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

-- Lua writes a number through C's printf, which takes as long as a short command: once each is enough.
local written = {}
local function text(number)
  local known = written[number]
  if not known then
    known = tostring(number)
    written[number] = known
  end
  return known
end

-- 'dlv_abc-2', or a job id 'dlv_abc-2-5', to event id, delivery number, delivery id, look (nil: no job id).
local function parse(name)
  local delivery, letters, number, look = string.match(name, '^(dlv_([a-z2-7]+)%-(%d+))%-?(%d*)$')
  if not delivery then return nil end
  return 'evt_' .. letters, number, delivery, look ~= '' and look or nil
end

local function count(...)
  redis.call('HINCRBY', prefix .. ':counters', table.concat({...}, '|'), 1)
end

-- A server that is out of memory refuses what takes more of it, unless the script has begun to write.
-- Only `accept` is to be refused: everything else is how the memory becomes free again.
local function write_though_memory_is_full()
  redis.call('DEL', prefix .. ':nothing')
end
