#!lua
-- redrive: put a batch of dead letters back to work; after compile was emitted this opens the job's next revision.
-- KEYS   1 lifecycle  2 timers  3 waiting  4 dlq  5.. streams, job records
-- ARGV   most redrives of a task (0: however many), entry count; per entry: dlq entry id, stream key, job key, job, task, stage, data or '' (an overlay),
--        delay ms (0: at once; so that many keep a pace, and those of a job are one revision all the same)
-- RETURN a code per entry: 0 redriven | -4 no such job | -5 not this task's dead letter | -7 the job was cancelled,
--        expired, or failed and has not stopped yet | -8 no such dead letter | -10 redriven that often: quarantined
local most, count = num_arg(), num_arg()
local now = now_ms()

local function reopen(job)
  if not is_ended(job) and tonumber(field(job, 'compiling') or 0) < tonumber(job.f.revision) then return end
  bump(job, 'revision', 1)
  if is_ended(job) then
    move_to(job, 'running')
    unset(job, 'finished_at')
    unset(job, 'error')
    unset(job, 'kill')
    unset(job, 'compile_due')
    set(job, 'busy_ms', 0)
    redis.call('PERSIST', job.key)
  end
end

local function redrive(e)
  local fields = entry_fields(DLQ, e.id)
  if not fields.job then return NOT_FOUND end
  local redriven = 'redriven.' .. e.task
  local job = load_job(e.job_key, e.job, {'task.' .. e.task, 'dead', e.stage .. '.open', e.stage .. '.failed', redriven})
  if not job then return UNKNOWN_JOB end
  if job.f['task.' .. e.task] ~= 'dead ' .. e.id then return UNKNOWN_TASK end
  if job.f.status == 'cancelled' or job.f.status == 'expired' then return CLOSED end
  local busy = tonumber(job.f.work) > 0 or number(job, 'compile.open') > 0
  if busy and is_closed(job) then return CLOSED end
  if most > 0 and number(job, redriven) >= most then return QUARANTINED end
  redis.call('XDEL', DLQ, e.id)
  bump(job, redriven, 1)
  if e.stage ~= 'notify' then reopen(job) end
  bump(job, e.stage .. '.failed', -1)
  bump(job, 'dead', -1)
  if e.stage == 'compile' and busy then
    -- The compile that follows what is open does this one's work.
    unset(job, 'task.' .. e.task)
    if tonumber(job.f.work) == 0 then set(job, 'compile_due', 1) end
  else
    if e.stage == 'compile' then set(job, 'compiling', job.f.revision) end
    count_open(job, e.stage, 1)
    local data = e.data ~= '' and e.data or fields.data
    if e.delay_ms > 0 then
      delay(job, e.task, now + e.delay_ms, {stream = string.sub(e.stream, PREFIX_LENGTH + 1), stage = e.stage,
        flow = fields.flow, attempt = 1, traceparent = fields.traceparent, data = data})
    else
      add_entry(job, e.task, e.stream, fields.flow, 1, fields.traceparent, data)
    end
  end
  save(job)
  happened('redriven', job, {'task', e.task, 'stage', e.stage, 'dlq', e.id, 'data', e.data})
  return OK
end

local codes = {}
for i = 1, count do
  codes[i] = redrive({id = arg(), stream = key_arg(), job_key = key_arg(), job = arg(), task = arg(),
    stage = arg(), data = arg(), delay_ms = num_arg()})
end
return codes
