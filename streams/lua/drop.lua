#!lua flags=allow-oom
-- drop: give a batch of dead letters up; each is closed for good, and what it stood for counts as missing.
-- KEYS   1 lifecycle  2 timers  3 waiting  4 dlq  5.. job records
-- ARGV   record ttl s, reason, entry count; per entry: dlq entry id, job key or 0 (a stray, of no job), job, task, stage
-- RETURN a code per entry: 0 dropped | -8 no such dead letter
local record_ttl_s, reason, count = num_arg(), arg(), num_arg()

local function drop(e)
  local fields = entry_fields(DLQ, e.id)
  if not fields.job then return NOT_FOUND end
  local register = 'task.' .. e.task
  local job = e.job_key and load_job(e.job_key, e.job, {register, 'dead', 'missing', e.stage .. '.failed'})
  redis.call('XDEL', DLQ, e.id)
  local extra = {'task', e.task, 'stage', e.stage, 'reason', reason, 'dlq', e.id}
  if not job or job.f[register] ~= 'dead ' .. e.id then
    happened('dropped', {id = e.job, f = {flow = fields.flow, tenant = '', revision = ''}}, extra)
    return OK
  end
  unset(job, register)
  bump(job, e.stage .. '.failed', -1)
  bump(job, 'dead', -1)
  if not IS_TAIL[e.stage] then bump(job, 'missing', 1) end
  save(job)
  let_expire(job, record_ttl_s)
  happened('dropped', job, extra)
  return OK
end

local codes = {}
for i = 1, count do
  codes[i] = drop({id = arg(), job_key = key_arg(), job = arg(), task = arg(), stage = arg()})
end
return codes
