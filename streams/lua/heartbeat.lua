#!lua flags=allow-oom
-- heartbeat: renew a batch of leases; the answer tells the holder to stop where it must.
-- KEYS   1 lifecycle  2 timers  3 waiting  4 dlq  5.. streams, job records
-- ARGV   consumer, entry count; per entry: stream key, job key, entry id, delivery, job, task, stage,
--        percent or '', step or '', checkpoint or ''
-- RETURN a code per entry: 0 renewed | 1 renewed, but its job is over: stop | 3 kill now | -2 not pending here
--        | -3 superseded delivery: stop | -4 | -5 as complete | -7 renewed, but the job is past its time limit
local consumer, count = arg(), num_arg()
local now = now_ms()

local function heartbeat(e)
  local refusal = refused(e.stream, e.id, consumer, e.delivery)
  if refusal then return refusal end
  redis.call('XCLAIM', e.stream, GROUP, consumer, 0, e.id, 'JUSTID')
  local job = load_job(e.job_key, e.job, {'task.' .. e.task, 'kill'})
  if not job then return UNKNOWN_JOB end
  if not is_issued(job, e.task, e.stream, e.id) then return UNKNOWN_TASK end
  if e.checkpoint ~= '' then set(job, 'checkpoint.' .. e.task, e.checkpoint) end
  if e.step ~= '' or e.percent ~= '' then
    if e.step ~= '' then set(job, 'progress.step', e.step) end
    if e.percent ~= '' and tonumber(e.percent) > number(job, 'progress.percent') then
      set(job, 'progress.percent', e.percent)
    end
    happened('progressed', job, {'task', e.task, 'stage', e.stage, 'step', e.step, 'percent', field(job, 'progress.percent') or 0})
  end
  save(job)
  if is_closed(job) and e.stage ~= 'notify' then return job.f.kill and KILL or DROPPED end
  if is_over_limit(job, now) then return CLOSED end
  return OK
end

local codes = {}
for i = 1, count do
  codes[i] = heartbeat({stream = key_arg(), job_key = key_arg(), id = arg(), delivery = num_arg(), job = arg(),
    task = arg(), stage = arg(), percent = arg(), step = arg(), checkpoint = arg()})
end
return codes
