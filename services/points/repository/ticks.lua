-- Tells rooms everybody's points at one moment, from the schedules that were told with their states: nothing is read
-- elsewhere, and nothing is written. A room that is not here, or in which nobody plays, is passed over; so is one whose
-- game the host has ended: no event tells of that until all answers given before are applied, and points that stand
-- still would contradict what clients draw from the events they have.
--
-- KEYS hashes of rooms {schedule}; a room's channel is named after its hash, so it is in the same slot
-- ARGV[1] the moment, in ms   ARGV[2] PUBLISH or SPUBLISH
-- A schedule is a row of values in msgpack: the message, in which the moment, the next decay's and the points of all who
-- are still in are to be put, started_at, interval_ms, decay, ending_at (or 0), and the base of each who is still in.
-- They are unpacked to arguments: in a table they would cost a quarter of all this script does.
-- Returns how many rooms were told.

local call, unpack_schedule, floor, format = redis.call, cmsgpack.unpack, math.floor, string.format
local now, publish = tonumber(ARGV[1]), ARGV[2]
local told = 0

local function points_left(lost, base, ...)
  if base then
    local points = base - lost
    return points > 0 and points or 0, points_left(lost, ...)
  end
end

local function tell(key, message, started_at, interval, decay, ending_at, ...)
  -- There is no started_at where nobody plays.
  if started_at and now >= started_at and (ending_at == 0 or now < ending_at) then
    local intervals = floor((now - started_at) / interval)
    local next_at = started_at + (intervals + 1) * interval
    call(publish, key .. ':live', format(message, now, next_at, points_left(decay * intervals, ...)))
    told = told + 1
  end
end

for _, key in ipairs(KEYS) do
  tell(key, unpack_schedule(call('HGET', key, 'schedule') or ''))
end
return told
