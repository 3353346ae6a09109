-- Tells rooms everybody's points at one moment, from the schedules that were told with their states: nothing is read
-- elsewhere, and nothing is written. A room that is not here, or in which nobody plays, is passed over; so is one whose
-- game the host has ended: no event tells of that until all answers given before are applied, and points that stand
-- still would contradict what clients draw from the events they have.
--
-- KEYS hashes of rooms {schedule}; a room's channel is named after its hash, so it is in the same slot
-- ARGV[1] the moment, in ms   ARGV[2] PUBLISH or SPUBLISH
-- A schedule is an array in msgpack: the message, in which the moment, the next decay's and each player's points are to
-- be put, started_at, interval_ms, decay, ending_at (or 0), and of each player base and zero_at (0 for one who is out).
-- Returns how many rooms were told.

local call, unpack_schedule, floor, format = redis.call, cmsgpack.unpack, math.floor, string.format
local now = tonumber(ARGV[1])
local told = 0
for _, key in ipairs(KEYS) do
  local packed = call('HGET', key, 'schedule')
  if packed and packed ~= '' then
    local schedule = unpack_schedule(packed)
    local started_at, interval, ending_at = schedule[2], schedule[3], schedule[5]
    if now >= started_at and (ending_at == 0 or now < ending_at) then
      local intervals = floor((now - started_at) / interval)
      local lost = schedule[4] * intervals
      local points = {}
      for place = 6, #schedule, 2 do
        local left = schedule[place] - lost
        points[#points + 1] = (left > 0 and schedule[place + 1] > now) and left or 0
      end
      local next_at = started_at + (intervals + 1) * interval
      call(ARGV[2], key .. ':live', format(schedule[1], now, next_at, unpack(points)))
      told = told + 1
    end
  end
end
return told
