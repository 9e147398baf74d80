#!lua flags=allow-oom
-- dead_letter: move a batch of entries that cannot succeed to the dead-letter stream; each closes its task as failed.
-- KEYS   1 lifecycle  2 timers  3 waiting  4 dlq  5.. streams, job records, parked lists
-- ARGV   consumer, record ttl s, entry count; per entry: stream key, job key or 0, parked key, window,
--        compile stream key, notify stream key, entry id, delivery, job, task, stage, attempt, started_at ms,
--        reason, error, traceback. A job key of 0 marks a stray: an entry whose job or task was never issued,
--        or that does not parse; its fields are kept whole and no job is touched.
-- RETURN per entry the id in the dead-letter stream | -2 | -3 | -4 | -5 as complete
local consumer, record_ttl_s, count = arg(), num_arg(), num_arg()
local now = now_ms()

local function bury(e, fields)
  local dead = {'job', e.job, 'task', e.task, 'flow', fields.flow or '', 'stage', e.stage,
    'stream', string.sub(e.stream, PREFIX_LENGTH + 1), 'entry', e.id, 'attempt', e.attempt, 'deliveries', e.delivery,
    'worker', consumer, 'reason', e.reason, 'error', e.error, 'traceback', e.traceback,
    'traceparent', fields.traceparent or '', 'data', fields.data or ''}
  local more = e.job_key and {'tenant', e.tenant, 'redriven', e.redriven} or {'fields', cjson.encode(fields)}
  for i = 1, #more do dead[#dead + 1] = more[i] end
  return redis.call('XADD', DLQ, '*', unpack(dead))
end

local function dead_letter(e)
  local refusal = refused(e.stream, e.id, consumer, e.delivery)
  if refusal then return refusal end
  local fields = entry_fields(e.stream, e.id)
  if not e.job_key then
    take_out(e.stream, e.id)
    local dead_id = bury(e, fields)
    happened('dead_lettered', {id = e.job, f = {flow = fields.flow or '', tenant = '', revision = ''}},
      {'task', e.task, 'stage', e.stage, 'reason', e.reason, 'dlq', dead_id})
    return dead_id
  end
  local job = load_job(e.job_key, e.job, {'task.' .. e.task, e.stage .. '.open', e.stage .. '.failed', 'dead',
    'redriven.' .. e.task})
  if not job then return UNKNOWN_JOB end
  if not is_issued(job, e.task, e.stream, e.id) then return UNKNOWN_TASK end
  take_out(e.stream, e.id)
  begin(job, e.started_at)
  ends_running(job, e.task, now)
  forget(job, e.task, true)
  count_open(job, e.stage, -1)
  local over = is_closed(job) and e.stage ~= 'notify'
  if over then
    save(job)
    let_expire(job, record_ttl_s)
    happened('dropped', job, {'task', e.task, 'stage', e.stage, 'worker', consumer})
    return DROPPED
  end
  e.tenant, e.redriven = job.f.tenant, number(job, 'redriven.' .. e.task)
  local dead_id = bury(e, fields)
  set(job, 'task.' .. e.task, 'dead ' .. dead_id)
  bump(job, e.stage .. '.failed', 1)
  bump(job, 'dead', 1)
  set(job, 'error', e.reason)
  admit_parked(job, e)
  local traceparent = fields.traceparent or ''
  if e.stage == 'compile' then
    load_more(job, {'compile_due'})
    join_compile(job, 'failed', e.reason, e.compile, e.notify, traceparent, now)
  elseif e.stage == 'notify' then
    join_notify(job, 'failed', e.reason, traceparent, now)
  else
    join_work(job, e.compile, e.notify, traceparent, now)
  end
  save(job)
  happened('dead_lettered', job, {'task', e.task, 'stage', e.stage, 'attempt', e.attempt, 'delivery', e.delivery,
    'worker', consumer, 'started_at', e.started_at, 'reason', e.reason, 'error', e.error, 'dlq', dead_id})
  return dead_id
end

local replies = {}
for i = 1, count do
  local e = {stream = key_arg(), job_key = key_arg(), parked = key_arg(), window = num_arg(),
    compile = {stage = 'compile', stream = key_arg()}, notify = {stage = 'notify', stream = key_arg()},
    id = arg(), delivery = num_arg(), job = arg(), task = arg(), stage = arg(), attempt = arg(), started_at = arg(),
    reason = arg(), error = arg(), traceback = arg()}
  replies[i] = dead_letter(e)
end
return replies
