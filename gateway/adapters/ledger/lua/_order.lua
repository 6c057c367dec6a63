-- Lines: deliveries that run one after the other, and those that a newer one has overtaken.
--
-- A script makes its functions anew in each call, and most calls meet no delivery that keeps an order: these
-- are made when the first one comes.
local made_order
local function order()
  if made_order then return made_order end

  -- Of a line one delivery at most has the turn. Whether it is this one, which takes it where nobody has it.
  local function take_turn(key, delivery)
    local holder = redis.call('GET', prefix .. ':turn:' .. key)
    if not holder then redis.call('SET', prefix .. ':turn:' .. key, delivery) end
    return not holder or holder == delivery
  end

  -- At its place in line: by arrival, also where it has been further before.
  local function stand_in_line(id, number, delivery, source, key, arrival)
    redis.call('HSET', event_key(id), number .. 's', 'blocked', number .. 't', now)
    redis.call('ZADD', prefix .. ':line:' .. key, arrival, delivery)
    redis.call('ZADD', prefix .. ':pending:' .. source, FAR + now + look_ms, delivery)
  end

  -- From a delivery that has ended to the first in line, which is rung. What was written for the later end of
  -- this call can not be about that one: it was blocked until now.
  local function pass_turn(key, delivery)
    local turn, line = prefix .. ':turn:' .. key, prefix .. ':line:' .. key
    if (redis.call('GET', turn) or delivery) ~= delivery then return end
    local first = redis.call('ZPOPMIN', line)[1]
    while first do
      local id, number = parse(first)
      local of = redis.call('HMGET', event_key(id), number .. 's', number .. 'k', 'e', number .. 'p', number .. 'f')
      if of[1] == 'blocked' and of[2] == key then
        local source, queue = terms(id, of[3])
        redis.call('SET', turn, first)
        redis.call('HSET', event_key(id), number .. 's', 'pending', number .. 't', now)
        redis.call('ZADD', prefix .. ':pending:' .. source, now + look_ms, first)
        return ring(id, number, first, queue, of[4], tonumber(of[5] or 0) + 1)
      end
      first = redis.call('ZPOPMIN', line)[1]
    end
    redis.call('DEL', turn)
  end

  -- Whether a newer one of the line was accepted before. Versions of two kinds tell nothing of each other.
  local function is_overtaken(key, version)
    local latest = redis.call('GET', prefix .. ':latest:' .. key)
    return latest and string.sub(latest, 1, 1) == string.sub(version, 1, 1) and version < latest
  end

  -- The end of what is out of date: it does not run.
  local function overtake(id, number, delivery, source, processor)
    redis.call('HSET', event_key(id), number .. 's', 'done', number .. 't', now, number .. 'r', 'overtaken')
    count('overtaken', source, processor)
  end

  made_order = {take_turn = take_turn, stand_in_line = stand_in_line, pass_turn = pass_turn,
    is_overtaken = is_overtaken, overtake = overtake}
  return made_order
end
