#!lua flags=allow-oom
-- release: give a permit, or a place in the queue, back, and the free permits to those who wait.
-- KEYS   1 permits  2 waiting
-- ARGV   task, limit, hold ms
-- RETURN tasks that hold a permit now and should be run to use it
local task, limit, hold_ms = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local now = now_ms()
drop_expired(now)
redis.call('ZREM', PERMITS, task)
redis.call('ZREM', WAITING, task)
local woken = hand_over(limit, hold_ms, now)
let_expire(now)
return woken
