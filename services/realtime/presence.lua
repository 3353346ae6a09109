-- One gateway says who is in a room by its sockets; the room is told who is there by all gateways, if that has changed.
-- The whole of it each time, so a call may be lost or doubled. Instants are this server's: gateways' clocks may differ.
--
-- KEYS[1] hash   KEYS[2] channel
--   'g:<gateway>'  '<ends> <more> <person> <connections> <person> <connections> …'; counts for nothing from `ends` on
--   'p:<person>'   '<since> <ends>': who is there, or has closed the last connection and is there until `ends`
--   'told'         the list that the room was told last
-- ARGV[1] gateway   ARGV[2] ms until it is given up   ARGV[3] ms until who has closed all connections is gone
-- ARGV[4] PUBLISH or SPUBLISH   ARGV[5] '1': tell the room in any case   ARGV[6] how many to list at most
-- ARGV[7] how many connections are not named
-- ARGV[8...] person ('<role>:<subject>'), connections, person, connections …
-- Returns after how many ms a call is needed for the room to be told of somebody's end; 0 if nobody's is foreseen.

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local gateway = ARGV[1]
local due = math.huge

local function whole(number)
  return string.format('%.0f', number)
end

local function words(text)
  local found = {}
  for word in string.gmatch(text, '%S+') do
    found[#found + 1] = word
  end
  return found
end

local fields = redis.call('HGETALL', KEYS[1])
local people, told, before = {}, nil, {}
local connections, more = {}, tonumber(ARGV[7])
for i = 1, #fields, 2 do
  local kind, name, value = string.sub(fields[i], 1, 2), string.sub(fields[i], 3), fields[i + 1]
  if kind == 'p:' then
    people[name] = value
  elseif kind == 'g:' then
    local report = words(value)
    local ends = tonumber(report[1])
    if ends <= now then
      redis.call('HDEL', KEYS[1], fields[i])
    else
      local counted = name == gateway and before or connections
      for j = 3, #report, 2 do
        counted[report[j]] = (counted[report[j]] or 0) + report[j + 1]
      end
      if name ~= gateway then
        more = more + report[2]
        due = math.min(due, ends)
      end
    end
  else
    told = value
  end
end

local here = {}
for i = 8, #ARGV, 2 do
  here[ARGV[i]] = tonumber(ARGV[i + 1])
  connections[ARGV[i]] = (connections[ARGV[i]] or 0) + here[ARGV[i]]
end
if #ARGV > 7 then
  local report = { whole(now + ARGV[2]), ARGV[7], unpack(ARGV, 8) }
  redis.call('HSET', KEYS[1], 'g:' .. gateway, table.concat(report, ' '))
else
  redis.call('HDEL', KEYS[1], 'g:' .. gateway)
end

local everybody = {}
for _, persons in ipairs({ people, connections, before }) do
  for person in pairs(persons) do
    everybody[person] = true
  end
end

local present = {}
for person in pairs(everybody) do
  local since, ends = string.match(people[person] or whole(now) .. ' 0', '^(%d+) (%d+)$')
  local count = connections[person] or 0
  if count > 0 then
    ends = '0'
  elseif before[person] then
    ends = whole(now + ARGV[3])
  end
  if count == 0 and tonumber(ends) <= now then
    redis.call('HDEL', KEYS[1], 'p:' .. person)
  else
    local value = since .. ' ' .. ends
    if value ~= people[person] then
      redis.call('HSET', KEYS[1], 'p:' .. person, value)
    end
    if count == 0 then
      due = math.min(due, tonumber(ends))
    end
    local role, subject = string.match(person, '^(%a+):(.*)$')
    present[#present + 1] = { role = role, subject = subject, since = tonumber(since), count = math.max(1, count) }
  end
end

local ranks = { player = 1, host = 2, spectator = 3 }
table.sort(present, function(one, other)
  if one.role ~= other.role then
    return ranks[one.role] < ranks[other.role]
  elseif one.since ~= other.since then
    return one.since < other.since
  end
  return one.subject < other.subject
end)
local listed = {}
for i, person in ipairs(present) do
  if i <= tonumber(ARGV[6]) then
    local shape = '{"subject":"%s","role":"%s","since":%.0f,"connections":%.0f}'
    listed[i] = string.format(shape, person.subject, person.role, person.since, person.count)
  else
    more = more + person.count
  end
end
local list = '"people":[' .. table.concat(listed, ',') .. '],"more":' .. whole(more)

if #present == 0 and more == 0 then
  redis.call('DEL', KEYS[1])
else
  redis.call('HSET', KEYS[1], 'told', list)
  redis.call('PEXPIRE', KEYS[1], math.max(ARGV[2], ARGV[3]))
end
if list ~= told or ARGV[5] == '1' then
  redis.call(ARGV[4], KEYS[2], '0 {"type":"presence","at":' .. whole(now) .. ',' .. list .. '}')
end
return due == math.huge and 0 or due - now
