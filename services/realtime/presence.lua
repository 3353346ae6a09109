-- One gateway says who is in a room by its sockets; the room is told who is there by all gateways, if that has changed.
-- The whole of it each time, so a call may be lost or doubled. Instants are this server's: gateways' clocks may differ.
--
-- KEYS[1] hash   KEYS[2] channel
--   'g:<gateway>'  '<ends> <report>', which counts for nothing from `ends` on; report: '<more> <person> <connections> …'
--   'people'       '<first end> <person> <since> <ends> …': everybody who is there; `ends` is 0, or until when somebody
--                  who has closed the last connection is there; the first of these ends before all, 0 if there is none
--   'told'         the list that the room was told last
-- ARGV[1] gateway   ARGV[2] ms until it is given up   ARGV[3] ms until who has closed all connections is gone
-- ARGV[4] PUBLISH or SPUBLISH   ARGV[5] '1': tell the room in any case   ARGV[6] how many to list at most
-- ARGV[7] the report: how many connections are not named, and who ('<role>:<subject>') has how many; '' for nobody
-- Returns after how many ms a call is needed for the room to be told of somebody's end; 0 if nobody's is foreseen.

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function whole(number)
  return string.format('%.0f', number)
end

local own = 'g:' .. ARGV[1]
local report = ARGV[7] ~= '' and ARGV[7] or nil
local fields = redis.call('HGETALL', KEYS[1])
local reports, before, people, told = {}, nil, '0', nil
local same, due = ARGV[5] ~= '1', math.huge
for i = 1, #fields, 2 do
  local name, value = fields[i], fields[i + 1]
  if name == 'people' then
    people = value
  elseif name == 'told' then
    told = value
  else
    local ends, its = string.match(value, '^(%d+) (.*)$')
    ends = tonumber(ends)
    if ends <= now then
      redis.call('HDEL', KEYS[1], name)
      same = false
    elseif name == own then
      before = its
    else
      reports[#reports + 1] = its
      due = math.min(due, ends)
    end
  end
end

local first_end = tonumber(string.match(people, '^%d+'))
if report then
  redis.call('HSET', KEYS[1], own, whole(now + ARGV[2]) .. ' ' .. report)
else
  redis.call('HDEL', KEYS[1], own)
end
if same and told and report == before and (first_end == 0 or first_end > now) then
  -- Most calls only say that all is as it was.
  due = first_end == 0 and due or math.min(due, first_end)
  redis.call('PEXPIRE', KEYS[1], math.max(ARGV[2], ARGV[3]))
  return due == math.huge and 0 or due - now
end

local known, connections, just_closed, more = {}, {}, {}, 0
for person, since, ends in string.gmatch(people, '(%a+:%S+) (%d+) (%d+)') do
  known[person] = { since = tonumber(since), ends = tonumber(ends) }
end
for person in string.gmatch(before or '', '(%a+:%S+) %d+') do
  just_closed[person] = true
end
reports[#reports + 1] = report
for _, its in ipairs(reports) do
  more = more + string.match(its, '^%d+')
  for person, count in string.gmatch(its, '(%a+:%S+) (%d+)') do
    connections[person] = (connections[person] or 0) + count
    known[person] = known[person] or { since = now }
  end
end

local present = {}
first_end = math.huge
for person, here in pairs(known) do
  if connections[person] then
    here.ends = 0
  elseif just_closed[person] then
    here.ends = now + ARGV[3]
  end
  if connections[person] or here.ends > now then
    here.name, here.connections = person, connections[person] or 1
    here.role, here.subject = string.match(person, '^(%a+):(.*)$')
    present[#present + 1] = here
    first_end = here.ends > 0 and math.min(first_end, here.ends) or first_end
  end
end
due = math.min(due, first_end)

local ranks = { player = 1, host = 2, spectator = 3 }
table.sort(present, function(one, other)
  if one.role ~= other.role then
    return ranks[one.role] < ranks[other.role]
  elseif one.since ~= other.since then
    return one.since < other.since
  end
  return one.subject < other.subject
end)

local kept, listed = { first_end == math.huge and '0' or whole(first_end) }, {}
for i, here in ipairs(present) do
  kept[i + 1] = string.format('%s %.0f %.0f', here.name, here.since, here.ends)
  if i <= tonumber(ARGV[6]) then
    local shape = '{"subject":"%s","role":"%s","since":%.0f,"connections":%.0f}'
    listed[i] = string.format(shape, here.subject, here.role, here.since, here.connections)
  else
    more = more + here.connections
  end
end
local list = '"people":[' .. table.concat(listed, ',') .. '],"more":' .. whole(more)

if #present == 0 and more == 0 then
  redis.call('DEL', KEYS[1])
else
  redis.call('HSET', KEYS[1], 'people', table.concat(kept, ' '), 'told', list)
  redis.call('PEXPIRE', KEYS[1], math.max(ARGV[2], ARGV[3]))
end
if list ~= told or ARGV[5] == '1' then
  redis.call(ARGV[4], KEYS[2], '0 {"type":"presence","at":' .. whole(now) .. ',' .. list .. '}')
end
return due == math.huge and 0 or due - now
