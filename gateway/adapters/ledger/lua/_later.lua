-- What the deliveries of one call need alike is put off, and done once for all of them at its end: a command
-- costs far more than its arguments. Only for what nothing else in the call reads.
local added, removed = {}, {} -- to and from sorted sets, by the first part of their key and then by its last
local deleted, stored = {}, {} -- keys; keys and values
local tallies = {}
local arrived, most_together = {}, 128 -- by source: the letters of the ids of the events that are stored
local bells = {} -- by queue: the jobs that go into it, and how often it was rung before
local most_arguments = 4000

local function list_in(lists, kind, name)
  local of_kind = lists[kind] or {}
  local list = of_kind[name] or {}
  lists[kind], of_kind[name] = of_kind, list
  return list
end

local function zadd_later(kind, name, score, member)
  local list = list_in(added, kind, name)
  local many = #list
  list[many + 1], list[many + 2] = score, member
end

local function zrem_later(kind, name, member)
  local list = list_in(removed, kind, name)
  list[#list + 1] = member
end

local function delete_later(key) deleted[#deleted + 1] = key end

local function set_later(key, value)
  local many = #stored
  stored[many + 1], stored[many + 2] = key, value
end

local function note_arrival(source, letters)
  local list = arrived[source] or {}
  arrived[source], list[#list + 1] = list, letters
end

local function count_later(name) tallies[name] = (tallies[name] or 0) + 1 end

-- Of a list what one command takes.
local function piece(list, first) return unpack(list, first, math.min(#list, first + most_arguments - 1)) end

local function set_now()
  for first = 1, #stored, most_arguments do redis.call('MSET', piece(stored, first)) end
  stored = {}
end

-- The sum of what it answers.
local function call_with_all(command, key, list)
  local sum = 0
  for first = 1, #list, most_arguments do sum = sum + redis.call(command, key, piece(list, first)) end
  return sum
end

local function call_all(command, lists)
  for kind, of_kind in pairs(lists) do
    for name, list in pairs(of_kind) do call_with_all(command, kind .. name, list) end
  end
end

local function do_now()
  set_now()
  call_all('ZADD', added)
  call_all('ZREM', removed)
  for first = 1, #deleted, most_arguments do redis.call('DEL', piece(deleted, first)) end
  for name, many in pairs(tallies) do redis.call('HINCRBY', prefix .. ':counters', name, many) end
  for source, letters in pairs(arrived) do
    redis.call('SADD', prefix .. ':sources', source)
    for first = 1, #letters, most_together do
      local some = table.concat(letters, ' ', first, math.min(#letters, first + most_together - 1))
      redis.call('XADD', prefix .. ':arrived:' .. source, '*', 'e', some)
    end
  end
  for queue, jobs in pairs(bells) do
    redis.call('SADD', rq .. ':queues', rq .. ':queue:' .. queue)
    call_with_all('RPUSH', rq .. ':queue:' .. queue, jobs)
    redis.call('INCRBY', prefix .. ':rings:' .. queue, #jobs)
  end
end
