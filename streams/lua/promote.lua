#!lua
-- promote: put a batch of due entries back into their streams.
-- KEYS   1 lifecycle  2 timers  3 waiting  4 dlq  5.. streams, job records
-- ARGV   record ttl s, entry count; per entry: timer member, stream key, job key, job, task
-- RETURN a code per entry: 0 promoted | 1 its job is over, dropped | -4 no such job, dropped | -8 not due, or promoted before
local record_ttl_s, count = num_arg(), num_arg()
local now = now_ms()

local function promote(e)
  local due_at = redis.call('ZSCORE', TIMERS, e.member)
  local packed = due_at and redis.call('HGET', WAITING, e.member)
  if not packed or tonumber(due_at) > now then return NOT_FOUND end
  redis.call('ZREM', TIMERS, e.member)
  redis.call('HDEL', WAITING, e.member)
  local job = load_job(e.job_key, e.job, {'task.' .. e.task, 'delayed'})
  if not job then return UNKNOWN_JOB end
  local body = cjson.decode(packed)
  bump(job, 'delayed', -1)
  local over = is_closed(job) and body.stage ~= 'notify'
  if over then
    forget(job, e.task, true)
    count_open(job, body.stage, -1)
  else
    add_entry(job, e.task, e.stream, body.flow, body.attempt, body.traceparent, body.data)
  end
  save(job)
  let_expire(job, record_ttl_s)
  happened(over and 'dropped' or 'promoted', job, {'task', e.task, 'stage', body.stage, 'attempt', body.attempt})
  return over and DROPPED or OK
end

local codes = {}
for i = 1, count do
  codes[i] = promote({member = arg(), stream = key_arg(), job_key = key_arg(), job = arg(), task = arg()})
end
return codes
