#!lua
-- reserve: a task's time under a rate (GCRA). The first call reserves its slot; a call at the slot is let through.
-- Slots queue by `reserved`; those let through are held to the rate by `admitted` too, because a task may come late.
-- KEYS   1 rate  2 slots
-- ARGV   task, interval ms, burst, forget ms (how long after its slot a task may come for it)
-- RETURN 0 go on now | ms until the task's slot
local task, interval, burst, forget_ms = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local now = now_ms()
local tolerance = (burst - 1) * interval
local kept = redis.call('HMGET', KEYS[1], 'reserved', 'admitted')
local reserved, admitted = math.max(tonumber(kept[1]) or 0, now), tonumber(kept[2]) or 0
local slot = tonumber(redis.call('ZSCORE', KEYS[2], task) or nil)
if not slot or now - slot > forget_ms then
  slot = reserved - tolerance
  reserved = reserved + interval
end
slot = math.max(slot, admitted - tolerance)

local is_due = slot <= now
if is_due then
  admitted = math.max(admitted, now) + interval
  redis.call('ZREM', KEYS[2], task)
else
  redis.call('ZADD', KEYS[2], string.format('%.3f', slot), task)
  redis.call('PEXPIRE', KEYS[2], math.ceil(math.max(slot, reserved) - now) + forget_ms)
end
local stale = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', '(' .. string.format('%.3f', now - forget_ms), 'LIMIT', 0, 100)
if #stale > 0 then redis.call('ZREM', KEYS[2], unpack(stale)) end
redis.call('HSET', KEYS[1], 'reserved', string.format('%.3f', reserved), 'admitted', string.format('%.3f', admitted))
redis.call('PEXPIRE', KEYS[1], math.max(1, math.ceil(math.max(reserved, admitted) - now)))
return is_due and 0 or math.ceil(slot - now)
