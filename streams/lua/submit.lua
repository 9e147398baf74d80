#!lua
-- submit: open a batch of jobs of one partition, each once per idempotency key. Refused by the server when out of memory.
-- KEYS   1 lifecycle  2 timers  3 waiting  4 dlq  5.. streams, job records, idempotency keys
-- ARGV   window s, place count; per place (a stage's streams of a pool): the stream key of each lane, three in all;
--        job count; per job: job key, idempotency key, stream key, place, entries at the place (delayed: in the timers)
--        from which it is refused or 0, job, body digest, stage, flow, tenant, traceparent, data, due_at ms or 0,
--        expires_at ms or 0, field count, record fields (name, value)
-- RETURN a code per job: 0 opened | 2 the same submission was accepted before | -6 accepted before with another body
--        | -11 refused: the backlog is full
local window_s, places = num_arg(), {}
for i = 1, num_arg() do places[i] = {key_arg(), key_arg(), key_arg()} end
local count = num_arg()
local now = now_ms()

-- Whether so many wait where the job would that it is not taken in.
local function is_full(j)
  if j.most == 0 then return false end
  if j.due_at > now then return redis.call('ZCARD', TIMERS) >= j.most end
  local lanes = places[j.place]
  return redis.call('XLEN', lanes[1]) + redis.call('XLEN', lanes[2]) + redis.call('XLEN', lanes[3]) >= j.most
end

local function submit(j)
  local known = redis.call('GET', j.idempotency_key)
  if not known and redis.call('EXISTS', j.key) == 1 then known = redis.call('HGET', j.key, 'digest') or j.digest end
  if known then return known == j.digest and DUPLICATE or CONFLICT end
  if is_full(j) then return FULL end
  redis.call('SET', j.idempotency_key, j.digest, 'EX', window_s)
  open_job(j, now, 'submitted', {'task', 1, 'stage', j.stage, 'traceparent', j.traceparent, 'data', j.data})
  if j.expires_at > 0 then
    redis.call('ZADD', TIMERS, j.expires_at, 'expire/' .. j.id)
  end
  return OK
end

local codes = {}
for i = 1, count do
  local j = {key = key_arg(), idempotency_key = key_arg(), stream = key_arg(), place = num_arg(), most = num_arg(),
    id = arg(), digest = arg(), stage = arg(), flow = arg(), tenant = arg(), traceparent = arg(), data = arg(),
    due_at = num_arg(), expires_at = num_arg(), fields = {}}
  for f = 1, num_arg() * 2 do j.fields[f] = arg() end
  codes[i] = submit(j)
end
return codes
