-- Keeps refused requests, bounded: in the log the oldest give way to new ones, in the quarantine nothing
-- gives way. A request that the quarantine has already is kept once.
--
-- ARGV: store (refused | quarantine), most requests and most bytes of a source, how long it lives in ms (0: until
-- an operator acts), then for each request: source, id, when it came in ms, reason, head, body.
-- Replies a word each: kept | known | full.
local store, most, most_bytes, lives = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local replies = {}

local function fits(index, requests, size)
  local used = tonumber(redis.call('HGET', requests, 'bytes') or '0')
  return redis.call('ZCARD', index) < most and used + size <= most_bytes
end

local function over(index, requests)
  return redis.call('ZCARD', index) > most or tonumber(redis.call('HGET', requests, 'bytes') or '0') > most_bytes
end

-- Writes first and makes room then: on a server that is out of memory nothing happens at all.
local function keep(source, id, came, reason, head, body)
  local index, requests = prefix .. ':' .. store .. ':' .. source, prefix .. ':' .. store .. '_requests:' .. source
  if redis.call('ZSCORE', index, id) then return 'known' end
  if store == 'quarantine' and not fits(index, requests, #head + #body) then
    count('quarantine', source, 'full')
    return 'full'
  end
  redis.call('HSET', requests, id .. ':h', head, id .. ':b', body, id .. ':r', reason)
  redis.call('HINCRBY', requests, 'bytes', #head + #body)
  redis.call('ZADD', index, came, id)
  redis.call('SADD', prefix .. ':sources', source)
  if store == 'quarantine' then count('quarantine', source, 'kept') end
  while store == 'refused' and over(index, requests) and redis.call('ZCARD', index) > 1 do
    forget_request(store, source, redis.call('ZRANGE', index, 0, 0)[1])
  end
  if lives > 0 then
    redis.call('PEXPIRE', index, lives)
    redis.call('PEXPIRE', requests, lives)
  end
  return 'kept'
end

for at = 5, #ARGV, 6 do
  replies[#replies + 1] = keep(unpack(ARGV, at, at + 5))
end
return replies
