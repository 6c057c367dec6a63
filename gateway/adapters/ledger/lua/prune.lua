-- Takes out of the index by arrival what is about expired events only: a bounded piece of it.
--
-- ARGV: source, from which entry on, at most how many. Replies {from where to go on, '' when that was the last; how
-- many entries are gone}.
local source, cursor, most = ARGV[1], ARGV[2], ARGV[3]
local index, former = prefix .. ':arrived:' .. source, prefix .. ':events:' .. source
write_though_memory_is_full()

local function all_have_expired(letters)
  local keys = {}
  for each in string.gmatch(letters, '%S+') do keys[#keys + 1] = event_key('evt_' .. each) end
  return redis.call('EXISTS', unpack(keys)) == 0
end

local gone, entries = 0, redis.call('XRANGE', index, cursor, '+', 'COUNT', most)
for _, entry in ipairs(entries) do
  if all_have_expired(entry[2][2]) then gone = gone + redis.call('XDEL', index, entry[1]) end
end
-- By chance, for nobody adds to it any more: what is kept for long must not hide what is behind it.
for _, id in ipairs(redis.call('ZRANDMEMBER', former, most)) do
  if redis.call('EXISTS', event_key(id)) == 0 then gone = gone + redis.call('ZREM', former, id) end
end
local last = entries[tonumber(most)]
return {last and '(' .. last[1] or '', gone}
