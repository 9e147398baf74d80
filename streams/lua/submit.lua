#!lua
-- submit: open a batch of jobs of one partition, each once per idempotency key. Refused by the server when out of memory.
-- KEYS   1 lifecycle  2 timers  3 waiting  4 dlq  5.. streams, job records, idempotency keys
-- ARGV   window s, job count; per job: job key, idempotency key, stream key, job, body digest, stage, flow, tenant,
--        traceparent, data, due_at ms or 0, expires_at ms or 0, field count, record fields (name, value)
-- RETURN a code per job: 0 opened | 2 the same submission was accepted before | -6 accepted before with another body
local window_s, count = num_arg(), num_arg()
local now = now_ms()

local function submit(j)
  local known = redis.call('GET', j.idempotency_key)
  if not known and redis.call('EXISTS', j.key) == 1 then known = redis.call('HGET', j.key, 'digest') or j.digest end
  if known then return known == j.digest and DUPLICATE or CONFLICT end
  redis.call('SET', j.idempotency_key, j.digest, 'EX', window_s)
  open_job(j, now, 'submitted', {'task', 1, 'stage', j.stage, 'traceparent', j.traceparent, 'data', j.data})
  if j.expires_at > 0 then
    redis.call('ZADD', TIMERS, j.expires_at, 'expire/' .. j.id)
  end
  return OK
end

local codes = {}
for i = 1, count do
  local j = {key = key_arg(), idempotency_key = key_arg(), stream = key_arg(), id = arg(), digest = arg(),
    stage = arg(), flow = arg(), tenant = arg(), traceparent = arg(), data = arg(), due_at = num_arg(),
    expires_at = num_arg(), fields = {}}
  for f = 1, num_arg() * 2 do j.fields[f] = arg() end
  codes[i] = submit(j)
end
return codes
