-- An operator puts deliveries back. ARGV: look ms, also done ones (0|1), then delivery ids.
-- Replies a word each: replayed | missing | body_missing | the state that keeps it from being replayed.
look_ms = tonumber(ARGV[1])
local replies = {}
for i = 3, #ARGV do
  local id, number, delivery = parse(ARGV[i])
  replies[#replies + 1] = id and ends().revive(id, number, delivery, ARGV[2] == '1') or 'missing'
end
do_now()
return replies
