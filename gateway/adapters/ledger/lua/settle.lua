-- What became of refused requests: taken out, or still refused for a reason.
-- ARGV: store (refused | quarantine), source, then pairs: id, new reason ('' takes it out).
-- Replies a word each: discarded | refused | missing.
local store, source = ARGV[1], ARGV[2]
local index, requests = prefix .. ':' .. store .. ':' .. source, prefix .. ':' .. store .. '_requests:' .. source
local replies = {}
write_though_memory_is_full()
for i = 3, #ARGV, 2 do
  local id, reason = ARGV[i], ARGV[i + 1]
  if not redis.call('ZSCORE', index, id) then
    replies[#replies + 1] = 'missing'
  elseif reason == '' then
    forget_request(store, source, id)
    replies[#replies + 1] = 'discarded'
  else
    redis.call('HSET', requests, id .. ':r', reason)
    replies[#replies + 1] = 'refused'
  end
end
return replies
