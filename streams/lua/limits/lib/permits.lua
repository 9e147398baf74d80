-- permits: who holds one (task -> expiry, ms) and who waits (task -> place in the queue).
local PERMITS, WAITING = KEYS[1], KEYS[2]
local MOST_HANDED_OVER = 100
local WAITING_TTL_MS = 86400000
local function drop_expired(now)
  redis.call('ZREMRANGEBYSCORE', PERMITS, '-inf', now)
end
-- Give free permits to those who wait, the first ones first, for as long as a waiter takes to come for it.
local function hand_over(limit, hold_ms, now)
  local free = limit - redis.call('ZCARD', PERMITS)
  if free <= 0 then return {} end
  local popped = redis.call('ZPOPMIN', WAITING, math.min(free, MOST_HANDED_OVER))
  local woken = {}
  for i = 1, #popped, 2 do
    woken[#woken + 1] = popped[i]
    redis.call('ZADD', PERMITS, now + hold_ms, popped[i])
  end
  return woken
end
-- The keys go when nobody can need them any more.
local function let_expire(now)
  local last = redis.call('ZRANGE', PERMITS, -1, -1, 'WITHSCORES')
  if last[2] then redis.call('PEXPIRE', PERMITS, math.max(1, tonumber(last[2]) - now)) end
  redis.call('PEXPIRE', WAITING, WAITING_TTL_MS)
end
