-- join: what a closed task means for its job. `to_compile`, `to_notify` are places as in open_task.
local DONE = {'crawl.done', 'classify.done', 'download.done', 'extract.done', 'dead', 'missing', 'error', 'compile.open',
  'opening', 'reused'}
local function end_job(job, status, reason, revision, to_notify, traceparent, now)
  job.ended_revision = revision
  job.moved_to = status
  if tonumber(job.f.revision) > tonumber(revision) then
    set(job, 'status', 'running')
  else
    set(job, 'status', status)
    set(job, 'finished_at', now)
  end
  if reason then set(job, 'error', reason) end
  -- What history shows beside the status.
  local missing, error = number(job, 'missing'), status ~= 'succeeded' and field(job, 'error')
  job.tells = {}
  if missing > 0 then job.tells = {'missing', missing} end
  if error then
    job.tells[#job.tells + 1] = 'error'
    job.tells[#job.tells + 1] = error
  end
  if to_notify and (not job.f.until_stage or job.f.until_stage == 'notify') then
    open_task(job, to_notify, job.f.flow, traceparent,
      '{"v":1,"revision":' .. revision .. ',"status":"' .. status .. '"}')
  end
  local follow_up = field(job, 'then')
  if follow_up and (status == 'succeeded' or status == 'partial') then
    redis.call('ZADD', TIMERS, now, 'then/' .. job.id)
    redis.call('HSET', WAITING, 'then/' .. job.id, follow_up)
    unset(job, 'then')
  end
end
local function open_compile(job, to_compile, traceparent)
  set(job, 'compiling', job.f.revision)
  open_task(job, to_compile, job.f.flow, traceparent, '{"v":1,"revision":' .. job.f.revision .. '}')
end
-- A dead notification, or an earlier revision's dead compile, leaves nothing out of the result.
local function outcome_of(job)
  local dead = number(job, 'dead')
  if dead > 0 then dead = dead - number(job, 'compile.failed') - number(job, 'notify.failed') end
  if dead > 0 or number(job, 'missing') > 0 then return 'partial' end
  return 'succeeded'
end
-- After a work task closed: when none is open, compile this revision (or wait for the last one's), or end.
local function join_work(job, to_compile, to_notify, traceparent, now)
  if tonumber(job.f.work) > 0 or is_ended(job) then return end
  load_more(job, DONE)
  -- A replay that is still being opened has more work to come.
  if job.f.opening then return end
  local done = number(job, 'crawl.done') + number(job, 'classify.done')
    + number(job, 'download.done') + number(job, 'extract.done') + number(job, 'reused')
  if done == 0 then
    end_job(job, 'failed', field(job, 'error') or 'nothing was done', job.f.revision, to_notify, traceparent, now)
  elseif job.f.until_stage and not IS_TAIL[job.f.until_stage] then
    end_job(job, outcome_of(job), nil, job.f.revision, nil, traceparent, now)
  elseif number(job, 'compile.open') > 0 then
    set(job, 'compile_due', 1)
  else
    open_compile(job, to_compile, traceparent)
  end
end
-- After compile closed with this status: end its revision, then compile the next one if it waits.
local function join_compile(job, status, reason, to_compile, to_notify, traceparent, now)
  end_job(job, status, reason, field(job, 'compiling') or job.f.revision, to_notify, traceparent, now)
  if field(job, 'compile_due') then
    unset(job, 'compile_due')
    if tonumber(job.f.work) == 0 then open_compile(job, to_compile, traceparent) end
  end
end
-- After a notification closed: it ends its job only when that was all of it, a job that began at notify.
local function join_notify(job, status, reason, traceparent, now)
  if is_ended(job) or tonumber(job.f.work) > 0 or tonumber(job.f.tail) > 0 then return end
  end_job(job, status, reason, job.f.revision, nil, traceparent, now)
end
-- The record of a job with nothing open and nothing dead may go after its time to live.
local function let_expire(job, ttl_s)
  if is_ended(job) and tonumber(job.f.tail) == 0 and tonumber(job.f.work) <= 0 and number(job, 'dead') == 0 then
    redis.call('EXPIRE', job.key, ttl_s)
  end
end
