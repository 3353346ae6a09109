-- Tells rooms everybody's points at one moment, from the schedules that were told with their states: nothing is read
-- elsewhere, and nothing is written. A room that is not here, or in which nobody plays, is passed over; so is one whose
-- game the host has ended: no event tells of that until all answers given before are applied, and points that stand
-- still would contradict what clients draw from the events they have.
--
-- KEYS hashes of rooms {seq, schedule}; a room's channel is named after its hash, so it is in the same slot
-- ARGV[1] the moment, in ms   ARGV[2] PUBLISH or SPUBLISH
-- A schedule is an array in msgpack: started_at, interval_ms, decay, ending_at (or 0), and of each player id, base,
-- zero_at (0 for one who is out). Returns how many rooms were told.

local now = tonumber(ARGV[1])
local told = 0
for _, key in ipairs(KEYS) do
  local room = redis.call('HMGET', key, 'seq', 'schedule')
  local schedule = room[2] and room[2] ~= '' and cmsgpack.unpack(room[2])
  if schedule and now >= schedule[1] and (schedule[4] == 0 or now < schedule[4]) then
    local started_at, interval = schedule[1], schedule[2]
    local lost = schedule[3] * math.floor((now - started_at) / interval)
    local points = {}
    for place = 5, #schedule, 3 do
      local left = 0
      if schedule[place + 2] > now then left = math.max(0, schedule[place + 1] - lost) end
      points[#points + 1] = '"' .. schedule[place] .. '":' .. string.format('%.0f', left)
    end
    local next_at = started_at + (math.floor((now - started_at) / interval) + 1) * interval
    redis.call(ARGV[2], key .. ':live', '=' .. room[1] .. ' {"type":"tick","seq":' .. room[1]
      .. ',"at":' .. ARGV[1] .. ',"next_at":' .. string.format('%.0f', next_at)
      .. ',"points":{' .. table.concat(points, ',') .. '}}')
    told = told + 1
  end
end
return told
