-- Takes events whose record has expired out of the index. ARGV: source, then event ids.
local gone = 0
for i = 2, #ARGV do
  if redis.call('EXISTS', event_key(ARGV[i])) == 0 then
    gone = gone + redis.call('ZREM', prefix .. ':events:' .. ARGV[1], ARGV[i])
  end
end
return gone
