-- One gateway says that in some rooms all is as it reported last: what presence.lua would find out for each, at once.
--
-- KEYS hashes, as presence.lua keeps them
-- ARGV[1] gateway   ARGV[2] ms until it is given up   ARGV[3] ms until who has closed all connections is gone
-- Returns for each what presence.lua returns, or -1 where all is not as it was, so that it has to be called.

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local own = 'g:' .. ARGV[1]

local function renew(key)
  local fields = redis.call('HGETALL', key)
  local report, told, due = nil, nil, math.huge
  for i = 1, #fields, 2 do
    local name, value = fields[i], fields[i + 1]
    if name == 'told' then
      told = value
    else
      -- Of 'people' it is the first end of somebody, or 0 if there is none.
      local ends, rest = string.match(value, '^(%d+)(.*)$')
      ends = tonumber(ends)
      if name == own then
        report = rest
      elseif name ~= 'people' or ends > 0 then
        due = math.min(due, ends)
      end
      if ends <= now and (name ~= 'people' or ends > 0) then
        return -1
      end
    end
  end
  if not (report and told) then
    return -1
  end
  redis.call('HSET', key, own, string.format('%.0f', now + ARGV[2]) .. report)
  redis.call('PEXPIRE', key, math.max(ARGV[2], ARGV[3]))
  return due == math.huge and 0 or due - now
end

local answers = {}
for i, key in ipairs(KEYS) do
  answers[i] = renew(key)
end
return answers
