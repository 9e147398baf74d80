#!lua flags=allow-oom
-- release: give a batch of held entries back unfinished; whoever has room takes them at once. Counts nothing.
-- KEYS   1 lifecycle  2 timers  3 waiting  4 dlq  5.. streams, job records
-- ARGV   consumer, entry count; per entry: stream key, job key, entry id, delivery, job, task, stage
-- RETURN a code per entry: 0 released | -4 released, of no job | -2 | -3 | -5 refused, as complete
local consumer, count = arg(), num_arg()
local now = now_ms()

local function release(e)
  local refusal = refused(e.stream, e.id, consumer, e.delivery)
  if refusal then return refusal end
  local job = load_job(e.job_key, e.job, {'task.' .. e.task})
  if job and not is_issued(job, e.task, e.stream, e.id) then return UNKNOWN_TASK end
  redis.call('XCLAIM', e.stream, GROUP, 'released', 0, e.id, 'JUSTID')
  if not job then return UNKNOWN_JOB end
  ends_running(job, e.task, now)
  set(job, 'task.' .. e.task, place(e.stream, e.id) .. ' again')
  save(job)
  happened('released', job, {'task', e.task, 'stage', e.stage, 'delivery', e.delivery, 'worker', consumer})
  return OK
end

local codes = {}
for i = 1, count do
  codes[i] = release({stream = key_arg(), job_key = key_arg(), id = arg(), delivery = num_arg(),
    job = arg(), task = arg(), stage = arg()})
end
return codes
