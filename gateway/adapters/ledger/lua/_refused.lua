-- What scripts for refused requests share.

-- Takes a refused request out of its store (refused | quarantine). Whether it was there.
local function forget_request(store, source, id)
  local index, requests = prefix .. ':' .. store .. ':' .. source, prefix .. ':' .. store .. '_requests:' .. source
  local size = redis.call('HSTRLEN', requests, id .. ':h') + redis.call('HSTRLEN', requests, id .. ':b')
  if redis.call('ZREM', index, id) == 0 then return false end
  redis.call('HDEL', requests, id .. ':h', id .. ':b', id .. ':r')
  redis.call('HINCRBY', requests, 'bytes', -size)
  if redis.call('ZCARD', index) == 0 then redis.call('DEL', requests) end
  return true
end
