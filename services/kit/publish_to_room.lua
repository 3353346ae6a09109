-- Tells a room one contiguous range of events as one step: append and publish what is new, ignore what is known,
-- refuse what would leave a gap. The room is a cache of the log in Postgres, so a refused sender reads the range there.
--
-- KEYS[1] hash {epoch, seq, state, schedule}   KEYS[2] stream of the last events, ids '<seq>-0'   KEYS[3] channel
-- ARGV[1] epoch   ARGV[2] first seq of the range   ARGV[3] '1': the range may begin anywhere (a rebuild)
-- ARGV[4] events to keep   ARGV[5] time to live in ms   ARGV[6] PUBLISH or SPUBLISH
-- ARGV[7] state as of the last event   ARGV[8] schedule as of it   ARGV[9...] frames of the events
-- Returns the room's seq before the call, or -1 - seq where the range would have left a gap.

local room = redis.call('HMGET', KEYS[1], 'epoch', 'seq')
local known = tonumber(room[2]) or 0
if room[1] and room[1] ~= ARGV[1] then
  redis.call('DEL', KEYS[1], KEYS[2])
  known = 0
end

local first = tonumber(ARGV[2])
local last = first + #ARGV - 9
if first > known + 1 then
  if ARGV[3] ~= '1' then
    return -1 - known
  end
  -- What lies between was never in this room: a client that has less than `first - 1` is given a snapshot.
  redis.call('DEL', KEYS[2])
end

if last > known then
  if known == 0 then
    redis.call('DEL', KEYS[2]) -- the hash may have been lost alone
  end
  for seq = math.max(first, known + 1), last do
    local frame = ARGV[9 + seq - first]
    redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[4], seq .. '-0', 'e', frame)
    redis.call(ARGV[6], KEYS[3], seq .. ' ' .. frame)
  end
  redis.call('HSET', KEYS[1], 'epoch', ARGV[1], 'seq', last, 'state', ARGV[7], 'schedule', ARGV[8])
end
redis.call('PEXPIRE', KEYS[1], ARGV[5])
redis.call('PEXPIRE', KEYS[2], ARGV[5])
return known
