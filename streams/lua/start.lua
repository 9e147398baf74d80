#!lua flags=allow-oom
-- start: vet a batch of just-delivered entries against their jobs and mark those that may run as running.
-- KEYS   1 lifecycle  2 timers  3 waiting  4 dlq  5.. streams, job records
-- ARGV   consumer, record ttl s, at once (1: what nobody was given before runs unmarked, until a second start marks it;
--        that writes nothing, so nobody waits for an fsync), entry count; per entry: stream key, job key, entry id,
--        delivery, job, task, stage
-- RETURN per entry {0, tenant, revision, crashes, checkpoint or '', started_at ms, 1 marked or 0} run it
--        | {1} its job is over, entry dropped
--        | {-2} not pending here | {-3} superseded | {-4} no such job | {-5} task not issued
--        | {-7} the job ran past its time limit
local consumer, record_ttl_s, at_once, count = arg(), num_arg(), arg() == '1', num_arg()
local now = now_ms()

local function start(e)
  local register, crashes, checkpoint = 'task.' .. e.task, 'crash.' .. e.task, 'checkpoint.' .. e.task
  local job = load_job(e.job_key, e.job, {register, crashes, checkpoint})
  if not job then return {UNKNOWN_JOB} end
  if not is_issued(job, e.task, e.stream, e.id) then return {UNKNOWN_TASK} end
  -- Taken from nobody so far: a first delivery is this reader's without a look.
  local is_fresh = e.delivery == 1 and job.f[register] == place(e.stream, e.id)
  if not is_fresh then
    local refusal = refused(e.stream, e.id, consumer, e.delivery)
    if refusal then return {refusal} end
  end
  if is_closed(job) and e.stage ~= 'notify' then
    take_out(e.stream, e.id)
    ends_running(job, e.task, now)
    forget(job, e.task, true)
    count_open(job, e.stage, -1)
    save(job)
    let_expire(job, record_ttl_s)
    happened('dropped', job, {'task', e.task, 'stage', e.stage})
    return {DROPPED}
  end
  local revision = e.stage == 'compile' and field(job, 'compiling') or job.f.revision
  local crashed, kept = job.f[crashes] or 0, job.f[checkpoint] or ''
  -- Running time that has a limit is counted from here on.
  if at_once and is_fresh and not job.f.limit_ms then return {OK, job.f.tenant, revision, crashed, kept, now, 0} end
  begins_running(job, e.task, e.stream, e.id, consumer, e.delivery, now)
  if begin(job, now) then
    happened('started', job, {'task', e.task, 'stage', e.stage, 'delivery', e.delivery, 'worker', consumer})
  end
  save(job)
  if is_over_limit(job, now) then return {CLOSED} end
  return {OK, job.f.tenant, revision, crashed, kept, now, 1}
end

local replies = {}
for i = 1, count do
  replies[i] = start({stream = key_arg(), job_key = key_arg(), id = arg(), delivery = num_arg(),
    job = arg(), task = arg(), stage = arg()})
end
return replies
