#!lua flags=allow-oom
-- cancel: end a job at once and drop what waits; what runs is told by its next heartbeat and dropped when it closes.
-- KEYS   1 lifecycle  2 timers  3 waiting  4 dlq  5 job record  6 notify stream  7.. streams, parked lists
-- ARGV   job, status (cancelled, or failed for a time limit), reason, kill (1: running handlers are killed), record ttl s,
--        waiting task count; per task: task, stage, stream key (0: delayed), entry id;
--        parked list count; per list: parked key, stage
-- RETURN 0 ended, or swept again | -4 no such job | -7 it is over already
local job_id, status, reason, kill, record_ttl_s = arg(), arg(), arg(), arg(), num_arg()
local now = now_ms()
local job = load_job(KEYS[5], job_id, {'traceparent'})
if not job then return UNKNOWN_JOB end
local again = job.f.status == status
if is_ended(job) and not again then return CLOSED end
if not again then
  set(job, 'compiling', job.f.revision)
  end_job(job, status, reason, job.f.revision, {stage = 'notify', stream = KEYS[6]}, job.f.traceparent, now)
end
if kill == '1' then set(job, 'kill', 1) end

for i = 1, num_arg() do
  local task, stage, stream, id = arg(), arg(), key_arg(), arg()
  local registered = field(job, 'task.' .. task)
  if stage ~= 'notify' and registered then
    if not stream and string.sub(registered, 1, 8) == 'delayed ' then
      local member = 'task/' .. job_id .. '/' .. task
      redis.call('ZREM', TIMERS, member)
      redis.call('HDEL', WAITING, member)
      bump(job, 'delayed', -1)
      forget(job, task, true)
      count_open(job, stage, -1)
    elseif stream and registered == place(stream, id) and not is_pending(stream, id) then
      take_out(stream, id)
      forget(job, task, true)
      count_open(job, stage, -1)
    end
  end
end
for i = 1, num_arg() do
  local parked, stage = key_arg(), arg()
  local waiting, spilled = redis.call('LLEN', parked), number(job, stage .. '.spilled')
  if waiting > 0 then
    redis.call('UNLINK', parked)
    count_open(job, stage, -waiting - spilled)
    if spilled > 0 then
      unset(job, stage .. '.spilled')
      ask_for('unspill', job, stage)
    end
  end
end
save(job)
let_expire(job, record_ttl_s)
if not again then happened(status == 'cancelled' and 'cancelled' or 'failed', job, {'reason', reason}) end
return OK
