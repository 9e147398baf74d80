#!lua flags=allow-oom
-- spill: put the name of a chunk, which is in the artifact store by now, in the place of the parked tasks that it has.
-- KEYS   1 lifecycle  2 timers  3 waiting  4 dlq  5 job record  6 parked list
-- ARGV   job, stage, chunk, number of its tasks (from 2), the first and the last of them as they are parked
-- RETURN 0 spilled | 2 spilled before | -4 no such job | -8 they do not wait there one behind the other (any more)
local job_id, stage, chunk, count, first, last = arg(), arg(), arg(), num_arg(), arg(), arg()
local parked = KEYS[6]
local job = load_job(KEYS[5], job_id, {stage .. '.spilled'})
if not job then return UNKNOWN_JOB end
local name = '@' .. count .. ' ' .. chunk
if redis.call('LPOS', parked, name) then return DUPLICATE end
local at = redis.call('LPOS', parked, first)
if not at or redis.call('LINDEX', parked, at + count - 1) ~= last then return NOT_FOUND end
-- Few: they came, or were spilled, since the caller looked.
local behind = redis.call('LRANGE', parked, at + count, -1)
if at > 0 then redis.call('LTRIM', parked, 0, at - 1) else redis.call('UNLINK', parked) end
redis.call('RPUSH', parked, name)
for i = 1, #behind do redis.call('RPUSH', parked, behind[i]) end
bump(job, stage .. '.spilled', count - 1)
save(job)
return OK
