-- Makes a batch of verified events durable, each once: record, body, deliveries, pending index, RQ jobs.
-- A repeat says what became of the first, and brings a dead one back if its source says so. So does a
-- known proof under another id, but that is nobody's retry: it brings nothing back and leaves no record.
--
-- ARGV: look ms, then for each event: id, field `e` of its record, type, provider's id, revive
-- dead (0|1), headers and body, size of the body, proof ('' for none), how many processors, their names, how many
-- of them keep an order, and of each of those, in the same sequence: its number, key of its line, 1 when a dead one
-- keeps its turn (else 0), version ('' for none, 'a': by arrival).
-- Replies a word each: accepted | pending | done | dead | revived.
look_ms = tonumber(ARGV[1])
local replies, replayed = {}, {}

local function state_of(record, deliveries)
  local open = false
  for number = 1, deliveries do
    local state = redis.call('HGET', record, number .. 's')
    if state == 'dead' then return 'dead' end
    open = open or state ~= 'done'
  end
  return open and 'pending' or 'done'
end

local function repeated(id, deliveries, revive_dead)
  local state = state_of(event_key(id), deliveries)
  if state ~= 'dead' or not revive_dead then return state end
  local revived = false
  for number = 1, deliveries do
    local delivery = string.gsub(id, '^evt_', 'dlv_') .. '-' .. number
    if ends().revive(id, tostring(number), delivery, false) == 'replayed' then revived = true end
  end
  return revived and 'revived' or 'dead'
end

-- The event that came first with this signed content, and its number of deliveries. Asked of the event
-- itself: its record may be gone, or be that of a later life with other content.
local function first_with(proof)
  local letters = proof ~= '' and redis.call('GET', proof_key(proof))
  if not letters then return nil end
  local of = redis.call('HMGET', event_key('evt_' .. letters), 'n', 'x')
  if of[2] == proof then return 'evt_' .. letters, tonumber(of[1]) end
end

local function accept(at)
  local known = redis.call('HGET', event_key(ARGV[at]), 'n')
  if known then return repeated(ARGV[at], tonumber(known), ARGV[at + 4] == '1') end
  local first, deliveries = first_with(ARGV[at + 7])
  if first then
    replayed[#replayed + 1] = string.match(ARGV[at + 1], '^[^|]*')
    return state_of(event_key(first), deliveries)
  end
  storing().store(at)
  set_now() -- the next one may have the same proof
  return 'accepted'
end

local store, after = storing().store, storing().after

-- Whether nothing of this call is known yet, and nothing comes twice in it, as is usual: one question for all of it.
local function all_are_new()
  local keys, many, seen, at, last = {}, 0, {}, 2, #ARGV
  while at <= last do
    local record, proof = event_key(ARGV[at]), ARGV[at + 7]
    if seen[record] or seen[proof] then return false end
    many, seen[record] = many + 1, true
    keys[many] = record
    if proof ~= '' then
      many, seen[proof] = many + 1, true
      keys[many] = proof_key(proof)
    end
    at = after(at)
  end
  return many < most_arguments and redis.call('EXISTS', unpack(keys)) == 0
end

local at, last, are_new = 2, #ARGV, all_are_new()
while at <= last do
  local word = 'accepted'
  if are_new then store(at) else word = accept(at) end
  replies[#replies + 1] = word
  at = after(at)
end
do_now()

-- Counted last: a count that memory is too short for must not keep a repeat from its answer, and must not
-- open the way for new events either.
-- And always: a server that was made a replica may soon forget what it has, and must not promise a repeat.
write_though_memory_is_full()
for _, source in ipairs(replayed) do count('replayed', source) end
return replies
