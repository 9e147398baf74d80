#!lua flags=allow-oom
-- expire: end a job whose expires_at passed before its first entry was delivered.
-- KEYS   1 lifecycle  2 timers  3 waiting  4 dlq  5 job record  6 notify stream  7 stream of task 1 (when it is in one)
-- ARGV   job, stage, stream key or 0, entry id or '', record ttl s
-- RETURN 0 expired | 1 not due, it has started, or it is over | -4 no such job | -5 task 1 is elsewhere by now: look again
local job_id, stage, stream, id, record_ttl_s = arg(), arg(), key_arg(), arg(), num_arg()
local timer = 'expire/' .. job_id
local job = load_job(KEYS[5], job_id, {'task.1', 'traceparent'})
if not job then
  redis.call('ZREM', TIMERS, timer)
  return UNKNOWN_JOB
end
local now = now_ms()
local due_at = redis.call('ZSCORE', TIMERS, timer)
if not due_at or tonumber(due_at) > now then return DROPPED end
local is_there
if stream then
  is_there = is_issued(job, '1', stream, id)
else
  is_there = string.sub(job.f['task.1'] or '', 1, 8) == 'delayed '
end
if job.f.status == 'queued' and not is_there then return UNKNOWN_TASK end
redis.call('ZREM', TIMERS, timer)
if job.f.status ~= 'queued' or (stream and is_pending(stream, id)) then return DROPPED end
if stream then
  take_out(stream, id)
else
  redis.call('ZREM', TIMERS, 'task/' .. job_id .. '/1')
  redis.call('HDEL', WAITING, 'task/' .. job_id .. '/1')
  bump(job, 'delayed', -1)
end
forget(job, '1', true)
count_open(job, stage, -1)
end_job(job, 'expired', 'expires_at passed before the first start', job.f.revision,
  {stage = 'notify', stream = KEYS[6]}, job.f.traceparent, now)
save(job)
let_expire(job, record_ttl_s)
happened('expired', job, {})
return OK
