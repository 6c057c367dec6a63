-- An operator gives up dead letters for good. ARGV: look ms, then delivery ids. Replies a word each.
look_ms = tonumber(ARGV[1])
local replies = {}
for i = 2, #ARGV do
  local id, number, delivery = parse(ARGV[i])
  local of = id and redis.call('HMGET', event_key(id), number .. 's', 'e', number .. 'k') or {}
  if of[1] == 'dead' then
    ends().unbury(delivery, terms(id, of[2]))
    redis.call('HSET', event_key(id), number .. 's', 'done', number .. 't', now, number .. 'r', 'discarded')
    end_if_all_done(id)
    if of[3] then order().pass_turn(of[3], delivery) end
    replies[#replies + 1] = 'discarded'
  else
    replies[#replies + 1] = of[1] or 'missing'
  end
end
do_now()
return replies
