-- delay: keep an entry's body in the sorted set of what is due later; the register says where it is.
local function delay(job, task, due_at, body)
  local member = 'task/' .. job.id .. '/' .. task
  redis.call('ZADD', TIMERS, due_at, member)
  redis.call('HSET', WAITING, member, cjson.encode(body))
  set(job, 'task.' .. task, 'delayed ' .. due_at .. ' ' .. body.stage)
  bump(job, 'delayed', 1)
end
-- Take a held entry out of its stream and let it wait there until `due_at`. Returns nil or a refusal.
local function put_back_later(e, consumer, record_ttl_s, now, type)
  local refusal = refused(e.stream, e.id, consumer, e.delivery)
  if refusal then return refusal end
  local job = load_job(e.job_key, e.job, {'task.' .. e.task, 'delayed'})
  if not job then return UNKNOWN_JOB end
  if not is_issued(job, e.task, e.stream, e.id) then return UNKNOWN_TASK end
  local fields = entry_fields(e.stream, e.id)
  take_out(e.stream, e.id)
  -- What a pause held had not started.
  if not e.held then begin(job, e.started_at) end
  ends_running(job, e.task, now)
  local over = is_closed(job) and e.stage ~= 'notify'
  if over then
    forget(job, e.task, true)
    count_open(job, e.stage, -1)
  else
    delay(job, e.task, e.due_at, {stream = string.sub(e.stream, PREFIX_LENGTH + 1), stage = e.stage,
      flow = fields.flow, attempt = e.next_attempt, traceparent = fields.traceparent, data = fields.data, held = e.held})
  end
  save(job)
  let_expire(job, record_ttl_s)
  happened(over and 'dropped' or type, job, {'task', e.task, 'stage', e.stage, 'attempt', e.attempt,
    'delivery', e.delivery, 'worker', consumer, 'started_at', e.held and '' or e.started_at, 'reason', e.reason, 'due_at', e.due_at})
  return over and DROPPED or OK
end
local function put_back_all(type, attempts_spent)
  local consumer, record_ttl_s, count = arg(), num_arg(), num_arg()
  local now = now_ms()
  local codes = {}
  for i = 1, count do
    local e = {stream = key_arg(), job_key = key_arg(), id = arg(), delivery = num_arg(), job = arg(), task = arg(),
      stage = arg(), attempt = num_arg(), started_at = arg(), due_at = now + num_arg(), reason = arg(),
      held = arg() == '1' and 1 or nil}
    e.next_attempt = e.attempt + attempts_spent
    codes[i] = put_back_later(e, consumer, record_ttl_s, now, type)
  end
  return codes
end
