-- An operator gives up dead letters for good. ARGV: delivery ids. Replies a word each.
local replies = {}
for i = 1, #ARGV do
  local id, number, delivery = parse(ARGV[i])
  local of = id and redis.call('HMGET', event_key(id), number .. 's', 's', 'q') or {}
  if of[1] == 'dead' then
    unbury(delivery, of[2], of[3])
    redis.call('HSET', event_key(id), number .. 's', 'done', number .. 't', now, number .. 'r', 'discarded')
    end_if_all_done(id)
    replies[#replies + 1] = 'discarded'
  else
    replies[#replies + 1] = of[1] or 'missing'
  end
end
return replies
