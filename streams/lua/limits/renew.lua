#!lua flags=allow-oom
-- renew: keep a permit that has not run out.
-- KEYS   1 permits  2 waiting
-- ARGV   task, time to live ms
-- RETURN 1 renewed | 0 it ran out: somebody else may have it
local task, ttl_ms = ARGV[1], tonumber(ARGV[2])
local now = now_ms()
drop_expired(now)
if not redis.call('ZSCORE', PERMITS, task) then return 0 end
redis.call('ZADD', PERMITS, now + ttl_ms, task)
let_expire(now)
return 1
