#!lua
-- put_back: give an open task whose entry or timer is gone an entry again, if that is still so.
-- KEYS   1 lifecycle  2 timers  3 waiting  4 dlq  5 stream  6 job record
-- ARGV   job, task, stage, register as it was seen, attempt, traceparent, data
-- RETURN the new entry's id | 0 it is in order by now
local job_id, task, stage, seen, attempt, traceparent, data = args(7)
local prefix = string.sub(LIFECYCLE, 1, PREFIX_LENGTH)
local register = 'task.' .. task
local job = load_job(KEYS[6], job_id, {register, 'delayed', 'running', 'busy_ms', 'busy_since'})
if not job or job.f[register] ~= seen then return OK end
local _, lost, kind = look_at(prefix, job_id, task, seen)
if not lost or kind == 'dead' then return OK end
ends_running(job, task, now_ms())
if kind == 'delayed' then
  redis.call('ZREM', TIMERS, 'task/' .. job_id .. '/' .. task)
  redis.call('HDEL', WAITING, 'task/' .. job_id .. '/' .. task)
  bump(job, 'delayed', -1)
end
add_entry(job, task, KEYS[5], job.f.flow, attempt, traceparent, data)
save(job)
happened('released', job, {'task', task, 'stage', stage, 'worker', 'doctor', 'reason', lost})
return job.added[1]
