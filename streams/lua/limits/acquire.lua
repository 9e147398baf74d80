#!lua
-- acquire: take a permit, or a place in the queue for one.
-- KEYS   1 permits  2 waiting
-- ARGV   task, limit, time to live ms, hold ms (how long a permit is kept for a waiter that was woken)
-- RETURN {1, 0, woken tasks..} granted | {0, ms until the next permit runs out, woken tasks..} wait
local task, limit, ttl_ms, hold_ms = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local now = now_ms()
drop_expired(now)
local woken = {}
if not redis.call('ZSCORE', PERMITS, task) then
  local last = redis.call('ZRANGE', WAITING, -1, -1, 'WITHSCORES')
  redis.call('ZADD', WAITING, 'NX', (tonumber(last[2]) or 0) + 1, task)
  woken = hand_over(limit, hold_ms, now)
end
local is_granted = redis.call('ZSCORE', PERMITS, task)
local reply
if is_granted then
  redis.call('ZADD', PERMITS, now + ttl_ms, task)
  reply = {1, 0}
else
  local first = redis.call('ZRANGE', PERMITS, 0, 0, 'WITHSCORES')
  reply = {0, math.max(1, math.ceil(tonumber(first[2]) - now))}
end
for i = 1, #woken do
  if woken[i] ~= task then reply[#reply + 1] = woken[i] end
end
let_expire(now)
return reply
