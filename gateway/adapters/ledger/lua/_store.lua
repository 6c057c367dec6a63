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

  -- The job of a new delivery. Those of one call differ by their id only: of one queue and processor the second
  -- and all that follow are copies of the first, which takes half of the time. (Unless something was left of it.)
  local first_jobs = {}
  local function write_new_job(job, queue, processor)
    local key, of_queue = rq .. ':job:' .. job, first_jobs[queue] or {}
    local first = of_queue[processor]
    if first and redis.call('COPY', first, key) == 1 then return end
    local is_whole = write_job(job, queue, 'look', processor, 'queued') == job_fields
    first_jobs[queue], of_queue[processor] = of_queue, is_whole and key or nil
  end

  -- Makes one event durable. ARGV from `at`: as `accept` says. (Adding 0 makes a number of a text in a quarter of
  -- the time that tonumber takes.)
  local function store(at)
    local id, e, proof, processors = ARGV[at], ARGV[at + 1], ARGV[at + 7], ARGV[at + 8] + 0
    local record, letters, source, queue, window = event_key(id), string.sub(id, 5), terms(id, e)
    local first, look_at = 'dlv_' .. letters .. '-', now + look_ms
    -- One command for all of it: a command costs far more than its arguments. By n, x and Is a gateway of the release
    -- before, which may run beside this one, knows a repeat, and its sweeper what is open.
    local fields = {'HSET', record, 'e', e, 't', ARGV[at + 2], 'p', ARGV[at + 3], 'r', now,
      'z', ARGV[at + 6], 'n', ARGV[at + 8]}
    local many = #fields
    if processors > 1 then
      fields[many + 1], fields[many + 2] = 'o', processors
      many = many + 2
    end
    if proof ~= '' then
      fields[many + 1], fields[many + 2] = 'x', proof
      many = many + 2
      set_later(proof_key(proof), letters)
    end
    set_later(body_key(id), ARGV[at + 5])
    local turns = at + 9 + processors
    local turn, last_turn = turns + 1, turns + 4 * ARGV[turns]
    for each = 1, processors do
      local number, processor = text(each), ARGV[at + 8 + each]
      local delivery = first .. number
      fields[many + 1], fields[many + 2] = number .. 'p', processor
      fields[many + 3], fields[many + 4] = number .. 's', 'pending'
      many = many + 4
      if turn < last_turn and ARGV[turn] == number then
        turn = turn + 4
      else
        zadd_later(pending, source, look_at, delivery)
        local job = delivery .. '-1'
        write_new_job(job, queue, processor)
        fields[many + 1], fields[many + 2] = number .. 'q', push(job, queue)
        many = many + 2
      end
      if many > most_arguments then
        redis.call(unpack(fields))
        fields, many = {'HSET', record}, 2
      end
    end
    if many > 2 then redis.call(unpack(fields)) end
    note_arrival(source, letters)
    for each = turns + 1, last_turn, 4 do
      local number = ARGV[each]
      local processor = ARGV[at + 8 + tonumber(number)]
      local state = enter(id, number, first .. number, source, processor, window, each + 1)
      if state == 'pending' then
        zadd_later(pending, source, look_at, first .. number)
        ring(id, number, first .. number, queue, processor, 1)
      elseif state == 'done' then
        set_now() -- what ends has to be there
        end_if_all_done(id)
      end
    end
  end

  -- Where the next event's ARGV begin.
  local function after(at)
    local turns = at + 9 + ARGV[at + 8]
    return turns + 1 + 4 * ARGV[turns]
  end

  made_storing = {store = store, after = after}
  return made_storing
end
