#!lua
-- replay: open a job with tasks that another one had, under their old numbers; in several calls when they are many. Refused by the server when out of memory.
-- KEYS   1 lifecycle  2 timers  3 waiting  4 dlq  5 job record  6 idempotency key  7 once set  8.. streams, parked lists
-- ARGV   window s, job, body digest, flow, traceparent, tasks that earlier calls opened,
--        last call (1 or 0), number of the first task that is new, field count, record fields (name, value), once count, once keys,
--        task count (the last call has some); per task: task, stage, stream key, parked key, window, data
-- RETURN 0 opened | 1 the job is over, tasks dropped | 2 these tasks were opened before
--        | -4 no such job (any more) | -6 accepted before with another body
local window_s, job_id, digest, flow, traceparent, before, is_last, next_task = args(8)
local fields, key, identity = {}, KEYS[5], KEYS[6]
for f = 1, num_arg() * 2 do fields[f] = arg() end
local once = {}
for i = 1, num_arg() do once[i] = arg() end
local known = redis.call('GET', identity) or redis.call('HGET', key, 'digest')
if known and known ~= digest then return CONFLICT end
local is_new = not known and before == '0'
if is_new then
  redis.call('SET', identity, digest, 'EX', window_s)
  redis.call('HSET', key, 'status', 'queued', 'revision', 1, 'next', next_task, 'work', 0, 'tail', 0, 'opening', 0,
    'created_at', now_ms(), unpack(fields))
end
local job = load_job(key, job_id, {'opening'})
if not job then return UNKNOWN_JOB end
if job.f.opening ~= before then return DUPLICATE end
if is_closed(job) then return DROPPED end
if once[1] then
  redis.call('SADD', KEYS[7], unpack(once))
  redis.call('EXPIRE', KEYS[7], 2592000)
end

local count, following = num_arg(), job.f.next
for i = 1, count do
  local task, to = num_arg(), {stage = arg(), stream = key_arg(), parked = key_arg(), window = num_arg()}
  set(job, 'next', task)
  open_task(job, to, flow, traceparent, arg())
  if to.stage == 'compile' then set(job, 'compiling', 1) end
end
set(job, 'next', following)
set(job, 'opening', before + count)
if is_new then move_to(job, 'queued') end
-- What earlier calls opened may have closed by now; with these tasks the join comes after all.
if is_last == '1' then unset(job, 'opening') end
save(job)
local extra = {'traceparent', traceparent}
if is_new then tell(extra, fields) end
happened(is_new and 'submitted' or 'emitted', job, extra)
return OK
