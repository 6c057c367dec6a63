-- New events: those that come in, and those that processors emit. Made when the first one comes: see `_order.lua`.
local made_storing
local function storing()
  if made_storing then return made_storing end

  -- A new delivery that keeps an order. ARGV from `at`: key of its line, 1 when a dead one keeps its turn,
  -- version ('' for none, 'a': by arrival). Its state then.
  local function enter(id, number, delivery, source, processor, window, at)
    local key, version = ARGV[at], ARGV[at + 2]
    local arrival = redis.call('INCR', prefix .. ':arrivals')
    redis.call('HSET', event_key(id), number .. 'k', key, number .. 'l', arrival, number .. 'b', ARGV[at + 1])
    if version == 'a' then version = string.format('a%016d', arrival) end
    if version ~= '' then
      local latest, overtaken = prefix .. ':latest:' .. key, order().is_overtaken(key, version)
      redis.call('HSET', event_key(id), number .. 'v', version)
      if not overtaken then redis.call('SET', latest, version) end
      redis.call('PEXPIRE', latest, window)
      if overtaken then
        order().overtake(id, number, delivery, source, processor)
        return 'done'
      end
    end
    if order().take_turn(key, delivery) then return 'pending' end
    order().stand_in_line(id, number, delivery, source, key, arrival)
    return 'blocked'
  end

  -- Makes one event durable. ARGV from `at`: as `accept` says.
  local function store(at)
    local id, e, proof, processors = ARGV[at], ARGV[at + 1], ARGV[at + 7], tonumber(ARGV[at + 8])
    local record, source, queue, window = event_key(id), terms(id, e)
    local first = 'dlv_' .. string.sub(id, 5) .. '-'
    -- One command for all of it: a command costs far more than its arguments. By n, x and Is a gateway of the release
    -- before, which may run beside this one, knows a repeat, and its sweeper what is open.
    local fields = {'HSET', record, 'e', e, 't', ARGV[at + 2], 'p', ARGV[at + 3], 'r', now,
      'z', ARGV[at + 6], 'n', processors}
    local many = #fields
    local function add(name, value)
      fields[many + 1], fields[many + 2] = name, value
      many = many + 2
    end
    if processors > 1 then add('o', processors) end
    if proof ~= '' then
      add('x', proof)
      redis.call('SET', proof_key(proof), string.sub(id, 5))
    end
    local turns = at + 9 + processors
    local turn, last_turn = turns + 1, turns + 4 * tonumber(ARGV[turns])
    for number = 1, processors do
      local processor = ARGV[at + 8 + number]
      add(number .. 'p', processor)
      add(number .. 's', 'pending')
      if turn < last_turn and ARGV[turn] == tostring(number) then
        turn = turn + 4
      else
        zadd_later(prefix .. ':pending:' .. source, now + look_ms, first .. number)
        write_job(first .. number .. '-1', queue, 'look', processor, 'queued')
        add(number .. 'q', push(first .. number .. '-1', queue))
      end
      if many > most_put_off then
        redis.call(unpack(fields))
        fields, many = {'HSET', record}, 2
      end
    end
    if many > 2 then redis.call(unpack(fields)) end
    redis.call('SET', body_key(id), ARGV[at + 5])
    zadd_later(prefix .. ':events:' .. source, now, id)
    sources[source] = true
    for each = turns + 1, last_turn, 4 do
      local number = ARGV[each]
      local processor = ARGV[at + 8 + tonumber(number)]
      local state = enter(id, number, first .. number, source, processor, window, each + 1)
      if state == 'pending' then
        zadd_later(prefix .. ':pending:' .. source, now + look_ms, first .. number)
        ring(id, number, first .. number, queue, processor, 1)
      elseif state == 'done' then
        end_if_all_done(id)
      end
    end
  end

  -- Where the next event's ARGV begin.
  local function after(at)
    local turns = at + 9 + tonumber(ARGV[at + 8])
    return turns + 1 + 4 * tonumber(ARGV[turns])
  end

  made_storing = {store = store, after = after}
  return made_storing
end
